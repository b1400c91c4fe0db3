"""Measures on named subsets of the holdout: shown with their intervals, deciding nothing."""

from __future__ import annotations

from math import isfinite

import numpy as np
from numpy.typing import ArrayLike

from cd4ml.gates.evidence import Evidence
from cd4ml.gates.limits import side
from cd4ml.measures.catalog import MEASURES, Measure
from cd4ml.measures.estimate import Estimate
from cd4ml.measures.slices import LabelledMeasure, SliceEstimate, by_slice
from cd4ml.records.finding import Finding, Outcome
from cd4ml.records.metric_gate import MetricGate

FEW_ROWS = 100  # below this a slice is inconclusive, whatever its value


def on_slices(gates: list[MetricGate], evidence: Evidence) -> list[Finding]:
    """Each gated measure on each slice, in the order of the gates, then of the slices' names.

    Args:
        gates: The first gate with a floor or ceiling on a measure gives the limit; without one it
            is what the trivial model gets on the slice.
        evidence: With columns to slice by; rows, targets and scores fit together.
    """
    limits: dict[str, float | None] = {}
    for gate in gates:
        limit = gate.at_least if gate.at_least is not None else gate.at_most
        if limits.get(gate.metric) is None:
            limits[gate.metric] = limit
    return [
        finding
        for metric, limit in limits.items()
        for column in evidence.slices
        for finding in _on_column(MEASURES[metric], limit, column, evidence)
    ]


def _on_column(
    measure: Measure, limit: float | None, column: str, evidence: Evidence
) -> list[Finding]:
    def sliced(function: LabelledMeasure) -> list[SliceEstimate]:
        y_true, score, groups = evidence.y_true, evidence.score, evidence.slices[column]
        return by_slice(function, y_true, score, groups=groups, column=column, min_rows=1)

    def trivial(y_true: ArrayLike, _score: ArrayLike) -> Estimate:
        level = measure.trivial(y_true, evidence.constant(measure))
        return Estimate(level, level, level, np.size(y_true))

    try:
        found = sliced(measure.function)
        levels = found if measure.constant is None else sliced(trivial)
    except Exception as error:  # as in `judge`: what cannot be measured is a finding
        return [_unmeasured(measure, column, evidence.y_true.size, str(error))]
    return [
        _finding(measure, one, limit if limit is not None else _level(measure, level))
        for one, level in zip(found, levels, strict=True)
    ]


def _level(measure: Measure, one: SliceEstimate) -> float | None:
    """What the trivial model gets on a slice; None where it would say nothing."""
    return None if measure.constant is None or one.estimate is None else one.estimate.value


def _finding(measure: Measure, one: SliceEstimate, limit: float | None) -> Finding:
    if one.estimate is None or not isfinite(one.estimate.value):
        return _unmeasured(measure, one.slice, one.n, "cannot be computed from these rows")
    value, low, high, _ = one.estimate
    outcome, reason = _outcome(measure, one.estimate, one.n, limit)
    return Finding(
        gate=f"{measure.name} on {one.slice}",
        metric=measure.name,
        slice=one.slice,
        value=value,
        low=low if isfinite(low) else None,
        high=high if isfinite(high) else None,
        limit=limit,
        n_rows=one.n,
        is_gated=False,
        outcome=outcome,
        reason=reason,
    )


def _outcome(
    measure: Measure, estimate: Estimate, n: int, limit: float | None
) -> tuple[Outcome, str]:
    if n < FEW_ROWS:
        return "inconclusive", f"{n} rows; fewer than {FEW_ROWS} say too little"
    if limit is None:
        return "inconclusive", "no limit to hold it against"
    outcome = side(measure, estimate, limit)
    return outcome, "the interval lies on both sides" if outcome == "inconclusive" else ""


def _unmeasured(measure: Measure, name: str, n: int, reason: str) -> Finding:
    return Finding(
        gate=f"{measure.name} on {name}",
        metric=measure.name,
        slice=name,
        n_rows=n,
        is_gated=False,
        outcome="error",
        reason=reason,
    )
