"""Have the inputs, or the answers, moved away from what the version knew?

Every column gets its population stability index against the reference, which has to exceed
both the effect asked for and what chance alone gives a window of this size. The chance is
shared out over the columns: of a hundred windows without any change about one raises an
alarm, however many columns there are (rows taken as independent draws).
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from cd4ml.monitoring.profile import ColumnProfile, Profile, counts_in
from cd4ml.records.finding import Finding, Outcome

if TYPE_CHECKING:
    import polars as pl

    from cd4ml.measures.divergence import StabilityIndex

INPUTS = "psi"
PREDICTIONS = "prediction_psi"
FALSE_ALARMS = 0.01  # share of windows without a change that may raise an alarm

_OUTCOMES: dict[str, Outcome] = {
    "quiet": "pass",
    "alarm": "fail",
    "insufficient": "inconclusive",
}


def input_drift(reference: Profile, requests: pl.DataFrame, *, limit: float) -> tuple[Finding, ...]:
    """One finding a column: has it moved by more than `limit`, and by more than chance?

    Args:
        reference: The rows the version learned from.
        requests: What it was asked, columns of its contract; one row per request.
        limit: The stability index from which a change counts.
    """
    quantile = 1 - FALSE_ALARMS / max(1, len(reference.columns))
    return tuple(
        _finding(bins, requests[bins.name], INPUTS, limit, quantile) for bins in reference.columns
    )


def prediction_drift(reference: ColumnProfile, scores: pl.Series, *, limit: float) -> Finding:
    """Have the answers moved away from those on the holdout?"""
    return _finding(reference, scores, PREDICTIONS, limit, 1 - FALSE_ALARMS)


def _finding(
    bins: ColumnProfile, column: pl.Series, metric: str, limit: float, quantile: float
) -> Finding:
    from cd4ml.measures.divergence import stability_index
    from cd4ml.measures.estimate import UndefinedMeasure

    gate = f"{metric} at most {limit:g}"
    name = bins.name if metric == INPUTS else ""
    try:
        index = stability_index(
            bins.counts, counts_in(bins, column), effect=limit, quantile=quantile
        )
    except UndefinedMeasure as error:
        return Finding(gate=gate, metric=metric, slice=name, outcome="error", reason=str(error))
    return Finding(
        gate=gate,
        metric=metric,
        slice=name,
        value=index.value,
        limit=index.threshold,
        n_rows=len(column),
        outcome=_OUTCOMES[index.outcome],
        reason=_reason(name or "answers", index),
    )


def _reason(what: str, index: StabilityIndex) -> str:
    if index.outcome == "insufficient":
        return f"{what}: too few rows to tell a change from chance"
    by_chance = index.value - index.corrected
    seen = f"{what} moved by {index.value:.3g} (by chance about {by_chance:.2g})"
    relation = "more" if index.outcome == "alarm" else "not more"
    return f"{seen}, {relation} than {index.threshold:.3g}"
