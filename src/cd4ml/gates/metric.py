"""`kind = "metric"`: limits on one metric of the holdout's rows."""

from __future__ import annotations

from functools import partial
from math import isfinite
from typing import TYPE_CHECKING, Any

from cd4ml.gates import baseline
from cd4ml.gates.refusal import refused
from cd4ml.measures.named import NAMED, Named
from cd4ml.records.metric_gate import MetricGate

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from cd4ml.gates.answer import Question
    from cd4ml.gates.evidence import Evidence
    from cd4ml.gates.limits import Held
    from cd4ml.records.finding import Finding


def require_possible(gate: MetricGate, path: str) -> None:
    """Refuse a gate that cannot be meant.

    Args:
        gate: What is asked.
        path: Where it stands in `cd4ml.toml`: "gate[0]".

    Raises:
        ConfigurationError: If it names no measure there is, sets no limit, or sets one that its
            measure cannot have; the message says which.
    """
    measure = require_measure(gate.metric, path)
    has_value_limit = gate.at_least is not None or gate.at_most is not None
    if not (has_value_limit or gate.better_than or gate.no_worse_than):
        hint = "at_least, at_most, better_than or no_worse_than"
        raise refused(f"a gate on {gate.metric} needs a limit", path, hint=hint)
    require_floor_or_ceiling(gate.at_least, gate.at_most, measure, path)
    if gate.by == "interval" and not has_value_limit:
        hint = "comparisons are always decided by the interval of the difference"
        raise refused("there is no at_least or at_most to be met", f"{path}.by", hint=hint)
    require_threshold(gate.threshold, measure, path)
    if gate.together and gate.interval != "bootstrap":
        message = f"rows of one {gate.together!r} are drawn together only by the bootstrap"
        raise refused(message, f"{path}.together", hint='interval = "bootstrap"')
    if gate.better_than is not None:
        _require_baseline(measure, gate.better_than, f"{path}.better_than")
    for name, margin in gate.no_worse_than.items():
        _require_comparison(measure, name, margin, f"{path}.no_worse_than")


def require_measure(name: str, path: str) -> Named:
    """The measure that a gate names.

    Raises:
        ConfigurationError: If there is none of this name.
    """
    measure = NAMED.get(name)
    if measure is None:
        msg = f"there is no measure named {name!r}"
        raise refused(msg, f"{path}.metric", hint=f"known: {', '.join(sorted(NAMED))}")
    return measure


def require_floor_or_ceiling(
    at_least: float | None, at_most: float | None, measure: Named, path: str
) -> None:
    """Refuse a floor under what is better the lower it is, and a limit that none can reach.

    Raises:
        ConfigurationError: With the limit that may have been meant.
    """
    if at_least is not None and measure.direction == "lower":
        msg = (
            f"{measure.name} is better the lower it is, so it cannot be asked to be at least"
            " a value"
        )
        raise refused(msg, f"{path}.at_least", hint=f"at_most = {at_least:g}")
    if at_most is not None and measure.direction == "higher":
        msg = (
            f"{measure.name} is better the higher it is, so it cannot be asked to be at most"
            " a value"
        )
        raise refused(msg, f"{path}.at_most", hint=f"at_least = {at_most:g}")
    for key, limit in (("at_least", at_least), ("at_most", at_most)):
        if limit is not None and not isfinite(limit):
            raise refused(f"a limit is a finite number, got {limit}", f"{path}.{key}")
    for words, limit in (("at least", at_least), ("at most", at_most)):
        if limit is not None and _asks_nothing(measure, limit):
            msg = f"no {measure.name} is worse than {measure.worst:g}, so {words} {limit:g} asks nothing"
            raise refused(msg, f"{path}.{words.replace(' ', '_')}", hint="every model would pass")
    if at_least is not None and at_least > measure.best:
        msg = f"{measure.name} is never above {measure.best:g}, got {at_least:g}"
        raise refused(msg, f"{path}.at_least", hint="no model could pass")
    if at_most is not None and at_most < measure.best:
        msg = f"{measure.name} is never below {measure.best:g}, got {at_most:g}"
        raise refused(msg, f"{path}.at_most", hint="no model could pass")


def _asks_nothing(measure: Named, limit: float) -> bool:
    return limit <= measure.worst if measure.direction == "higher" else limit >= measure.worst


def require_threshold(threshold: float | None, measure: Named, path: str) -> None:
    """Refuse a threshold for what does not depend on one.

    Raises:
        ConfigurationError: With the measures that do.
    """
    if threshold is None:
        return
    if not measure.has_threshold:
        names = ", ".join(name for name, each in NAMED.items() if each.has_threshold)
        msg = f"{measure.name} does not depend on a threshold"
        raise refused(msg, f"{path}.threshold", hint=f"those that do: {names}")
    require_dividing(threshold, path)


def require_dividing(threshold: float, path: str) -> None:
    """Refuse a threshold that all probabilities reach, or none can.

    Raises:
        ConfigurationError: With the value.
    """
    if not 0 < threshold <= 1:
        msg = f"a threshold of probabilities is above 0 and at most 1, got {threshold:g}"
        raise refused(msg, f"{path}.threshold", hint="for example 0.5")


def judge(gate: MetricGate, evidence: Evidence) -> list[Finding]:
    """A finding for each limit that a gate sets.

    - `at_least`, `at_most`: the value decides, and a limit within its interval is pointed out;
      with `by = "interval"` all of the interval has to keep the limit.
    - `better_than` a baseline: the interval of the difference on the same rows decides: pass
      when it lies on the better side, fail on the other, else inconclusive.
    - `no_worse_than` a baseline by m: pass when all of the interval of the difference is no
      worse than by m, fail when all of it is worse, else inconclusive.

    While there is no champion, comparisons with it pass and say so. A comparison shows the
    interval of the difference, laid around the candidate's value.
    """
    from cd4ml.gates.answer import answer

    return [answer(gate.metric, asked, question, evidence) for asked, question in _questions(gate)]


def _questions(gate: MetricGate) -> Iterator[tuple[str, Question]]:
    """What a gate asks, in words, and how it is answered."""
    from cd4ml.gates.limits import better_than, by_interval, by_value, no_worse_than
    from cd4ml.gates.measured import measure_of

    of = partial(measure_of, gate)
    name = gate.metric if gate.threshold is None else f"{gate.metric} at {gate.threshold:g}"
    held, how = (by_value, "") if gate.by == "value" else (by_interval, " by interval")
    for words, limit in (("at least", gate.at_least), ("at most", gate.at_most)):
        if limit is not None:
            yield f"{name} {words} {limit:g}{how}", partial(_on, of, held, limit)
    if gate.better_than is not None:
        words = f"{name} better than {gate.better_than}"
        yield words, partial(_on, of, better_than, gate.better_than)
    for other, margin in gate.no_worse_than.items():
        words = f"{name} no worse than {other} by {margin:g}"
        yield words, partial(_on, of, no_worse_than, other, margin)


def _on(of: Any, held: Callable[..., Held], *limits: object) -> Held:
    """A limit held against the measure that a gate takes of this evidence."""
    *asked, evidence = limits
    return held(of(evidence), *asked, evidence)


def _require_comparison(measure: Named, name: str, margin: float, path: str) -> None:
    _require_baseline(measure, name, path)
    if not (isfinite(margin) and margin > 0):
        msg = f"the margin by which it may be worse is above 0, got {margin:g}"
        raise refused(msg, f"{path}.{name}", hint="for example 0.005; with 0 chance decides")
    if margin >= abs(measure.worst - measure.best):
        msg = f"nothing is worse by {margin:g} in {measure.name}, so this asks nothing"
        raise refused(msg, f"{path}.{name}", hint="for example 0.005")


def _require_baseline(measure: Named, name: str, path: str) -> None:
    if not baseline.is_baseline(name):
        raise refused(f"{name!r} is no baseline", path, hint=f"known: {baseline.KNOWN}")
    if name == baseline.TRIVIAL and measure.constant is None:
        msg = f"one answer for all rows has a {measure.name} of 0 or 1, or none at all"
        raise refused(msg, path, hint="a floor says more, or better_than trivial in accuracy")
    if not measure.is_paired:
        raise refused(f"{measure.name} cannot be compared on the same rows", path)
