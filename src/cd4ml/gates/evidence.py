"""What a judge needs to see: rows with their outcome, and what each model said about them."""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING, Any, NamedTuple

import numpy as np
from numpy.typing import ArrayLike, NDArray

from cd4ml.errors import InvalidInput
from cd4ml.records.finding import Finding

if TYPE_CHECKING:
    import polars as pl

MOST_SLICES = 50  # of one column; the rows of the rarer values are one slice, "other"


class Evidence(NamedTuple):
    """A candidate's answers on the holdout, beside the truth and the answers of others.

    All arrays have one entry a row, in the order of `holdout`. `champion` is a key of `others`, or
    "" when there is no champion yet. `gathered` has the own record of each kind of gate that needs
    more than the rows, `missing` says why one could not be had, and `found` are findings that
    were made on the way.
    """

    y_true: NDArray[np.float64]
    score: NDArray[np.float64]
    base_rate: float  # share of positive rows in the training data: all a trivial model knows
    champion: str = ""  # "delay/3"
    others: Mapping[str, NDArray[np.float64]] = {}  # version -> its scores
    slices: Mapping[str, NDArray[Any]] = {}  # column -> its value in each row
    holdout: pl.DataFrame | None = None  # the rows themselves, with every column
    target: str = ""  # which of its columns `y_true` is
    gathered: Mapping[str, Any] = {}  # kind of gate -> its own record
    missing: Mapping[str, str] = {}  # kind of gate -> why there is none
    found: tuple[Finding, ...] = ()


def evidence_of(
    holdout: pl.DataFrame,
    *,
    target: str,
    score: ArrayLike,
    base_rate: float,
    champion: str = "",
    others: Mapping[str, ArrayLike] | None = None,
    slices: tuple[str, ...] = (),
) -> Evidence:
    """Evidence from the holdout's table and the scores of its rows.

    Args:
        holdout: One row a case, with the target and the columns to slice by.
        target: Column to predict: booleans or numbers; null is kept, and judged as an error.
        score: The candidate's answer for each row.
        base_rate: Share of positive rows in the training data.
        champion: The version in charge, "" for none.
        others: Scores of the champion and of other versions on the same rows.
        slices: Columns to show the measures by.

    Raises:
        InvalidInput: If a column is missing or the target holds no numbers.
    """
    for column in (target, *slices):
        if column not in holdout.columns:
            msg = f"the holdout has no column {column!r}"
            raise InvalidInput(msg, hint=f"known: {', '.join(holdout.columns)}")
    return Evidence(
        y_true=_numbers(holdout, target),
        score=np.asarray(score, dtype=np.float64),
        base_rate=base_rate,
        champion=champion,
        others={ref: np.asarray(one, dtype=np.float64) for ref, one in (others or {}).items()},
        slices={column: _groups(holdout, column) for column in slices},
        holdout=holdout,
        target=target,
    )


def _numbers(holdout: pl.DataFrame, target: str) -> NDArray[np.float64]:
    import polars as pl

    column = holdout[target]
    if not (column.dtype.is_numeric() or column.dtype == pl.Boolean):
        msg = f"the target {target!r} is to be predicted as a number, got {column.dtype}"
        raise InvalidInput(msg, hint="encode it as 0 and 1")
    return column.cast(pl.Float64).to_numpy()


def _groups(holdout: pl.DataFrame, name: str) -> NDArray[Any]:
    import polars as pl

    column = holdout[name].cast(pl.String)
    if column.n_unique() > MOST_SLICES:
        common = column.value_counts(sort=True).head(MOST_SLICES)[name].implode()
        column = holdout.select(
            pl.when(pl.col(name).cast(pl.String).is_in(common))
            .then(pl.col(name).cast(pl.String))
            .otherwise(pl.lit("other"))
        )[name]
    return np.asarray(column.to_list(), dtype=object)
