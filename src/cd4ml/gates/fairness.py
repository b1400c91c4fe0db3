"""`kind = "fairness"`: how far the rates of groups of people may lie apart."""

from __future__ import annotations

from typing import TYPE_CHECKING

from cd4ml.gates.group_limits import (
    require_difference,
    require_groups,
    require_min_rows,
    require_ratio,
)
from cd4ml.gates.metric import require_dividing
from cd4ml.gates.refusal import refused
from cd4ml.measures.named_rates import RATES
from cd4ml.records.fairness_gate import FairnessGate
from cd4ml.records.groupings import Grouping, groupings_of

if TYPE_CHECKING:
    import polars as pl

    from cd4ml.gates.between_groups import Asked
    from cd4ml.gates.evidence import Evidence
    from cd4ml.records.finding import Finding

# what can be asked -> the rates that are compared for it
METRICS: dict[str, tuple[str, ...]] = {
    **{name: (name,) for name in RATES if name != "base_rate"},
    "equalised_odds": ("recall", "false_positive_rate"),
}


def require_possible(gate: FairnessGate, path: str) -> None:
    """Refuse a gate that cannot be meant.

    Args:
        gate: What is asked.
        path: Where it stands in `cd4ml.toml`: "gate[0]".

    Raises:
        ConfigurationError: If it names no rate there is or no groups, sets no limit, or one that
            everything or nothing passes; the message says which.
    """
    if gate.metric not in METRICS:
        msg = f"there is no rate of groups named {gate.metric!r}"
        raise refused(msg, f"{path}.metric", hint=f"known: {', '.join(sorted(METRICS))}")
    require_groups(gate.groups, path)
    if gate.ratio_at_least is None and gate.difference_at_most is None:
        msg = f"a gate on the {gate.metric} of groups needs a limit"
        raise refused(msg, path, hint="ratio_at_least or difference_at_most")
    if gate.metric == "calibration" and gate.ratio_at_least is not None:
        msg = "calibration is 0 at its best, and has no ratio"
        raise refused(msg, f"{path}.ratio_at_least", hint="difference_at_most = 0.05")
    require_ratio(gate.ratio_at_least, f"{path}.ratio_at_least")
    require_difference(gate.difference_at_most, f"{path}.difference_at_most")
    require_dividing(gate.threshold, path)
    require_min_rows(gate.min_rows, path)


def judge(gate: FairnessGate, evidence: Evidence) -> list[Finding]:
    """A finding for each rate, limit and grouping, then what each group gets, which is shown.

    By value, the groups with the largest and the smallest rate decide. By interval it passes when
    every two groups are surely within the limit, fails when some two surely are not (the more pairs
    there are, the surer), and else is inconclusive.

    Args:
        gate: What is asked.
        evidence: With the holdout's table, which has the columns of the groups.
    """
    from cd4ml.gates.between_groups import unmeasured

    findings: list[Finding] = []
    for columns in groupings_of(gate.groups):
        asked = _asked(gate, columns)
        groups = _groups(columns, evidence)
        if isinstance(groups, str):
            findings += [unmeasured(each, groups) for each in asked]
            continue
        try:
            findings += _compared(gate, asked, groups, evidence)
        except ValueError as error:
            findings += [unmeasured(each, str(error)) for each in asked]
    return findings


def _asked(gate: FairnessGate, columns: Grouping) -> list[Asked]:
    """The questions that a gate asks of a grouping."""
    from cd4ml.gates.between_groups import asked_of

    limits = (gate.ratio_at_least, gate.difference_at_most)
    return [
        each
        for rate in METRICS[gate.metric]
        for each in asked_of(RATES[rate], columns, gate, limits)
    ]


def _groups(columns: Grouping, evidence: Evidence) -> dict[str, pl.Series] | str:
    """The group of each row by column, or why these rows cannot be compared by them."""
    from cd4ml.gates.answer import unfit
    from cd4ml.measures.catalog import MEASURES

    if evidence.holdout is None:
        return "the rows of the holdout are not there"
    for column in columns:
        if column == evidence.target:
            return f"{column!r} is what is to be predicted, and tells no people apart"
        if column not in evidence.holdout.columns:
            known = ", ".join(evidence.holdout.columns)
            return f"the holdout has no column {column!r}; known: {known}"
    return unfit(evidence, MEASURES["accuracy"]) or {
        column: evidence.holdout[column] for column in columns
    }


def _compared(
    gate: FairnessGate, asked: list[Asked], groups: dict[str, pl.Series], evidence: Evidence
) -> list[Finding]:
    from cd4ml.gates.between_groups import answers
    from cd4ml.measures.cells import count_cells
    from cd4ml.measures.fairness import rates

    cells = count_cells(
        evidence.y_true,
        evidence.score,
        groups,
        threshold=gate.threshold,
        favourable=gate.favourable,
    )
    return answers(asked, {rate: rates(cells, rate) for rate in METRICS[gate.metric]})
