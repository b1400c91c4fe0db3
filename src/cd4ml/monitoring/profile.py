"""What a table's columns look like, as counts in bins that are pinned once.

A profile is small, can be kept as a record, and is all that drift needs of the past.
"""

from __future__ import annotations

from collections import Counter
from typing import TYPE_CHECKING, Literal

import msgspec

if TYPE_CHECKING:
    import numpy as np
    import polars as pl
    from numpy.typing import NDArray

MOST_CATEGORIES = 50


class ColumnProfile(msgspec.Struct, frozen=True, kw_only=True):
    """One column of the reference rows, and the bins in which others are counted.

    A number falls into the bins between `edges`, a text (or boolean) into that of its
    category or into the one for all others; the last bin counts missing values.
    """

    name: str
    kind: Literal["number", "category"]
    edges: tuple[float, ...] = ()
    categories: tuple[str, ...] = ()
    counts: tuple[int, ...]


class Profile(msgspec.Struct, frozen=True, kw_only=True):
    """The columns of the reference rows; times are left out, for they always move on."""

    n_rows: int
    columns: tuple[ColumnProfile, ...]


def profile(frame: pl.DataFrame) -> Profile:
    """The profile of a table: ten bins of equal counts a number, the commonest categories."""
    kept = [column for column in frame if not column.dtype.is_temporal()]
    return Profile(n_rows=frame.height, columns=tuple(column_profile(column) for column in kept))


def column_profile(column: pl.Series) -> ColumnProfile:
    """The profile of one column.

    Examples:
        >>> import polars as pl
        >>> column_profile(pl.Series("carrier", ["UA", "UA", None, "HA"])).counts
        (2, 1, 0, 1)
    """
    from cd4ml.measures.categories import commonest

    if column.dtype.is_numeric():
        edges = _edges(column)
        empty = ColumnProfile(name=column.name, kind="number", edges=edges, counts=())
    else:
        top = commonest(Counter(_texts(column)), MOST_CATEGORIES)
        categories = tuple(text for text, _ in top.counts)
        empty = ColumnProfile(name=column.name, kind="category", categories=categories, counts=())
    counts = tuple(int(count) for count in counts_in(empty, column))
    return msgspec.structs.replace(empty, counts=counts)


def counts_in(bins: ColumnProfile, column: pl.Series) -> NDArray[np.int64]:
    """How many values of a column fall into each bin of a profile, shape (bins,)."""
    import numpy as np

    from cd4ml.measures.categories import category_counts
    from cd4ml.measures.histogram import histogram

    if bins.kind == "number":
        return histogram(_numbers(column), np.array(bins.edges))
    found = Counter(_texts(column))
    return category_counts(found, bins.categories, n_missing=column.null_count())


def _edges(column: pl.Series) -> tuple[float, ...]:
    import numpy as np

    from cd4ml.measures.histogram import edges

    numbers = _numbers(column)
    finite = numbers[np.isfinite(numbers)]
    return tuple(edges(finite).tolist()) if finite.size else ()


def _numbers(column: pl.Series) -> NDArray[np.float64]:
    import polars as pl

    return column.cast(pl.Float64).fill_null(float("nan")).to_numpy()


def _texts(column: pl.Series) -> list[str]:
    import polars as pl

    return column.drop_nulls().cast(pl.String).to_list()
