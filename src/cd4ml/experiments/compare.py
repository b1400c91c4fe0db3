"""What differs between runs, and which one is best at what."""

from __future__ import annotations

from collections.abc import Sequence
from math import isnan
from typing import Any, Literal

import msgspec

from cd4ml.errors import InvalidInput
from cd4ml.experiments.tracking import TrackedRun, better
from cd4ml.records.curve import Curves
from cd4ml.records.pair import Pair
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


class SliceLine(msgspec.Struct, frozen=True, kw_only=True):
    """A metric on a slice ("" for all rows), a value per run."""

    metric: str
    slice: str
    n: int
    values: tuple[float | None, ...]


class Comparison(msgspec.Struct, frozen=True, kw_only=True):
    """Runs beside each other: only what is not the same in all of them.

    `pairs` holds each later run beside the first one, on the rows that both have scored;
    `curves` what was logged at several steps.
    """

    runs: tuple[str, ...]
    differences: tuple[Difference, ...]
    pairs: tuple[Pair, ...] = ()
    curves: tuple[Curves, ...] = ()

    @property
    def slices(self) -> tuple[SliceLine, ...]:
        """Each metric on each slice, for all runs that scored the same rows as the first one."""
        pairs = [pair for pair in self.pairs if not pair.reason]
        lines = {}
        for each in pairs[0].metrics if pairs else ():
            values: list[float | None] = [each.first]
            for pair in pairs:
                there = {(m.metric, m.slice): m.second for m in pair.metrics}
                values.append(there.get((each.metric, each.slice)))
            lines[each.metric, each.slice] = SliceLine(
                metric=each.metric, slice=each.slice, n=each.n, values=tuple(values)
            )
        return tuple(lines.values())

    @property
    def on_the_same_rows(self) -> tuple[str, ...]:
        """The runs that `slices` has values of, in their order."""
        pairs = [pair for pair in self.pairs if not pair.reason]
        return (pairs[0].first.run, *(pair.second.run for pair in pairs)) if pairs else ()


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
        *_lines("data", [{"partition": each.run.partition or "-"} for each in runs]),
        *_lines("data", [{"env": each.run.environment_name or "-"} for each in runs]),
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
