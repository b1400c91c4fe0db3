"""The judge: each gate becomes findings, each with the reason for its outcome."""

from __future__ import annotations

from functools import partial

from msgspec.structs import replace

from cd4ml.gates.answer import answer, reason_of, unfit
from cd4ml.gates.evidence import Evidence
from cd4ml.gates.kinds import KINDS
from cd4ml.gates.limits import no_worse_than
from cd4ml.gates.sliced import on_slices
from cd4ml.gates.weak import weakest_slices
from cd4ml.measures.catalog import MEASURES
from cd4ml.records.finding import Finding
from cd4ml.records.gate import Gate, kind_of
from cd4ml.records.metric_gate import MetricGate


def judge(gates: tuple[Gate, ...], evidence: Evidence) -> tuple[Finding, ...]:
    """All findings on a candidate: what was found while gathering, then the gates in order.

    What each kind of gate asks is said by its own `judge`; evidence that a kind needs and that
    could not be gathered makes each of its gates an error with the reason. After them:

    - Beside the champion: each gated measure against the champion's value on the same rows. It is
      shown and decides nothing.
    - The weakest slices in the first gated measure, searched among all columns and pairs of
      them, if any is worse than all rows beyond chance.
    - Each gated measure on each value of `[model] slices`; they decide nothing. Their interval is held against the
      gate's floor or ceiling, else against the trivial model's level.

    Args:
        gates: Of a policy (see `policy_of`).
        evidence: What each model said about the holdout, and what else was gathered.
    """
    findings = [*evidence.found]
    for gate in gates:
        findings += _on_gate(gate, evidence)
    shown = [
        gate
        for gate in gates
        if isinstance(gate, MetricGate) and not unfit(evidence, MEASURES[gate.metric])
    ]
    weak = weakest_slices(MEASURES[shown[0].metric], evidence) if shown else []
    return (*findings, *_beside_champion(shown, evidence), *weak, *on_slices(shown, evidence))


def _on_gate(gate: Gate, evidence: Evidence) -> list[Finding]:
    kind = kind_of(gate)
    if KINDS[kind].record is not None and kind not in evidence.gathered:
        unsaid = "no evidence of this kind was gathered"  # a newer policy on an older verdict
        return [_unmeasured(kind, evidence.missing.get(kind, unsaid))]
    try:
        return [replace(each, kind=kind) for each in KINDS[kind].judge(gate, evidence)]
    except Exception as error:  # whatever it is, the answer is "could not measure"
        return [_unmeasured(kind, reason_of(error))]


def _unmeasured(kind: str, reason: str) -> Finding:
    return Finding(gate=kind, kind=kind, metric=kind, outcome="error", reason=reason)


def _beside_champion(gates: list[MetricGate], evidence: Evidence) -> list[Finding]:
    """Each gated measure held against the champion's value: shown, deciding nothing."""
    if evidence.champion not in evidence.others:
        return []
    comparable = dict.fromkeys(g.metric for g in gates if MEASURES[g.metric].difference)
    return [
        replace(
            answer(
                metric,
                f"{metric} beside {evidence.champion}",
                partial(no_worse_than, MEASURES[metric], evidence.champion, 0.0),
                evidence,
            ),
            is_gated=False,
        )
        for metric in comparable
    ]
