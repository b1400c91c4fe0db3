"""Slices of the holdout, cut and measured: those of columns, of pairs, and named ones."""

from __future__ import annotations

from typing import NamedTuple

import numpy as np
import polars as pl
from numpy.typing import NDArray

from cd4ml.gates.columns import coded
from cd4ml.gates.evidence import Evidence
from cd4ml.gates.limits import measured
from cd4ml.measures.catalog import Measure
from cd4ml.measures.divergence import benjamini_hochberg
from cd4ml.measures.estimate import Estimate, UndefinedMeasure
from cd4ml.measures.weakest import p_worse
from cd4ml.records.slices_gate import SlicesGate

AND = " & "


class Slice(NamedTuple):
    """One slice, measured; without an estimate, why not."""

    name: str
    n: int
    estimate: Estimate | None
    p_value: float | None = None  # that it is worse than the limit by chance; None if too small
    reason: str = ""


def all_slices(gate: SlicesGate, measure: Measure, evidence: Evidence, limit: float) -> list[Slice]:
    """Every slice of the gate's columns and pairs of columns."""
    if evidence.holdout is None:
        return []
    chosen = [(name,) for name in _columns(gate, evidence)] + list(gate.pairs)
    found: list[Slice] = []
    for names in chosen:
        columns = [coded(evidence.holdout, name) for name in names]
        cells = np.ravel_multi_index(
            [column.codes for column in columns], [len(column.names) for column in columns]
        )
        for cell in np.unique(cells):
            places = np.unravel_index(cell, [len(column.names) for column in columns])
            name = AND.join(c.names[int(at)] for c, at in zip(columns, places, strict=True))
            rows = np.flatnonzero(cells == cell)
            found.append(measured_slice(measure, gate, evidence, name, rows, limit))
    return found


def _columns(gate: SlicesGate, evidence: Evidence) -> tuple[str, ...]:
    if gate.columns or gate.pairs or gate.named:
        return gate.columns
    return tuple(evidence.slices)


def rows_of(evidence: Evidence, name: str) -> NDArray[np.int64]:
    """The rows of a named slice: those that have all the values it names.

    Raises:
        UndefinedMeasure: If the holdout lacks a column of it.
    """
    holdout = pl.DataFrame() if evidence.holdout is None else evidence.holdout
    is_in = np.ones(evidence.y_true.size, dtype=bool)
    for part in name.split(AND):
        column, _, value = part.partition("=")
        if column not in holdout.columns:
            raise UndefinedMeasure(f"the holdout has no column {column!r} to slice by")
        words = holdout[column].cast(pl.String).fill_null("null")
        is_in &= (words == value).to_numpy()
    return np.flatnonzero(is_in)


def measured_slice(
    measure: Measure,
    gate: SlicesGate,
    evidence: Evidence,
    name: str,
    rows: NDArray[np.int64],
    limit: float,
) -> Slice:
    """One slice against the limit; if its rows do not define the measure, the reason."""
    y_true, score = evidence.y_true[rows], evidence.score[rows]
    if rows.size == 0:
        return Slice(name, 0, None, reason="there are no such rows")
    try:
        estimate = measured(measure.function(y_true, score))
        is_large = rows.size >= gate.min_rows
        p_value = p_worse(measure, y_true, score, limit) if is_large else None
    except UndefinedMeasure as error:
        return Slice(name, rows.size, None, reason=str(error))
    return Slice(name, rows.size, estimate, p_value)


def failing(slices: list[Slice], rate: float) -> frozenset[str]:
    """The slices that are worse than the limit beyond chance, all of them considered together."""
    p_values = {one.name: one.p_value for one in slices if one.p_value is not None}
    if not p_values:
        return frozenset()
    is_failing = benjamini_hochberg(list(p_values.values()), rate)
    return frozenset(name for name, fails in zip(p_values, is_failing, strict=True) if fails)
