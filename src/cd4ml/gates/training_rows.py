"""Training rows counted by groups of people."""

from __future__ import annotations

from typing import TYPE_CHECKING

from cd4ml.errors import InvalidInput
from cd4ml.measures.cells import texts_of
from cd4ml.records.representation import Representation, RowsOfGroup

if TYPE_CHECKING:
    import polars as pl

_MOST_CELLS = 10_000


def count_training(training: pl.DataFrame, columns: tuple[str, ...], target: str) -> Representation:
    """How many rows each combination of groups has, their outcomes, and what is missing in them.

    Args:
        training: What was learned from, one row a case.
        columns: By which people are told apart.
        target: What is to be predicted; a row whose outcome is neither 0 nor 1 counts as unlabelled.

    Returns:
        Cells in order of their values; of the fields those in which some value is missing.

    Raises:
        InvalidInput: If the columns make so many groups that they are none.

    Examples:
        >>> import polars as pl
        >>> rows = pl.DataFrame(
        ...     {"sex": ["f", "m", "m"], "pay": [1.0, None, 2.0], "late": [0, 1, 1]}
        ... )
        >>> count_training(rows, ("sex",), "late").cells[1]
        RowsOfGroup(values=('m',), n=2, labelled=2, positive=2, missing=(1,))
    """
    import polars as pl

    fields = [name for name in training.columns if name not in columns]
    rows = training.select(
        *(pl.col(name).alias(f"by {name}") for name in columns),
        _outcome(training, target).alias("positive"),
        *(_is_missing(name, training.schema[name]) for name in fields),
    )
    told = [name for name in fields if rows[f"missing {name}"].any()]
    keys = [f"by {name}" for name in columns]
    found = rows.group_by(keys).agg(
        pl.len().alias("n"),
        pl.col("positive").count().alias("labelled"),
        pl.col("positive").sum(),
        *(pl.col(f"missing {name}").sum() for name in told),
    )
    if found.height > _MOST_CELLS:
        msg = f"{', '.join(columns)} make {found.height:,} groups of the training rows"
        raise InvalidInput(msg, hint="cut what is measured into bands")
    counts = found.drop(keys).select(
        "n", "labelled", "positive", pl.exclude("n", "labelled", "positive")
    )
    cells = [
        RowsOfGroup(values, n, labelled, positive, tuple(missing))
        for values, (n, labelled, positive, *missing) in zip(
            texts_of(found.select(keys)), counts.rows(), strict=True
        )
    ]
    cells.sort(key=lambda cell: cell.values)
    return Representation(columns=columns, fields=tuple(told), cells=tuple(cells))


def _outcome(training: pl.DataFrame, target: str) -> pl.Expr:
    """1 and 0 as they are, null for whatever else stands there."""
    import polars as pl

    number = pl.col(target).cast(pl.Float64, strict=False)
    return pl.when(number.is_in([0.0, 1.0])).then(number.cast(pl.Int64, strict=False))


def _is_missing(name: str, type_: pl.DataType) -> pl.Expr:
    import polars as pl

    column = pl.col(name)
    missing = column.is_null() | column.is_nan() if type_.is_float() else column.is_null()
    return missing.fill_null(True).alias(f"missing {name}")
