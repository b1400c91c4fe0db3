"""Several comparisons against one limit: the worst decides by value, all of them by interval."""

from __future__ import annotations

from collections.abc import Callable
from typing import Literal, NamedTuple

from cd4ml.measures.estimate import Estimate
from cd4ml.records.finding import Outcome

CONFIDENCE = 0.95

_ROUNDING = 1e-12  # 0.4 - 0.3 is not more than 0.1


class Comparison(NamedTuple):
    """One comparison: what it says in words, and its interval at any confidence."""

    words: str  # "black=yes 0.64 (165 rows) beside black=no 0.91 (1,020 rows)"
    value: float
    interval: Callable[[float], Estimate]  # confidence -> the value with its interval


class Allowed(NamedTuple):
    """Where values must lie, ends included."""

    least: float
    most: float


class Decision(NamedTuple):
    """The outcome, and the comparison that it rests on."""

    outcome: Outcome
    reason: str
    rests_on: Comparison
    estimate: Estimate  # of that comparison, at 95 % confidence


def decide(
    comparisons: list[Comparison], allowed: Allowed, by: Literal["value", "interval"]
) -> Decision:
    """Whether all comparisons keep to a limit.

    By value the worst one decides; that it was chosen as the worst makes it look worse than it is,
    the more so the more there are. By interval they pass when each is surely within the limit at
    95 % confidence, and fail when one is surely beyond it at a confidence that holds for all of
    them together; else they are inconclusive.

    Args:
        comparisons: At least one.
        allowed: The limit.
        by: What decides.

    Source:
        R. L. Berger, "Multiparameter hypothesis testing and acceptance sampling",
        Technometrics 24(4), 1982 (all within: no correction); Bonferroni (one beyond).

    Examples:
        >>> from cd4ml.measures.estimate import wilson
        >>> seen = Comparison("12 of 40 rows", 0.3, lambda sure: wilson(12, 40, confidence=sure))
        >>> decide([seen], Allowed(0.0, 0.5), "interval")[:2]
        ('pass', '12 of 40 rows')
        >>> decide([seen], Allowed(0.0, 0.4), "interval")[0]
        'inconclusive'
    """
    worst = max(comparisons, key=lambda each: _excess(each.value, each.value, allowed))
    if by == "value":
        return _by_value(worst, allowed)
    seen = [(each, each.interval(CONFIDENCE)) for each in comparisons]
    surer = 1 - (1 - CONFIDENCE) / len(comparisons)
    beyond = [pair for pair in seen if _is_beyond(pair[0].interval(surer), allowed)]
    if beyond:
        each, estimate = max(
            beyond, key=lambda pair: _excess(pair[0].value, pair[0].value, allowed)
        )
        return Decision("fail", each.words, each, estimate)
    each, estimate = max(seen, key=lambda pair: _excess(pair[1].low, pair[1].high, allowed))
    if _excess(estimate.low, estimate.high, allowed) <= _ROUNDING:
        return Decision("pass", worst.words, worst, worst.interval(CONFIDENCE))
    reason = f"{each.words}; the interval reaches beyond the limit: more rows are needed"
    return Decision("inconclusive", reason, each, estimate)


def _by_value(worst: Comparison, allowed: Allowed) -> Decision:
    estimate = worst.interval(CONFIDENCE)
    if _excess(worst.value, worst.value, allowed) > _ROUNDING:
        more = "" if _is_beyond(estimate, allowed) else "; more rows could change this"
        return Decision("fail", f"{worst.words}{more}", worst, estimate)
    is_near = _excess(estimate.low, estimate.high, allowed) > _ROUNDING
    more = "; the value passes, but its interval reaches beyond the limit" if is_near else ""
    return Decision("pass", f"{worst.words}{more}", worst, estimate)


def _excess(low: float, high: float, allowed: Allowed) -> float:
    """How far the farther end lies beyond what is allowed; negative where both lie within."""
    return max(allowed.least - low, high - allowed.most)


def _is_beyond(estimate: Estimate, allowed: Allowed) -> bool:
    return estimate.high < allowed.least - _ROUNDING or estimate.low > allowed.most + _ROUNDING
