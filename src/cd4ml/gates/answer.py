"""One question about a measure, answered by a finding, whatever happens."""

from __future__ import annotations

from collections.abc import Callable
from math import isfinite

import numpy as np

from cd4ml.gates.evidence import Evidence
from cd4ml.gates.limits import Held, is_higher
from cd4ml.measures.catalog import MEASURES, Measure
from cd4ml.measures.estimate import Estimate
from cd4ml.records.finding import Finding

Question = Callable[[Evidence], Held]


def answer(metric: str, asked: str, question: Question, evidence: Evidence) -> Finding:
    """The finding on a question about a measure.

    Whatever cannot be measured is an error with its reason, also an exception in the measure:
    never a pass.

    Args:
        metric: The measure, for how far its interval can go.
        asked: The question in words: "auc at least 0.58".
        question: Holds the evidence against a limit.
        evidence: What each model said about the holdout.
    """
    n_rows = int(evidence.y_true.size)
    if reason := unfit(evidence):
        return Finding(gate=asked, metric=metric, n_rows=n_rows, outcome="error", reason=reason)
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


def unfit(evidence: Evidence) -> str:
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
