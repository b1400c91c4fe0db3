"""The judge: each gate becomes findings, each with the reason for its outcome."""

from __future__ import annotations

from functools import partial

import msgspec

from cd4ml.gates.answer import answer, unfit
from cd4ml.gates.evidence import Evidence
from cd4ml.gates.kinds import KINDS
from cd4ml.gates.limits import no_worse_than
from cd4ml.gates.sliced import on_slices
from cd4ml.measures.catalog import MEASURES
from cd4ml.records.finding import Finding
from cd4ml.records.gate import Gate, MetricGate, kind_of


def judge(gates: tuple[Gate, ...], evidence: Evidence) -> tuple[Finding, ...]:
    """All findings on a candidate: what was found while gathering, then the gates in order.

    What each kind of gate asks is said by its own `judge`; evidence that a kind needs and that
    could not be gathered makes each of its gates an error with the reason. After them:

    - Beside the champion: each gated measure against the champion's value on the same rows. It is
      shown and decides nothing.
    - Each gated measure on each slice; slices decide nothing. Their interval is held against the
      gate's floor or ceiling, else against the trivial model's level.

    Args:
        gates: Of a policy (see `policy_of`).
        evidence: What each model said about the holdout, and what else was gathered.
    """
    findings = [*evidence.found]
    for gate in gates:
        findings += _on_gate(gate, evidence)
    metric = [gate for gate in gates if isinstance(gate, MetricGate)]
    if not unfit(evidence):
        findings += _beside_champion(metric, evidence)
        findings += on_slices(metric, evidence)
    return tuple(findings)


def _on_gate(gate: Gate, evidence: Evidence) -> list[Finding]:
    kind = kind_of(gate)
    if kind in evidence.missing:
        return [Finding(gate=kind, metric=kind, outcome="error", reason=evidence.missing[kind])]
    try:
        return KINDS[kind].judge(gate, evidence)
    except Exception as error:  # whatever it is, the answer is "could not measure"
        reason = f"{error}" if isinstance(error, ValueError) else f"{type(error).__name__}: {error}"
        return [Finding(gate=kind, metric=kind, outcome="error", reason=reason)]


def _beside_champion(gates: list[MetricGate], evidence: Evidence) -> list[Finding]:
    """Each gated measure held against the champion's value: shown, deciding nothing."""
    if evidence.champion not in evidence.others:
        return []
    comparable = dict.fromkeys(g.metric for g in gates if MEASURES[g.metric].difference)
    return [
        msgspec.structs.replace(
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
