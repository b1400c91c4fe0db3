"""`kind = "metric"`: limits on one metric of the holdout's rows."""

from __future__ import annotations

import re
from functools import partial
from math import isfinite
from typing import TYPE_CHECKING

from cd4ml.gates.refusal import CHAMPION, refused
from cd4ml.measures.named import NAMED, Named
from cd4ml.records.gate import MetricGate

if TYPE_CHECKING:
    from collections.abc import Iterator

    from cd4ml.gates.answer import Question
    from cd4ml.gates.evidence import Evidence
    from cd4ml.records.finding import Finding

_VERSION = re.compile(r"[^/\s]+/[1-9][0-9]*")


def require_possible(gate: MetricGate, path: str) -> None:
    """Refuse a gate that cannot be meant.

    Args:
        gate: What is asked.
        path: Where it stands in `cd4ml.toml`: "gate[0]".

    Raises:
        ConfigurationError: If it names no measure there is, sets no limit, or sets one that its
            measure cannot have; the message says which.
    """
    measure = NAMED.get(gate.metric)
    if measure is None:
        msg = f"there is no measure named {gate.metric!r}"
        raise refused(msg, f"{path}.metric", hint=f"known: {', '.join(sorted(NAMED))}")
    has_value_limit = gate.at_least is not None or gate.at_most is not None
    if not (has_value_limit or gate.better_than or gate.no_worse_than):
        hint = "at_least, at_most, better_than or no_worse_than"
        raise refused(f"a gate on {gate.metric} needs a limit", path, hint=hint)
    _require_floor_or_ceiling(gate, measure, path)
    for name, margin in gate.no_worse_than.items():
        _require_comparison(measure, name, margin, f"{path}.no_worse_than")


def _require_floor_or_ceiling(gate: MetricGate, measure: Named, path: str) -> None:
    if gate.at_least is not None and measure.direction == "lower":
        msg = (
            f"{gate.metric} is better the lower it is, so it cannot be asked to be at least a value"
        )
        raise refused(msg, f"{path}.at_least", hint=f"at_most = {gate.at_least:g}")
    if gate.at_most is not None and measure.direction == "higher":
        msg = (
            f"{gate.metric} is better the higher it is, so it cannot be asked to be at most a value"
        )
        raise refused(msg, f"{path}.at_most", hint=f"at_least = {gate.at_most:g}")
    for key in ("at_least", "at_most"):
        limit = getattr(gate, key)
        if limit is not None and not isfinite(limit):
            raise refused(f"a limit is a finite number, got {limit}", f"{path}.{key}")
    _require_reachable(gate, measure, path)


def _require_reachable(gate: MetricGate, measure: Named, path: str) -> None:
    if gate.at_least is not None and gate.at_least > measure.best:
        msg = f"{measure.name} is never above {measure.best:g}, got {gate.at_least:g}"
        raise refused(msg, f"{path}.at_least", hint="no model could pass")
    if gate.at_most is not None and gate.at_most < measure.best:
        msg = f"{measure.name} is never below {measure.best:g}, got {gate.at_most:g}"
        raise refused(msg, f"{path}.at_most", hint="no model could pass")


def _require_comparison(measure: Named, name: str, margin: float, path: str) -> None:
    if name != CHAMPION and not _VERSION.fullmatch(name):
        msg = f"{name!r} is neither the champion nor a version"
        hint = "{ champion = 0.005 } or { 'delay/3' = 0.005 }"
        raise refused(msg, path, hint=hint)
    if not (isfinite(margin) and margin > 0):
        msg = f"the margin by which it may be worse is above 0, got {margin:g}"
        raise refused(msg, f"{path}.{name}", hint="for example 0.005; with 0 chance decides")
    if not measure.is_paired:
        raise refused(f"{measure.name} cannot be compared on the same rows", path)


def judge(gate: MetricGate, evidence: Evidence) -> list[Finding]:
    """A finding for each limit that a gate sets.

    - `at_least`, `at_most`: the value decides; a limit within its interval is pointed out.
    - `better_than = "trivial"`: the interval of the difference to a model that knows only the base
      rate decides: pass when it lies on the better side, fail on the other, else inconclusive.
    - `no_worse_than = { champion = m }`: the interval of the paired difference decides: pass when
      all of it is no worse than by m, fail when all of it is worse, else inconclusive. While
      there is no champion it passes.

    A comparison shows the interval of the difference, laid around the candidate's value.
    """
    from cd4ml.gates.answer import answer

    return [answer(gate.metric, asked, question, evidence) for asked, question in _questions(gate)]


def _questions(gate: MetricGate) -> Iterator[tuple[str, Question]]:
    """What a gate asks, in words, and how it is answered."""
    from cd4ml.gates.limits import better_than_trivial, by_value, no_worse_than
    from cd4ml.measures.catalog import MEASURES

    measure, name = MEASURES[gate.metric], gate.metric
    if gate.at_least is not None:
        yield f"{name} at least {gate.at_least:g}", partial(by_value, measure, gate.at_least)
    if gate.at_most is not None:
        yield f"{name} at most {gate.at_most:g}", partial(by_value, measure, gate.at_most)
    if gate.better_than == "trivial":
        yield f"{name} better than trivial", partial(better_than_trivial, measure)
    for other, margin in gate.no_worse_than.items():
        words = f"{name} no worse than {other} by {margin:g}"
        yield words, partial(no_worse_than, measure, other, margin)
