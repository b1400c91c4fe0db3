"""The kinds of limit a gate can set, each held against evidence."""

from __future__ import annotations

from math import isfinite, isnan
from typing import NamedTuple

import numpy as np

from cd4ml.gates.evidence import Evidence
from cd4ml.gates.refusal import CHAMPION
from cd4ml.measures.catalog import Measure
from cd4ml.measures.estimate import Estimate, UndefinedMeasure
from cd4ml.records.finding import Outcome


class Held(NamedTuple):
    """An estimate held against a limit; without a limit there was nothing to compare with."""

    estimate: Estimate
    limit: float | None
    outcome: Outcome
    reason: str = ""


def by_value(measure: Measure, limit: float, evidence: Evidence) -> Held:
    """A floor or a ceiling for the value; where the interval reaches the limit, it says so.

    Raises:
        ValueError: If these rows do not define the measure.
    """
    estimate = measured(measure.function(evidence.y_true, evidence.score))
    is_met = estimate.value >= limit if is_higher(measure) else estimate.value <= limit
    is_near = side(measure, estimate, limit) == "inconclusive"
    if not is_met:
        return Held(estimate, limit, "fail", "more rows could change this" if is_near else "")
    if not (isfinite(estimate.low) and isfinite(estimate.high)):
        return Held(estimate, limit, "inconclusive", "too few rows to say how sure the value is")
    reason = "the value passes, but its interval reaches beyond the limit" if is_near else ""
    return Held(estimate, limit, "pass", reason)


def better_than_trivial(measure: Measure, evidence: Evidence) -> Held:
    """Surely better than a model that knows only the base rate of the training data.

    Raises:
        ValueError: If these rows do not define the measure.
    """
    y_true, score = evidence.y_true, evidence.score
    level = measure.trivial(y_true, evidence.base_rate)
    estimate = measured(measure.function(y_true, score))
    if measure.difference is not None:
        constant = np.full(y_true.shape, evidence.base_rate)
        estimate = around(level, measured(measure.difference(y_true, score, constant)))
    outcome = side(measure, estimate, level, is_equal_enough=False)
    return Held(estimate, level, outcome, _REASONS[outcome])


def no_worse_than(measure: Measure, name: str, margin: float, evidence: Evidence) -> Held:
    """Surely not worse than another version by more than a margin, on the same rows.

    Args:
        measure: One with a paired difference.
        name: `champion`, or a version ("delay/3").
        margin: In the measure's unit, above 0.
        evidence: With that version's scores.

    Raises:
        ValueError: If that version's scores are missing, or these rows do not define the measure.
    """
    y_true, score = evidence.y_true, evidence.score
    ref = evidence.champion if name == CHAMPION else name
    if not ref:
        estimate = measured(measure.function(y_true, score))
        return Held(estimate, None, "pass", "no champion yet")
    if ref not in evidence.others:
        raise UndefinedMeasure(f"{ref} has not been scored on these rows")
    if measure.difference is None:
        raise UndefinedMeasure(f"{measure.name} cannot be compared on the same rows")
    other = evidence.others[ref]
    difference = measured(measure.difference(y_true, score, other))
    level = measured(measure.function(y_true, other)).value
    limit = level - margin if is_higher(measure) else level + margin
    outcome = side(measure, around(level, difference), limit)
    seen = f"{difference.value:+.4g} ({difference.low:.4g} to {difference.high:.4g}) against {ref}"
    reason = f"{seen}; {_REASONS[outcome]}" if _REASONS[outcome] else seen
    return Held(around(level, difference), limit, outcome, reason)


def side(
    measure: Measure, estimate: Estimate, limit: float, *, is_equal_enough: bool = True
) -> Outcome:
    """On which side of a limit an interval lies: pass, fail, or inconclusive across it.

    Args:
        measure: For its direction.
        estimate: The interval.
        limit: Where the better side begins.
        is_equal_enough: Whether the limit itself lies on the better side.
    """
    sign = 1 if is_higher(measure) else -1
    worst, best = sorted((sign * estimate.low, sign * estimate.high))
    if worst > sign * limit or (is_equal_enough and worst == sign * limit):
        return "pass"
    if best < sign * limit or (not is_equal_enough and best == sign * limit):
        return "fail"
    return "inconclusive"


def is_higher(measure: Measure) -> bool:
    """Whether more of it is better."""
    return measure.direction == "higher"


def around(level: float, difference: Estimate) -> Estimate:
    """The interval of a difference, laid around the value that differs from `level`.

    Examples:
        >>> around(0.5, Estimate(value=0.1, low=0.05, high=0.15, n=400))
        Estimate(value=0.6, low=0.55, high=0.65, n=400)
    """
    value, low, high, n = difference
    return Estimate(level + value, level + low, level + high, n)


def measured(estimate: Estimate) -> Estimate:
    """The estimate, refused when the measure gave no number.

    Raises:
        UndefinedMeasure: If the value or an end of the interval is nan, or the value infinite.
    """
    if not isfinite(estimate.value) or isnan(estimate.low) or isnan(estimate.high):
        msg = f"the measure gave {estimate.value} ({estimate.low} to {estimate.high})"
        raise UndefinedMeasure(msg)
    return estimate


_REASONS: dict[Outcome, str] = {
    "pass": "",
    "fail": "",
    "inconclusive": "the interval lies on both sides of the limit: more rows are needed",
    "error": "",
}
