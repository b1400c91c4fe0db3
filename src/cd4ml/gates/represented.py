"""The training rows of groups: their share, their outcomes, and what is not known of them."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

from cd4ml.gates.between_groups import (
    MOST_GROUPS,
    Asked,
    answers,
    asked_of,
    concluded,
    each_group,
    pairs_of,
)
from cd4ml.gates.shares import AskedShare, Expected, on_shares
from cd4ml.measures.cells import Cells, count_cells, group_name, roll_up
from cd4ml.measures.estimate import UndefinedMeasure
from cd4ml.measures.fairness import GroupRate, rates
from cd4ml.measures.named_rates import RATES, Rate
from cd4ml.records.finding import Finding
from cd4ml.records.groupings import Grouping
from cd4ml.records.representation import Representation
from cd4ml.records.representation_gate import RepresentationGate

if TYPE_CHECKING:
    from cd4ml.gates.evidence import Evidence
    from cd4ml.gates.within import Comparison

_MISSING = Rate("missing", "lower", "rows")


def on_grouping(
    gate: RepresentationGate, columns: Grouping, stated: dict[str, float], evidence: Evidence
) -> list[Finding]:
    """The findings of a gate on one grouping.

    Args:
        gate: What is asked.
        columns: Whose combinations of values are the groups.
        stated: Group -> the share of people that it is said to be; without any, the holdout's.
        evidence: With the training rows, counted.

    Raises:
        UndefinedMeasure: If they were not counted by these columns.
    """
    counted = _counted(columns, evidence)
    return [
        *_on_shares(gate, columns, stated, counted, evidence),
        *_on_outcomes(gate, columns, counted),
        *_on_missing(gate, columns, counted),
    ]


def _counted(columns: Grouping, evidence: Evidence) -> Representation:
    counted = evidence.gathered.get("representation")
    if not isinstance(counted, Representation):
        raise UndefinedMeasure("the training rows were not counted by groups")
    for name in columns:
        if name not in counted.columns:
            known = ", ".join(counted.columns)
            raise UndefinedMeasure(f"training rows were not counted by {name!r}, only by {known}")
    return counted


def _shares_of(
    counted: Representation, columns: Grouping, n: list[int], of_these: list[int]
) -> list[GroupRate]:
    """In each group, the share of some rows that some of these are."""
    nobody = np.zeros(len(n), dtype=np.int64)
    values = tuple(cell.values for cell in counted.cells)
    said = np.zeros(len(n))
    cells = Cells(counted.columns, values, np.array(n), np.array(of_these), nobody, nobody, said)
    return rates(roll_up(cells, columns), "base_rate")


def _on_shares(
    gate: RepresentationGate,
    columns: Grouping,
    stated: dict[str, float],
    counted: Representation,
    evidence: Evidence,
) -> list[Finding]:
    if gate.share_at_least is None:
        return []
    n = [cell.n for cell in counted.cells]
    seen = {each.group: each.n_rows for each in _shares_of(counted, columns, n, n)}
    expected = {group: Expected(share) for group, share in stated.items()}
    asked = AskedShare(gate.share_at_least, columns, gate.by, is_stated=bool(stated))
    expected = expected or _of_holdout(columns, evidence)
    if max(len(seen), len(expected)) > MOST_GROUPS:
        what = " x ".join(columns)
        raise UndefinedMeasure(f"{what} has more than {MOST_GROUPS} groups: cut it into bands")
    return on_shares(asked, seen, expected)


def _of_holdout(columns: Grouping, evidence: Evidence) -> dict[str, Expected]:
    holdout = evidence.holdout
    missing = [name for name in columns if holdout is None or name not in holdout.columns]
    if holdout is None or missing:
        msg = f"the holdout has no column {missing[0]!r}, and no shares are stated"
        raise UndefinedMeasure(msg)
    nothing = np.zeros(holdout.height)
    cells = count_cells(nothing, nothing, {name: holdout[name] for name in columns})
    return {
        group_name(columns, values): Expected(n / holdout.height, n, holdout.height)
        for values, n in zip(cells.values, cells.n.tolist(), strict=True)
    }


def _on_outcomes(
    gate: RepresentationGate, columns: Grouping, counted: Representation
) -> list[Finding]:
    limits = (gate.label_ratio_at_least, gate.label_difference_at_most)
    asked = asked_of(RATES["base_rate"], columns, gate, limits)
    labelled = [cell.labelled for cell in counted.cells]
    favourable = [
        cell.positive if gate.favourable else cell.labelled - cell.positive
        for cell in counted.cells
    ]
    return answers(asked, {"base_rate": _shares_of(counted, columns, labelled, favourable)})


def _on_missing(
    gate: RepresentationGate, columns: Grouping, counted: Representation
) -> list[Finding]:
    """One finding on all fields together, and what each group has of the one that differs most."""
    if gate.missing_difference_at_most is None:
        return []
    (asked,) = asked_of(_MISSING, columns, gate, (None, gate.missing_difference_at_most))
    if not counted.fields:
        return [_nothing_missing(asked, counted)]
    n = [cell.n for cell in counted.cells]
    found = {
        field: _shares_of(counted, columns, n, [cell.missing[i] for cell in counted.cells])
        for i, field in enumerate(counted.fields)
    }
    compared = {field: _named(field, pairs_of(asked, each)) for field, each in found.items()}
    worst = max(found, key=lambda field: max((pair.value for pair in compared[field]), default=0.0))
    together = [pair for pairs in compared.values() for pair in pairs]
    return [
        concluded(asked, found[worst], together),
        *each_group(_of_field(asked, worst), found[worst]),
    ]


def _nothing_missing(asked: Asked, counted: Representation) -> Finding:
    return Finding(
        gate=asked.words,
        metric=asked.metric,
        value=0.0,
        limit=asked.limit,
        n_rows=sum(cell.n for cell in counted.cells),
        outcome="pass",
        reason="no row lacks a value",
    )


def _named(field: str, pairs: list[Comparison]) -> list[Comparison]:
    return [pair._replace(words=f"{field}: {pair.words}") for pair in pairs]


def _of_field(asked: Asked, field: str) -> Asked:
    return asked._replace(rate=asked.rate._replace(name=f"missing {field}"))
