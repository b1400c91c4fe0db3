"""`kind = "trend"`: the candidate as the next in the series of released versions."""

from __future__ import annotations

from math import factorial, isfinite
from typing import TYPE_CHECKING

from cd4ml.gates.metric import require_measure
from cd4ml.gates.refusal import refused
from cd4ml.records.finding import Finding
from cd4ml.records.history import History, Past

if TYPE_CHECKING:
    from cd4ml.gates.evidence import Evidence
    from cd4ml.measures.estimate import Estimate
    from cd4ml.records.trend_gate import TrendGate

KIND = "trend"

_FEWEST = 3  # releases that give a control limit
_MOST = 50


def require_possible(gate: TrendGate, path: str) -> None:
    """Refuse a trend that could never be seen, or that nobody can mean.

    Args:
        gate: What is asked.
        path: Where it stands in `cd4ml.toml`.

    Raises:
        ConfigurationError: With what could be asked instead.
    """
    measure = require_measure(gate.metric, path)
    if not (isfinite(gate.false_alarms) and 0 < gate.false_alarms < 0.5):
        message = f"a share of false alarms is between 0 and 0.5, got {gate.false_alarms:g}"
        raise refused(message, f"{path}.false_alarms", hint="0.05 refuses one good one in twenty")
    least = _releases_for_a_slide(gate.false_alarms)
    if not least <= gate.releases <= _MOST:
        message = (
            f"with false_alarms = {gate.false_alarms:g} a slide shows in {least} to {_MOST}"
            f" releases, got {gate.releases}"
        )
        raise refused(message, f"{path}.releases", hint="8 look back far enough for most")
    if not (isfinite(gate.slide) and gate.slide >= 0):
        message = f"the slide that may be is 0 or more, got {gate.slide:g}"
        raise refused(message, f"{path}.slide", hint="0.01, in the metric's unit")
    if gate.slide >= abs(measure.worst - measure.best):
        message = f"nothing slides by {gate.slide:g} in {measure.name}, so this asks nothing"
        raise refused(message, f"{path}.slide", hint="0.01, in the metric's unit")


def judge(gate: TrendGate, evidence: Evidence) -> list[Finding]:
    """Two findings: no sudden fall below the control limit, and no slow slide.

    Each is allowed half of the gate's false alarms, so both together refuse no more than that
    share of candidates that are as good as the releases before. With too few releases to tell,
    they pass and say so.
    """
    from cd4ml.gates.answer import unfit
    from cd4ml.measures.catalog import MEASURES

    measure = MEASURES[gate.metric]
    if reason := unfit(evidence, measure):
        return [_finding(gate, "trend", outcome="error", reason=reason)]
    history: History = evidence.gathered[KIND]
    past = history.of.get(gate.metric, ())[-gate.releases :]
    now = measure.function(evidence.y_true, evidence.score)
    sign = 1 if measure.direction == "higher" else -1
    return [_limit(gate, past, now, sign), _slide(gate, past, now, sign)]


def _limit(gate: TrendGate, past: tuple[Past, ...], now: Estimate, sign: int) -> Finding:
    """The candidate's value against the control limit of the releases before it."""
    from cd4ml.measures.trend import lower_limit

    asked = f"{gate.metric} within the control limit of {len(past)} releases"
    if len(past) < _FEWEST:
        return _finding(gate, asked, now, outcome="pass", reason=_too_few(len(past), _FEWEST))
    limit = sign * lower_limit(
        [sign * one.value for one in past],
        false_alarms=gate.false_alarms / 2,
        least_spread=_spread(now),
    )
    is_within = sign * now.value >= sign * limit
    reason = "" if is_within else f"a fall that the releases do not explain: {_series(past, now)}"
    return _finding(
        gate, asked, now, limit=limit, outcome="pass" if is_within else "fail", reason=reason
    )


def _slide(gate: TrendGate, past: tuple[Past, ...], now: Estimate, sign: int) -> Finding:
    """The change over the releases and the candidate, if it is one for sure."""
    from cd4ml.measures.trend import mann_kendall, sen_slope

    least = _releases_for_a_slide(gate.false_alarms)
    asked = f"{gate.metric} does not slide over {len(past)} releases"
    if len(past) < least:
        return _finding(gate, asked, outcome="pass", reason=_too_few(len(past), least))
    values = [*(one.value for one in past), now.value]
    test = mann_kendall([sign * value for value in values])
    change = sen_slope(values) * len(past)
    is_slide = test.p_falling <= gate.false_alarms / 2 and sign * change < -gate.slide
    chance = f"by chance once in {1 / test.p_falling:,.0f}"
    return _finding(
        gate,
        asked,
        value=change,
        limit=0.0 - sign * gate.slide,
        outcome="fail" if is_slide else "pass",
        reason=f"{_series(past, now)}: so steadily down {chance}" if is_slide else "",
    )


def _finding(gate: TrendGate, asked: str, now: Estimate | None = None, **said: object) -> Finding:
    seen: dict[str, object] = {}
    if now is not None:
        low, high = (end if isfinite(end) else None for end in (now.low, now.high))
        seen = {"value": now.value, "low": low, "high": high, "n_rows": now.n}
    return Finding(gate=asked, metric=gate.metric, **(seen | said))  # type: ignore[arg-type]


def _releases_for_a_slide(false_alarms: float) -> int:
    """The fewest releases among which a steady fall, with the candidate, is not chance."""
    n = 2
    while 1 / factorial(n) > false_alarms / 2:
        n += 1
    return n - 1


def _spread(now: Estimate) -> float:
    """The candidate's standard error: no series of such values can vary less."""
    from cd4ml.measures.estimate import two_sided_z

    width = now.high - now.low
    return width / (2 * two_sided_z(0.95)) if isfinite(width) else 0.0


def _too_few(n: int, needed: int) -> str:
    return f"{n} released so far: {needed} are needed to tell"


def _series(past: tuple[Past, ...], now: Estimate) -> str:
    return ", ".join(f"{value:.4g}" for value in (*(one.value for one in past), now.value))
