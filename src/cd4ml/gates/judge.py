"""The judge: each gate becomes findings, each with its interval and the reason for its outcome."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from functools import partial
from math import isfinite

import msgspec
import numpy as np

from cd4ml.gates.evidence import Evidence
from cd4ml.gates.limits import Held, better_than_trivial, by_value, is_higher, no_worse_than
from cd4ml.gates.sliced import on_slices
from cd4ml.measures.catalog import MEASURES, Measure
from cd4ml.measures.estimate import Estimate
from cd4ml.records.finding import Finding
from cd4ml.records.settings import GateSettings

Question = Callable[[Evidence], Held]


def judge(gates: tuple[GateSettings, ...], evidence: Evidence) -> tuple[Finding, ...]:
    """All findings on a candidate: the gates in order, then each gated measure on each slice.

    - `at_least`, `at_most`: the value decides; a limit within its interval is pointed out.
    - `better_than = "trivial"`: the interval of the difference to a model that knows only the base
      rate decides: pass when it lies on the better side, fail on the other, else inconclusive.
    - `no_worse_than = { champion = m }`: the interval of the paired difference decides: pass when
      all of it is no worse than by m, fail when all of it is worse, else inconclusive. While
      there is no champion it passes.
    - Beside the champion: each gated measure against the champion's value on the same rows. It is
      shown and decides nothing.
    - Slices decide nothing; their interval is held against the gate's floor or ceiling, else
      against the trivial model's level.

    A comparison shows the interval of the difference, laid around the candidate's value. Whatever
    cannot be measured is an error with its reason, also an exception in a measure: never a pass.

    Args:
        gates: Of a policy (see `policy_of`).
        evidence: What each model said about the holdout.
    """
    asked = [(gate.metric, *question) for gate in gates for question in _questions(gate)]
    findings = [_answer(*question, evidence) for question in asked]
    if not _unfit(evidence):
        findings += _beside_champion(gates, evidence)
        findings += on_slices(gates, evidence)
    return tuple(findings)


def _questions(gate: GateSettings) -> Iterator[tuple[str, Question]]:
    """What a gate asks, in words, and how it is answered."""
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


def _beside_champion(gates: tuple[GateSettings, ...], evidence: Evidence) -> list[Finding]:
    """Each gated measure held against the champion's value: shown, deciding nothing."""
    if evidence.champion not in evidence.others:
        return []
    comparable = dict.fromkeys(g.metric for g in gates if MEASURES[g.metric].difference)
    return [
        msgspec.structs.replace(
            _answer(
                metric,
                f"{metric} beside {evidence.champion}",
                partial(no_worse_than, MEASURES[metric], evidence.champion, 0.0),
                evidence,
            ),
            is_gated=False,
        )
        for metric in comparable
    ]


def _answer(metric: str, asked: str, question: Question, evidence: Evidence) -> Finding:
    n_rows = int(evidence.y_true.size)
    if unfit := _unfit(evidence):
        return Finding(gate=asked, metric=metric, n_rows=n_rows, outcome="error", reason=unfit)
    try:
        held = question(evidence)
    except Exception as error:  # whatever a measure raises, the answer is "could not measure"
        reason = f"{error}" if isinstance(error, ValueError) else f"{type(error).__name__}: {error}"
        return Finding(gate=asked, metric=metric, n_rows=n_rows, outcome="error", reason=reason)
    value, low, high, n = _possible(MEASURES[metric], held.estimate)
    return Finding(
        gate=asked,
        metric=metric,
        value=value,
        low=low if isfinite(low) else None,
        high=high if isfinite(high) else None,
        limit=held.limit,
        n_rows=n,
        outcome=held.outcome,
        reason=held.reason,
    )


def _possible(measure: Measure, estimate: Estimate) -> Estimate:
    """The estimate as far as the measure goes: an interval around a value may end beyond it."""
    if not (isfinite(estimate.low) and isfinite(estimate.high)):
        return estimate  # the rows say nothing of its error
    if is_higher(measure):
        return estimate._replace(high=min(estimate.high, measure.best))
    return estimate._replace(low=max(estimate.low, measure.best))


def _unfit(evidence: Evidence) -> str:
    """Why no measure on these rows means anything, or nothing."""
    y_true, score = evidence.y_true, evidence.score
    if y_true.size == 0:
        return "the holdout has no rows"
    if y_true.shape != score.shape:
        return f"the holdout has {y_true.size} rows and {score.size} scores"
    for name, values in (("targets", y_true), ("scores", score)):
        n_missing = int((~np.isfinite(values)).sum())
        if n_missing:
            return f"{n_missing} of {values.size} {name} are missing or no finite numbers"
    if (y_true == y_true[0]).all():
        return f"all {y_true.size} rows have the target {y_true[0]:g}: nothing to tell apart"
    return ""
