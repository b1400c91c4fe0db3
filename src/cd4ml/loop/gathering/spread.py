"""Some rows of a table, spread over all of it."""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    import polars as pl


def spread(rows: pl.DataFrame, n: int) -> pl.DataFrame:
    """At most `n` rows at even distances, the first and the last among them.

    Examples:
        >>> import polars as pl
        >>> spread(pl.DataFrame({"row": range(10)}), 4)["row"].to_list()
        [0, 3, 6, 9]
    """
    import numpy as np

    if rows.height <= n:
        return rows
    places = np.linspace(0, rows.height - 1, n).round().astype(int)
    found: pl.DataFrame = rows[places.tolist()]
    return found
