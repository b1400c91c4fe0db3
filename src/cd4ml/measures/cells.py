"""Rows counted once, in cells of all columns together: every grouping of them is sums of these counts."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from math import nan
from typing import TYPE_CHECKING, Any, Literal, NamedTuple

import numpy as np
from numpy.typing import ArrayLike, NDArray

from cd4ml.measures.classification import labelled_scores
from cd4ml.measures.named_rates import AND

if TYPE_CHECKING:
    import polars as pl

Counts = NDArray[np.int64]


class Cells(NamedTuple):
    """Counts of rows in each cell: each combination of values of the columns that occurs.

    Arrays have one entry a cell. `favourable` is what one hopes for: to be answered so, and to
    turn out so.
    """

    columns: tuple[str, ...]
    values: tuple[tuple[str, ...], ...]  # of each cell, one a column; a missing value is "null"
    n: Counts
    favourable: Counts  # rows whose outcome is favourable
    answered: Counts  # rows whose answer is favourable
    hits: Counts  # rows of which both are
    said: NDArray[np.float64]  # sum of the probabilities of it; nan where scores are none


def count_cells(
    y_true: ArrayLike,
    score: ArrayLike,
    groups: Mapping[str, Any],
    *,
    threshold: float = 0.5,
    favourable: Literal[0, 1] = 1,
) -> Cells:
    """The rows of each combination of groups, counted by outcome and answer.

    Args:
        y_true: 0 or 1, shape (rows,).
        score: The higher, the more it says 1, shape (rows,).
        groups: Column -> the group of each row, shape (rows,); an array, list or Polars Series.
        threshold: Smallest score that answers 1.
        favourable: Which outcome is good for the person: of a model of refusals it is 0.

    Returns:
        Cells in order of their values.

    Raises:
        UndefinedMeasure: If there are no rows.
        ValueError: If labels, scores and groups do not fit.

    Source:
        Definition.

    Examples:
        >>> cells = count_cells([1, 0, 1], [0.9, 0.8, 0.2], {"sex": ["f", "m", "m"]})
        >>> cells.values, cells.n, cells.answered, cells.hits
        ((('f',), ('m',)), array([1, 2]), array([1, 1]), array([1, 0]))
    """
    import polars as pl

    labels, scores = labelled_scores(y_true, score)
    answers = scores >= threshold
    said = scores if ((scores >= 0) & (scores <= 1)).all() else np.full(scores.shape, nan)
    if favourable == 0:
        labels, answers, said = ~labels, ~answers, 1 - said
    keys = _keys(groups, labels.size)
    rows = keys.with_columns(
        pl.Series("outcome", labels), pl.Series("answer", answers), pl.Series("said", said)
    )
    counted = rows.group_by(keys.columns).agg(
        pl.len().alias("n"),
        pl.col("outcome", "answer").sum(),
        (pl.col("outcome") & pl.col("answer")).sum().alias("hits"),
        pl.col("said").sum(),
    )
    values = texts_of(counted.select(keys.columns))
    return _gathered(
        tuple(groups),
        values,
        [counted[name].to_numpy() for name in ("n", "outcome", "answer", "hits", "said")],
    )


def roll_up(cells: Cells, by: Sequence[str]) -> Cells:
    """The same rows in fewer, larger cells.

    Args:
        cells: Of more columns.
        by: Columns of the result; without any there is one cell, of all rows.

    Returns:
        Cells in order of their values.

    Raises:
        ValueError: If the cells have no such column.

    Source:
        Counts can be added.

    Examples:
        >>> groups = {"sex": ["f", "m", "m"], "age": ["old", "old", "young"]}
        >>> cells = count_cells([1, 0, 1], [0.9, 0.8, 0.2], groups)
        >>> roll_up(cells, ["sex"]).n, roll_up(cells, []).n
        (array([1, 2]), array([3]))
    """
    for name in by:
        if name not in cells.columns:
            msg = f"rows were not counted by {name!r}, only by {', '.join(cells.columns)}"
            raise ValueError(msg)
    at = [cells.columns.index(name) for name in by]
    values = [tuple(each[i] for i in at) for each in cells.values]
    return _gathered(tuple(by), values, list(cells[2:]))


def group_name(columns: Sequence[str], values: Sequence[str]) -> str:
    """A group in words; of no column, all rows.

    Args:
        columns: That it is of.
        values: Its value in each.

    Returns:
        Text.

    Source:
        None: words.

    Examples:
        >>> group_name(("black", "single"), ("yes", "no"))
        'black=yes & single=no'
    """
    pairs = zip(columns, values, strict=True)
    return AND.join(f"{column}={value}" for column, value in pairs) or "all rows"


def texts_of(keys: pl.DataFrame) -> list[tuple[str, ...]]:
    """The values of each row as text; what is missing, or nan, is "null".

    Args:
        keys: One column a grouping.

    Returns:
        A tuple a row.

    Source:
        None: words.

    Examples:
        >>> import polars as pl
        >>> texts_of(pl.DataFrame({"sex": ["f", None], "band": [1, 2]}))
        [('f', '1'), ('null', '2')]
    """
    import polars as pl

    texts = keys.select(
        pl.col(name).cast(pl.String).fill_null("null").replace("NaN", "null")
        for name in keys.columns
    )
    return texts.rows()


def _keys(groups: Mapping[str, Any], n_rows: int) -> pl.DataFrame:
    """One column a grouping, under names that nothing else has."""
    import polars as pl

    if not groups:
        raise ValueError("expected a column to group by, got none")
    found = {}
    for name, values in groups.items():
        column = values if isinstance(values, pl.Series) else _series(values)
        if len(column) != n_rows:
            msg = f"each row needs a group, got {n_rows} rows and {len(column)} values of {name!r}"
            raise ValueError(msg)
        found[f"by {name}"] = column
    return pl.DataFrame(found)


def _series(values: ArrayLike) -> pl.Series:
    import polars as pl

    array = np.asarray(values)
    return pl.Series(array.tolist(), strict=False) if array.dtype == object else pl.Series(array)


def _gathered(
    columns: tuple[str, ...], values: Sequence[tuple[str, ...]], counts: Sequence[NDArray[Any]]
) -> Cells:
    """Cells with each combination of values once, in order; counts of the same one are added."""
    order = {value: i for i, value in enumerate(sorted(set(values)))}
    which = np.array([order[value] for value in values], dtype=np.int64)
    *whole, said = (np.bincount(which, weights=each, minlength=len(order)) for each in counts)
    n, favourable, answered, hits = (np.rint(each).astype(np.int64) for each in whole)
    sums = np.asarray(said, dtype=np.float64)
    return Cells(columns, tuple(order), n, favourable, answered, hits, sums)
