"""The weakest slices of the holdout, searched by itself: shown, deciding nothing."""

from __future__ import annotations

from cd4ml.gates.columns import searchable
from cd4ml.gates.evidence import Evidence
from cd4ml.measures.catalog import Measure
from cd4ml.measures.weakest import Found, find_weakest
from cd4ml.records.finding import Finding

MIN_ROWS = 100


def weakest_slices(measure: Measure, evidence: Evidence, *, most: int = 3) -> list[Finding]:
    """The slices on which a measure is surely worse than on all rows, the worst first.

    Searched are all columns of the holdout, but for the target and for times, and all pairs of
    them. None is shown if none is worse beyond chance, considering how many were looked at.

    Args:
        measure: What is measured.
        evidence: With the holdout's table; rows, targets and scores fit together.
        most: So many are shown.
    """
    found = search(measure, evidence, most=most)
    if found is None:
        return []
    return [finding_on(measure, found, place) for place in range(len(found.weakest))]


def search(
    measure: Measure, evidence: Evidence, *, most: int, min_rows: int = MIN_ROWS
) -> Found | None:
    """What the search finds; None without a table, or where the rows do not define the measure.

    Args:
        measure: What is measured.
        evidence: With the holdout's table; rows, targets and scores fit together.
        most: So many are returned.
        min_rows: Smaller slices are not looked at.
    """
    if evidence.holdout is None:
        return None
    columns = searchable(evidence.holdout, without=(evidence.target,))
    try:
        return find_weakest(
            measure, evidence.y_true, evidence.score, columns, min_rows=min_rows, most=most
        )
    except ValueError:  # a measure that another gate has already called an error
        return None


def finding_on(measure: Measure, found: Found, place: int) -> Finding:
    """What was found in a place of the list, as a finding that decides nothing."""
    weak = found.weakest[place]
    value, low, high, n = weak.estimate
    return Finding(
        gate=f"{measure.name} on a weak slice",
        metric=measure.name,
        slice=weak.name,
        value=value,
        low=low,
        high=high,
        limit=found.level,
        n_rows=n,
        is_gated=False,
        outcome="fail",
        reason=f"{value - found.level:+.3g} against all rows; found among {found.n_searched:,} slices",
    )
