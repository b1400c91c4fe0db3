"""What differs between runs, and which one is best at what."""

from __future__ import annotations

from collections.abc import Sequence
from math import isnan
from typing import Any, Literal

import msgspec

from cd4ml.errors import InvalidInput
from cd4ml.experiments.tracking import TrackedRun, better
from cd4ml.store.address import short

DifferenceKind = Literal["parameter", "data", "code", "environment", "metric"]


class Difference(msgspec.Struct, frozen=True, kw_only=True):
    """One line of a comparison: a value per run, None where a run has none.

    `best` holds the positions of the best values; () where nothing is better.
    """

    kind: DifferenceKind
    name: str
    values: tuple[Any, ...]
    best: tuple[int, ...] = ()


class Comparison(msgspec.Struct, frozen=True, kw_only=True):
    """Runs beside each other: only what is not the same in all of them."""

    runs: tuple[str, ...]
    differences: tuple[Difference, ...]


def compare(runs: Sequence[TrackedRun]) -> Comparison:
    """What differs between runs: parameters, data, code and environment, then metrics.

    Args:
        runs: Two or more, in the order of the columns.

    Raises:
        InvalidInput: If there are fewer than two.
    """
    if len(runs) < 2:
        msg = f"expected at least two runs to compare, got {len(runs)}"
        raise InvalidInput(msg, hint="name two, as in run/1 run/2")
    found = [
        *_lines("parameter", [each.run.parameters for each in runs]),
        *_lines("data", [each.run.refs for each in runs]),
        *_lines("data", [{"as of": _as_of(each)} for each in runs]),
        *_lines("code", [{"code": short(each.run.code)} for each in runs]),
        *_lines("code", [{"revision": _revision(each)} for each in runs]),
        *_lines("environment", [{"environment": short(each.run.environment)} for each in runs]),
        *_lines("metric", [each.metrics for each in runs]),
    ]
    return Comparison(runs=tuple(each.run.ref for each in runs), differences=tuple(found))


def _lines(kind: DifferenceKind, columns: list[dict[str, Any]]) -> list[Difference]:
    names = sorted({name for column in columns for name in column})
    lines = []
    for name in names:
        values = tuple(column.get(name) for column in columns)
        if any(_differs(value, values[0]) for value in values):
            best = _best(name, values) if kind == "metric" else ()
            lines.append(Difference(kind=kind, name=name, values=values, best=best))
    return lines


def _differs(one: Any, other: Any) -> bool:
    if type(one) is not type(other):
        return True
    return bool(one != other) and not (one != one and other != other)  # NaN is like NaN


def _best(metric: str, values: tuple[float | None, ...]) -> tuple[int, ...]:
    direction = better(metric)
    known = [value for value in values if value is not None and not isnan(value)]
    if direction is None or not known:
        return ()
    best = max(known) if direction == "higher" else min(known)
    return tuple(i for i, value in enumerate(values) if value == best)


def _revision(each: TrackedRun) -> str:
    changed = " with changes" if each.run.is_dirty else ""
    return each.run.revision[:12] + changed


def _as_of(run: TrackedRun) -> str:
    return run.run.as_of.isoformat() if run.run.as_of else "-"
