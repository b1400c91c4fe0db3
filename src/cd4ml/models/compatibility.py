"""What a new contract means for those who keep the old one, as semantic versioning counts it.

Whoever calls a model relies on two things: that it takes their requests, and that its answer
means what it meant. A change that takes either away is breaking, and asks for another major
version; one that lets more in, or promises more, is compatible, and asks for a minor one;
words alone are a patch.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from typing import NamedTuple

from cd4ml.errors import InvalidInput
from cd4ml.models.contract import as_scored, forgiving, strict_field
from cd4ml.models.violations import expected_of, is_closed, keeps, limits_of
from cd4ml.records.contract import Contract, Field
from cd4ml.records.contract_gate import Bump, Change

_ORDER: tuple[Bump, ...] = ("none", "patch", "minor", "major")
_TOLD = 10  # categories in one sentence
_SEMVER = re.compile(r"(0|[1-9]\d*)\.(0|[1-9]\d*)\.(0|[1-9]\d*)")


class SemVer(NamedTuple):
    """A version number as semantic versioning orders it."""

    major: int
    minor: int
    patch: int

    def __str__(self) -> str:
        """As it is written."""
        return f"{self.major}.{self.minor}.{self.patch}"


def version_of(contract: Contract) -> SemVer:
    """The version that a contract carries.

    Raises:
        InvalidInput: If it is not three numbers with dots between them.

    Source:
        T. Preston-Werner, "Semantic Versioning 2.0.0", section 2; pre-releases are not taken.

    Examples:
        >>> version_of(Contract(name="delay", version="1.4.0", fields=()))
        SemVer(major=1, minor=4, patch=0)
    """
    found = _SEMVER.fullmatch(contract.version)
    if found is None:
        msg = f"the contract {contract.name!r} has the version {contract.version!r}"
        raise InvalidInput(msg, hint="a version is three numbers: MAJOR.MINOR.PATCH, like 1.4.0")
    return SemVer(*map(int, found.groups()))


def changes(old: Contract, new: Contract) -> tuple[Change, ...]:
    """Everything in which two contracts of requests differ, breaking changes first.

    Breaking: a field that has to be sent is new, or one is gone; its type, its unit, its
    limits, list or pattern let in less; it may no longer be null, or left out; the answer has
    another name, type or unit, may lie where it could not, or tells other classes apart; a
    budget is larger, or gone; what was forgiven is refused, or taken for another default.

    Examples:
        >>> old = Contract(name="delay", fields=(Field("hour", "integer"),))
        >>> new = Contract(name="delay", fields=(Field("hour", "integer", maximum=23),))
        >>> for change in changes(old, new):
        ...     print(change.bump, change.words)
        major 'hour' was an integer and is an integer of at most 23
        >>> [change.bump for change in changes(new, old)]
        ['minor']
        >>> changes(new, new)
        ()
    """
    found = [*_of_fields(old, new), *_of_answer(old, new), *_of_budgets(old, new)]
    if old.description != new.description:
        found.append(Change("", "patch", "the description is worded otherwise"))
    return tuple(sorted(found, key=lambda change: -_ORDER.index(change.bump)))


def differences(old: Contract, new: Contract) -> list[str]:
    """What breaks for callers that keep the old contract, in words; empty if nothing does.

    Examples:
        >>> old = Contract(name="delay", fields=(Field("wind", "number", unit="mph"),))
        >>> new = Contract(name="delay", fields=(Field("wind", "number", unit="km/h"),))
        >>> differences(old, new)
        ["'wind' was a number mph and is a number km/h"]
    """
    return [change.words for change in changes(old, new) if change.bump == "major"]


def needed(found: tuple[Change, ...]) -> Bump:
    """The part of the version that changes ask to be raised: the highest of theirs.

    Examples:
        >>> needed((Change("a", "minor", ""), Change("b", "major", "")))
        'major'
        >>> needed(())
        'none'
    """
    return max((change.bump for change in found), key=_ORDER.index, default="none")


def raised(old: SemVer, new: SemVer) -> Bump:
    """The part by which a version is ahead of another; "none" if it is not ahead.

    Examples:
        >>> raised(SemVer(1, 4, 0), SemVer(2, 0, 0)), raised(SemVer(1, 4, 0), SemVer(1, 3, 9))
        ('major', 'none')
    """
    if new <= old:
        return "none"
    if new.major > old.major:
        return "major"
    return "minor" if new.minor > old.minor else "patch"


def next_version(old: SemVer, bump: Bump) -> SemVer:
    """The version that follows.

    Examples:
        >>> str(next_version(SemVer(1, 4, 2), "minor"))
        '1.5.0'
    """
    match bump:
        case "major":
            return SemVer(old.major + 1, 0, 0)
        case "minor":
            return SemVer(old.major, old.minor + 1, 0)
        case "patch":
            return SemVer(old.major, old.minor, old.patch + 1)
        case "none":
            return old


def is_raised_enough(old: SemVer, new: SemVer, bump: Bump) -> bool:
    """Whether a version is ahead of another by the part that is needed, or by a higher one.

    Examples:
        >>> is_raised_enough(SemVer(1, 0, 0), SemVer(2, 0, 0), "minor")
        True
        >>> is_raised_enough(SemVer(1, 0, 0), SemVer(1, 1, 0), "major")
        False
    """
    return _ORDER.index(raised(old, new)) >= _ORDER.index(bump)


def _of_fields(old: Contract, new: Contract) -> Iterator[Change]:
    before = {field.name: field for field in old.fields}
    after = {field.name: field for field in new.fields}
    for name in before:
        if name not in after:
            yield Change(name, "major", f"{name!r} is gone: requests with it are refused")
    for name, field in after.items():
        if name in before:
            yield from _of_field(before[name], field)
        elif field.optional:
            yield Change(name, "minor", f"{name!r} is new, and may be left out")
        else:
            yield Change(name, "major", f"{name!r} is new: requests without it are refused")


def _of_field(old: Field, new: Field) -> Iterator[Change]:
    if old.optional != new.optional:
        now = "may be left out" if new.optional else "may no longer be left out"
        yield Change(old.name, "minor" if new.optional else "major", f"{old.name!r} {now}")
    if words := _taken(old, new):
        # what was right stays right, or is scored as it was; what was forgiven is still taken
        is_wider = _takes_all(as_scored(new), strict_field(old))
        bump: Bump = "minor" if is_wider and _takes_all(forgiving(new), forgiving(old)) else "major"
        yield Change(old.name, bump, words)
    yield from _of_policies(old, new)
    if old.description != new.description:
        yield Change(old.name, "patch", f"{old.name!r} is described otherwise")


_POLICIES = (
    ("on_null", "null"),
    ("on_unknown", "an unknown category"),
    ("on_outside", "what is beyond its limits"),
)
_DONE = {"refuse": "refused", "warn": "scored as it is", "clip": "clipped"}


def _of_policies(old: Field, new: Field) -> Iterator[Change]:
    """What is forgiven now, or no longer, or is scored as something else."""
    for name, what in _POLICIES:
        was, now = _done(old, name), _done(new, name)
        is_said = (name == "on_null" and old.nullable != new.nullable) or (
            name == "on_unknown" and is_closed(old) != is_closed(new)
        )
        if was == now or is_said:  # `_taken` has words for it
            continue
        is_gone = now == "refused" and _takes_more(old, new, name)
        # a default is relied upon, and a request means another thing with another one
        bump: Bump = "major" if is_gone or "taken for" in was else "minor"
        yield Change(old.name, bump, f"{old.name!r}: {what} was {was} and is {now}")


def _done(field: Field, name: str) -> str:
    policy = getattr(field, name)
    if name == "on_null" and field.nullable and policy == "refuse":
        return "taken"
    return f"taken for {field.default!r}" if policy == "default" else _DONE[policy]


def _takes_more(old: Field, new: Field, name: str) -> bool:
    """Whether the old field forgave what the new one refuses."""
    if name == "on_null":
        return not new.nullable
    if name == "on_unknown":
        return is_closed(new)
    (low, high), (old_low, old_high) = limits_of(new), limits_of(forgiving(old))
    return not (low <= old_low and old_high <= high)


def _taken(old: Field, new: Field) -> str:
    """How what a field takes has changed, in words; "" if it takes the same."""
    if _is_longer_list(old, new):
        less, more = set(old.categories), set(new.categories)
        parts = (_listed("no longer", less - more), _listed("also", more - less))
        return f"{old.name!r} takes {', and '.join(part for part in parts if part)}"
    if expected_of(old) != expected_of(new) or old.unit != new.unit:
        return f"{old.name!r} was {_said(old, new)} and is {_said(new, old)}"
    return ""


def _is_longer_list(old: Field, new: Field) -> bool:
    """Whether only the list differs, and is too long to be told twice."""
    if not (is_closed(old) and is_closed(new)) or old.nullable != new.nullable:
        return False
    lists = (old.categories, new.categories)
    return set(old.categories) != set(new.categories) and max(map(len, lists)) > _TOLD


def _said(field: Field, other: Field) -> str:
    """What a field takes, with a unit where only that differs and its words leave it out."""
    words = expected_of(field)
    if words == expected_of(other) and field.unit != other.unit:
        return f"{words} in {field.unit or 'no unit'}"
    return words


def _listed(what: str, names: set[str]) -> str:
    if not names:
        return ""
    quoted = [f'"{name}"' for name in sorted(names)[:_TOLD]]
    more = f" and {len(names) - _TOLD} more" if len(names) > _TOLD else ""
    return f"{what} {', '.join(quoted)}{more}"


def _takes_all(new: Field, old: Field) -> bool:
    """Whether whatever the old field takes is taken, and meant, as before."""
    if old.nullable and not new.nullable:
        return False
    if new.type != old.type and (new.type, old.type) != ("number", "integer"):
        return False
    if new.unit != old.unit:
        return False
    if is_closed(new):
        return is_closed(old) and set(old.categories) <= set(new.categories)
    if new.pattern and new.pattern != old.pattern:
        return is_closed(old) and all(keeps(new, text) for text in old.categories)
    (low, high), (old_low, old_high) = limits_of(new), limits_of(old)
    return low <= old_low and old_high <= high


def _of_answer(old: Contract, new: Contract) -> Iterator[Change]:
    if old.output and new.output:
        yield from _of_output(old.output, new.output)
    elif old.output:
        yield Change("", "major", "what the answer means is no longer said")
    elif new.output:
        yield Change("", "minor", f"the answer is {_spoken(new.output)}, which was not said before")
    if old.classes and old.classes != new.classes:
        was, now = ", ".join(old.classes), ", ".join(new.classes) or "not said"
        yield Change("", "major", f"the classes were {was} and are {now}")
    elif new.classes != old.classes:
        words = f"the classes are {', '.join(new.classes)}, which was not said before"
        yield Change("", "minor", words)


def _of_output(old: Field, new: Field) -> Iterator[Change]:
    if _meaning(old) != _meaning(new):
        is_same = (old.name, old.type, old.unit) == (new.name, new.type, new.unit)
        # an answer that may lie where it could not lie before is one nobody is ready for
        (low, high), (old_low, old_high) = limits_of(new), limits_of(old)
        is_within = is_same and old_low <= low and high <= old_high
        words = f"the answer was {_spoken(old)} and is {_spoken(new)}"
        yield Change("", "minor" if is_within else "major", words)
    if old.description != new.description:
        words = f"the answer meant {old.description!r} and means {new.description!r}"
        yield Change("", "major" if old.description else "minor", words)


def _of_budgets(old: Contract, new: Contract) -> Iterator[Change]:
    budgets = (
        ("latency_ms", "99 of 100 single answers take", "ms", old.latency_ms, new.latency_ms),
        ("size_mb", "the packaged model has", "MB", old.size_mb, new.size_mb),
    )
    for _, what, unit, before, after in budgets:
        if before == after:
            continue
        was = "not said" if before is None else f"at most {before:g} {unit}"
        now = "no longer said" if after is None else f"at most {after:g} {unit}"
        is_kept = before is None or (after is not None and after <= before)
        yield Change("", "minor" if is_kept else "major", f"{what}: was {was} and is {now}")


def _meaning(output: Field) -> tuple[str, str, str, float | None, float | None]:
    return output.name, output.type, output.unit, output.minimum, output.maximum


def _spoken(output: Field) -> str:
    return f"{output.name!r}, {expected_of(output)}"
