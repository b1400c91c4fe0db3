"""Is the version still better than nothing, and still as good as at its release?

Two findings a metric, both about the gap between the version and the trivial model (which
answers the base rate of the training rows) on the labelled answers of the window:

- better than trivial: pass if the gap is surely above 0, fail if surely below;
- as at release: fail if the gap is surely smaller than it was on the holdout, pass if it is
  not smaller at all, inconclusive if it is smaller but not surely.

"Surely" leaves all findings of a window together a chance of 1 % to fail where nothing is
wrong, rows taken as independent. Rows of one day share their weather, so that in practice it
is somewhat more.
"""

from __future__ import annotations

from collections.abc import Sequence
from math import hypot, inf
from typing import TYPE_CHECKING, NamedTuple

from cd4ml.monitoring.reference import Level, Reference, level_of, measure_named
from cd4ml.records.finding import Finding, Outcome

if TYPE_CHECKING:
    import polars as pl

FALSE_ALARMS = 0.01  # chance that a window in which nothing is wrong gets a failing finding


class Interval(NamedTuple):
    """A value with the ends of its interval."""

    value: float
    low: float
    high: float


def performance(
    labelled: pl.DataFrame, reference: Reference, metrics: Sequence[str]
) -> tuple[Finding, ...]:
    """The findings on some labelled answers.

    Args:
        labelled: `score` and `value` (the label); one row per labelled answer.
        reference: The version at its release.
        metrics: Names of measures.

    Raises:
        ConfigurationError: If there is no such measure.
    """
    found: list[Finding] = []
    released = {level.metric: level for level in reference.levels}
    widening = _widening(n_findings=2 * len(metrics))
    for metric in metrics:
        try:
            level = level_of(metric, labelled["value"], labelled["score"], reference.base_rate)
        except ValueError as error:  # no labels yet, of one class only, or none this metric takes
            found.extend(_unmeasured(metric, labelled.height, str(error)))
            continue
        trivial = measure_named(metric).trivial(labelled["value"], reference.base_rate)
        found.append(_beside_trivial(level, trivial, widening))
        found.append(_beside_release(level, released.get(metric), trivial, widening))
    return tuple(found)


def difference(a: Interval, b: Interval) -> Interval:
    """The interval of `a - b` for two independent estimates, from their own intervals.

    Source:
        G. Y. Zou, A. Donner, "Construction of confidence limits about effect measures: a
        general approach", Statistics in Medicine 27(10), 2008.

    Examples:
        >>> difference(Interval(5.0, 2.0, 8.0), Interval(1.0, -3.0, 5.0))
        Interval(value=4.0, low=-1.0, high=9.0)
    """
    value = a.value - b.value
    below = hypot(a.value - a.low, b.high - b.value)
    above = hypot(a.high - a.value, b.value - b.low)
    return Interval(value, value - below, value + above)


def _beside_trivial(level: Level, trivial: float, widening: float) -> Finding:
    gap = _interval(level, widening)
    outcome: Outcome = "pass" if gap.low > 0 else "fail" if gap.high < 0 else "inconclusive"
    return _finding(level, "better than trivial", trivial, gap, outcome)


def _beside_release(
    level: Level, released: Level | None, trivial: float, widening: float
) -> Finding:
    if released is None:
        gate, reason = f"{level.metric} as at release", "it was not measured at release"
        return Finding(gate=gate, metric=level.metric, outcome="error", reason=reason)
    change = difference(_interval(level, widening), _interval(released, widening))
    outcome: Outcome = (
        "pass" if change.value >= 0 else "fail" if change.high < 0 else "inconclusive"
    )
    sign = 1 if measure_named(level.metric).direction == "higher" else -1
    return _finding(level, "as at release", trivial + sign * released.gap, change, outcome)


def _finding(level: Level, asked: str, limit: float, change: Interval, outcome: Outcome) -> Finding:
    """The finding; its interval is that of the value, moved by that of the comparison."""
    sign = 1 if measure_named(level.metric).direction == "higher" else -1
    ends = sorted((limit + sign * change.low, limit + sign * change.high))
    surely = {"pass": "", "fail": "surely ", "inconclusive": "perhaps "}[outcome]
    relation = "better" if change.value >= 0 else "worse"
    than = "trivial" if asked == "better than trivial" else "at release"
    return Finding(
        gate=f"{level.metric} {asked}",
        metric=level.metric,
        value=level.value,
        low=_finite(ends[0]),
        high=_finite(ends[1]),
        limit=limit,
        n_rows=level.n_rows,
        outcome=outcome,
        reason=f"{level.metric} {level.value:.4g} is {surely}{relation} than {than} ({limit:.4g})",
    )


def _unmeasured(metric: str, n_rows: int, reason: str) -> list[Finding]:
    gates = (f"{metric} better than trivial", f"{metric} as at release")
    return [
        Finding(gate=gate, metric=metric, n_rows=n_rows, outcome="error", reason=reason)
        for gate in gates
    ]


def _interval(level: Level, widening: float) -> Interval:
    low = -inf if level.low is None else level.gap - widening * (level.gap - level.low)
    high = inf if level.high is None else level.gap + widening * (level.high - level.gap)
    return Interval(level.gap, low, high)


def _widening(n_findings: int) -> float:
    """How much wider than 95 % intervals have to be for so many findings, each on one side."""
    from cd4ml.measures.estimate import two_sided_z

    confidence = 1 - 2 * FALSE_ALARMS / max(1, n_findings)
    return two_sided_z(confidence) / two_sided_z(0.95)


def _finite(end: float) -> float | None:
    return None if end in (-inf, inf) else end
