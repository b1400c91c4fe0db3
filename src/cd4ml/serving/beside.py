"""What an answer carries beside its scores: what was forgiven, and what each field added."""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from typing import NamedTuple
from urllib.parse import parse_qs

from cd4ml.models.leniency import LISTED, Warned
from cd4ml.records.explanation import Contribution, Explained
from cd4ml.serving.endpoint import Answer, Endpoint, Version
from cd4ml.serving.metrics import Series
from cd4ml.serving.request import RequestRefused, Row

TOLERANCE = 1e-4  # answers of compiled models are of single precision

_WORDS = {"1": True, "true": True, "0": False, "false": False}


class Beside(NamedTuple):
    """`warnings` are at most 100; `explained` has an element a row, or is None: nobody asked."""

    warnings: Sequence[Warned] = ()
    explained: Sequence[Explained] | None = None


NOTHING = Beside()


def asks_for_contributions(query: bytes) -> bool:
    """Whether a request's query says `contributions=1`.

    Raises:
        RequestRefused: If it says something else of them, or something that nobody knows.

    Examples:
        >>> asks_for_contributions(b"contributions=1"), asks_for_contributions(b"")
        (True, False)
    """
    if not query:
        return False
    said = parse_qs(query.decode("latin-1"), keep_blank_values=True)
    unknown = [name for name in said if name != "contributions"]
    if unknown:
        msg = f"the query parameter {unknown[0][:80]!r} means nothing here"
        raise RequestRefused(400, msg, hint="contributions=1 asks for what each field adds")
    asked = said.get("contributions", ["0"])
    if asked[-1].lower() not in _WORDS:
        msg = f"expected contributions=1 or contributions=0, got {asked[-1][:80]!r}"
        raise RequestRefused(400, msg, hint="leave it out, and there are none")
    return _WORDS[asked[-1].lower()]


def refuse_unexplained(endpoint: Endpoint) -> None:
    """Let no request for contributions on that a version could not keep.

    Raises:
        RequestRefused: With 422, if the champion or the canary cannot be taken apart.
    """
    for version in (endpoint.champion, endpoint.canary):
        if version is not None and version.explainer is None:
            ref = version.arm.ref
            reason = endpoint.runtimes[version.arm.artifact].unexplained
            msg = f"{ref} cannot say at once what each field adds: {reason}"
            hint = f"ask without contributions; afterwards: cd4ml explain PREDICTION_ID, or {ref} --row"
            raise RequestRefused(422, msg, hint=hint)


def beside(
    endpoint: Endpoint,
    rows: list[Row],
    answered: Sequence[Sequence[Answer]],
    warned: Series,
    *,
    wants_contributions: bool,
) -> Beside:
    """What goes beside the answers to rows; `warned` is counted up.

    Raises:
        RequestRefused: With 422, if the parts of an answer do not add up to it.
    """
    found = endpoint.reader.warned(rows)
    explained = _explained(endpoint, rows, answered) if wants_contributions else None
    if not found and explained is None:
        return NOTHING
    for (field, kind), n in Counter((each.field, each.kind) for each in found).items():
        warned.add((field, kind), n)
    return Beside(found[:LISTED], explained)


def _explained(
    endpoint: Endpoint, rows: list[Row], answered: Sequence[Sequence[Answer]]
) -> list[Explained]:
    found: list[Explained | None] = [None] * len(rows)
    for version in {id(each[-1].version): each[-1].version for each in answered}.values():
        places = [i for i, each in enumerate(answered) if each[-1].version is version]
        for i, each in zip(places, _parts(version, [rows[i] for i in places]), strict=True):
            _refuse_other(i, each, answered[i][-1])
            found[i] = each
    return [each for each in found if each is not None]


def _parts(version: Version, rows: list[Row]) -> list[Explained]:
    explainer = version.explainer
    assert explainer is not None  # `refuse_unexplained` was asked
    values = [version.values(row) for row in rows]
    return explainer.explained(values)


def _refuse_other(i: int, explained: Explained, answer: Answer) -> None:
    score = answer.score
    assert score is not None  # a version that failed does not count
    if abs(explained.answer - score) <= TOLERANCE * max(1.0, abs(score)):
        return
    msg = f"the parts of the answer to row {i} add up to {explained.answer:.6g}, not to {score:.6g}"
    raise RequestRefused(422, msg, hint="ask without contributions")


def amounts(explained: Sequence[Explained], names: Sequence[str]) -> list[list[float]]:
    """What each of these fields adds, a list a row; 0 of a field that adds nothing."""
    return [[_amount(each.contributions, name) for name in names] for each in explained]


def _amount(contributions: Sequence[Contribution], name: str) -> float:
    return next((each.amount for each in contributions if each.field == name), 0.0)
