"""The contract of a model's requests: compiled for serving, derived, and compared.

A model's contract lists the raw columns of a request. All of them must be there and no
others; what is unknown is sent as null where the field is nullable.
"""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Callable, Sequence
from functools import partial
from operator import attrgetter
from typing import TYPE_CHECKING, Annotated, Any, Literal, get_args

import msgspec

from cd4ml.errors import ContractViolated, InvalidInput
from cd4ml.models.violations import (
    Violation,
    expected_of,
    is_closed,
    keeps,
    limits_of,
    violations_of,
    whole,
)
from cd4ml.records.contract import Contract, Field, FieldType

if TYPE_CHECKING:
    import polars as pl

_CATEGORIES = 200  # up to so many different strings a derived contract lists them
_LISTED = 10  # kinds of violations in one message


class CompiledContract:
    """A contract as a msgspec Struct class, so that rows are checked while they are read.

    `row` has one attribute per field, in order (`f0`, `f1`, ...: a field's name need not be
    a Python name). What `check` finds no violation in can be read as `row`. The reverse
    holds except for what the class cannot see: the form of times, the character NUL in
    strings, and a name that stands twice in one object. Immutable, safe to share between
    threads.

    Raises:
        InvalidInput: If no row can keep the contract.
    """

    def __init__(self, contract: Contract) -> None:
        refuse_impossible(contract)
        self.contract = contract
        self.row: type[msgspec.Struct] = msgspec.defstruct(
            "Row",
            [
                (f"f{i}", _annotation(field), msgspec.field(name=field.name))
                for i, field in enumerate(contract.fields)
            ],
            forbid_unknown_fields=True,
            frozen=True,
            gc=False,
        )

    def check(self, row: object, path: str = "$") -> list[Violation]:
        """All violations of a decoded JSON row at once; none if it keeps the contract."""
        return violations_of(self.contract.fields, row, path)

    def getter(self, names: Sequence[str]) -> Callable[[Any], tuple[Any, ...]]:
        """A function from a `row` to the values of these fields, in this order.

        Raises:
            InvalidInput: If the contract lacks one of them.
        """
        missing = [name for name in names if name not in self.contract.names]
        if missing:
            msg = f"requests of the contract {self.contract.name!r} lack {', '.join(missing)}"
            raise InvalidInput(msg, hint="the versions of one plan must take the same requests")
        attributes = [f"f{self.contract.names.index(name)}" for name in names]
        if len(attributes) == 1:
            get = attrgetter(attributes[0])
            return lambda row: (get(row),)
        return attrgetter(*attributes)

    def refuse_unless_kept(self, rows: list[dict[str, Any]]) -> None:
        """Let no rows through that do not keep the contract.

        Raises:
            ContractViolated: With the kinds of violations, most frequent first.
        """
        try:
            msgspec.convert(rows, list[self.row])  # type: ignore[name-defined]
        except msgspec.ValidationError:
            found = [violation for row in rows for violation in self.check(row)]
            summary = partial(_summary, self.contract, len(rows), found)
            discreet = summary(shows_values=False)
            raise ContractViolated(summary(shows_values=True), discreet=discreet) from None


def refuse_wrong_types(contract: Contract) -> None:
    """Let no contract through whose fields do not hold what `Field` says: Python checks nothing.

    Raises:
        InvalidInput: With everything that is wrong with it.
    """
    fields = (*contract.fields, *([contract.output] if contract.output else []))
    if wrong := [text for field in fields if (text := _wrong_type(field))]:
        msg = f"the contract {contract.name!r} cannot be meant: {'; '.join(wrong)}"
        raise InvalidInput(msg, hint="correct it where it is declared")


def _wrong_type(field: Field) -> str:
    known = get_args(FieldType)
    if field.type not in known:
        return f"{field.name!r} has the type {field.type!r}, expected one of {', '.join(known)}"
    try:
        msgspec.convert(msgspec.structs.asdict(field), Field)
    except msgspec.ValidationError as error:
        reason = str(error).replace("`$.", "`")
        return f"{field.name!r}: {reason[:1].lower()}{reason[1:]}"
    return ""


def refuse_impossible(contract: Contract) -> None:
    """Let no contract through that no row can keep.

    Raises:
        InvalidInput: With everything that is wrong with it.
    """
    refuse_wrong_types(contract)
    times = Counter(contract.names)
    wrong = [f"{name!r} stands twice" for name in times if times[name] > 1]
    wrong += [text for field in contract.fields for text in _impossible(field)]
    if not contract.fields:
        wrong.append("it has no fields")
    wrong += _no_times(contract)
    wrong += _impossible_together(contract)
    if wrong:
        msg = f"no row can keep the contract {contract.name!r}: {'; '.join(wrong)}"
        raise InvalidInput(msg, hint="correct it where it is declared")


def _no_times(contract: Contract) -> list[str]:
    """What its `event_time` and `arrival_time` name that is no time."""
    times = {field.name for field in contract.fields if field.type == "datetime"}
    named = {"event_time": contract.event_time, "arrival_time": contract.arrival_time}
    return [
        f"its {role} {name!r} is no field of type datetime"
        for role, name in named.items()
        if name and name not in times
    ]


def derive(frame: pl.DataFrame, name: str, declared: Contract | None = None) -> Contract:
    """The contract of requests that look like these rows.

    A declared contract is returned as it is, once the rows keep it. Without one, a
    column may be null if it is null somewhere, and strings are listed but left open: rows
    show what is usual, and only people know what is impossible.

    Args:
        frame: Raw columns of requests, one row a request; a declared contract need not
            name all of them.
        name: What a derived contract is called.
        declared: The contract that people wrote.

    Raises:
        ContractViolated: If the rows do not keep the declared contract.
        InvalidInput: If a column is missing or its type cannot be sent as JSON.
    """
    from cd4ml.models.frames import field_of, to_rows

    if declared is not None:
        CompiledContract(declared).refuse_unless_kept(to_rows(declared, frame))
        return declared
    fields = tuple(field_of(column, _CATEGORIES) for column in frame.iter_columns())
    return Contract(name=name, fields=fields)


def differences(old: Contract, new: Contract) -> list[str]:
    """What breaks for callers that keep the old contract, in words; empty if nothing does.

    Examples:
        >>> old = Contract(name="delay", fields=(Field("hour", "integer"),))
        >>> new = Contract(name="delay", fields=(Field("hour", "integer", maximum=23),))
        >>> differences(old, new)
        ["'hour' was an integer and is an integer of at most 23"]
        >>> differences(new, old)
        []
    """
    before = {field.name: field for field in old.fields}
    after = {field.name: field for field in new.fields}
    found = [
        f"{name!r} is gone: requests with it are refused" for name in before if name not in after
    ]
    found += [
        f"{name!r} is new: requests without it are refused" for name in after if name not in before
    ]
    found += [
        f"{name!r} was {expected_of(field)} and is {expected_of(after[name])}"
        for name, field in before.items()
        if name in after and not _takes_all(after[name], field)
    ]
    if old.output and new.output and _meaning(old.output) != _meaning(new.output):
        found.append(f"the answer was {_spoken(old.output)} and is {_spoken(new.output)}")
    return found


def _annotation(field: Field) -> Any:
    annotation = _required_annotation(field)
    return annotation | None if field.nullable else annotation


def _required_annotation(field: Field) -> Any:
    if is_closed(field):
        return Literal[field.categories]
    if field.pattern:
        return Annotated[str, msgspec.Meta(pattern=whole(field.pattern))]
    if field.type in ("string", "datetime"):
        return str
    if field.type == "boolean":
        return bool
    low, high = limits_of(field)
    kind = int if field.type == "integer" else float
    return Annotated[kind, msgspec.Meta(ge=low, le=high)]


def _impossible(field: Field) -> list[str]:
    wrong = []
    is_numeric = field.type in ("integer", "number")
    low, high = limits_of(field)
    if is_numeric and not low <= high:
        wrong.append(f"{field.name!r} has no value between its minimum and its maximum")
    if not is_numeric and (field.minimum is not None or field.maximum is not None):
        wrong.append(f"{field.name!r} has the type {field.type} and takes no minimum or maximum")
    if field.type != "string" and field.categories:
        wrong.append(f"{field.name!r} has the type {field.type} and takes no categories")
    if field.pattern:
        wrong += _impossible_pattern(field)
    return wrong


def _impossible_pattern(field: Field) -> list[str]:
    if field.type != "string":
        return [f"{field.name!r} has the type {field.type} and takes no pattern"]
    if is_closed(field):
        return [f"{field.name!r} has both a list of categories and a pattern"]
    try:
        re.compile(whole(field.pattern))
    except re.error as error:
        return [f"the pattern of {field.name!r} is no regular expression: {error.msg}"]
    return []


def _impossible_together(contract: Contract) -> list[str]:
    wrong = _undeclared(contract)
    most, hours = contract.maximum_rows, contract.fresh_within_hours
    if most is not None and most < contract.minimum_rows:
        wrong.append(f"it takes at least {contract.minimum_rows:,} rows and at most {most:,}")
    if hours is not None and not contract.event_time:
        wrong.append("fresh_within_hours needs an event_time")
    if hours is not None and not hours > 0:
        wrong.append(f"fresh_within_hours is {hours:g}")
    named = Counter(condition.name for condition in contract.conditions)
    wrong += [f"the condition {name!r} stands twice" for name in named if named[name] > 1]
    return wrong


def _undeclared(contract: Contract) -> list[str]:
    """What its keys name that it lets no row have."""
    groups = {"key": contract.key, "unique": tuple(n for group in contract.unique for n in group)}
    return [
        f"its {role} names {name!r}, which it does not declare"
        for role, names in groups.items()
        for name in dict.fromkeys(names)
        if name not in contract.names and not contract.open
    ]


def _summary(
    contract: Contract, n_rows: int, found: Sequence[Violation], *, shows_values: bool
) -> str:
    kinds = Counter((violation.field, violation.expected) for violation in found)
    example = {(violation.field, violation.expected): violation.got for violation in found}
    lines = [f"{n_rows} rows do not keep the contract {contract.name!r}"]
    for (field, expected), times in kinds.most_common(_LISTED):
        got = f", got {example[field, expected]}" if shows_values else ""
        lines.append(f"- {field}: expected {expected}{got} ({times} rows)")
    if len(kinds) > _LISTED:
        lines.append(f"- and {len(kinds) - _LISTED} more")
    return "\n  ".join(lines)


def _takes_all(new: Field, old: Field) -> bool:
    if old.nullable and not new.nullable:
        return False
    if new.type != old.type and (new.type, old.type) != ("number", "integer"):
        return False
    if is_closed(new):
        return is_closed(old) and set(old.categories) <= set(new.categories)
    if new.pattern and new.pattern != old.pattern:
        return is_closed(old) and all(keeps(new, text) for text in old.categories)
    (low, high), (old_low, old_high) = limits_of(new), limits_of(old)
    return low <= old_low and old_high <= high


def _meaning(output: Field) -> tuple[str, str, str, float | None, float | None]:
    return output.name, output.type, output.unit, output.minimum, output.maximum


def _spoken(output: Field) -> str:
    return f"{output.name!r}, {expected_of(output)}"
