"""Answers of any model, taken apart by asking it about mixtures of rows."""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING

import numpy as np

from cd4ml.models.explain.mixtures import MOST_USUAL, Ways, moved_by, ways_from
from cd4ml.models.explain.parts import Floats, Parts

if TYPE_CHECKING:
    import polars as pl

Score = Callable[["pl.DataFrame"], Floats]


def sampled_parts(
    score: Score, frame: pl.DataFrame, background: pl.DataFrame, *, seed: int = 0
) -> Parts:
    """What each field adds to an answer when a usual row becomes the row that was asked about.

    From each row of the background the fields are replaced one after the other, in an order drawn
    by lot and in its reverse; what the answer moves by when a field is replaced is the field's. The
    mean over all rows is an unbiased estimate of its Shapley value. The steps of each way add up to
    the whole difference, so the parts add up to the answer exactly, however few ways were gone.

    Args:
        score: The model's answers to rows.
        frame: The rows that were asked about, at least one.
        background: Usual rows; 32 of them are used.
        seed: Of the orders.

    Source:
        E. Štrumbelj, I. Kononenko, "Explaining prediction models and individual predictions with
        feature contributions", Knowledge and Information Systems 41, 2014, algorithm 1; both
        directions: R. Mitchell et al., "Sampling permutations for Shapley value estimation",
        JMLR 23, 2022, section 4.1.
    """
    usual = background.select(frame.columns).cast(dict(frame.schema))  # type: ignore[arg-type]
    few = usual.sample(min(MOST_USUAL, usual.height), seed=seed)
    ways = ways_from(few.height, few.width, seed)
    starts = few[ways.starts.tolist()]
    return Parts(
        names=tuple(frame.columns),
        amounts=np.array([_amounts(score, row, starts, ways) for row in frame.iter_slices(1)]),
        base=float(np.asarray(score(few), dtype=np.float64).mean()),
        unit="answer",
        method="sampled",
    )


def _amounts(score: Score, row: pl.DataFrame, starts: pl.DataFrame, ways: Ways) -> Floats:
    import polars as pl

    mixed = [
        row[name].new_from_index(0, old.len()).zip_with(pl.Series(is_new), old)
        for name, old, is_new in zip(row.columns, starts.iter_columns(), ways.is_new.T, strict=True)
    ]
    answers = np.asarray(score(pl.DataFrame(mixed)), dtype=np.float64)
    return moved_by(ways, answers)
