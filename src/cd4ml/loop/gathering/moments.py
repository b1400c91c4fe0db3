"""Times of different columns made comparable."""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    import polars as pl


def moments(column: pl.Series) -> pl.Series:
    """Times in UTC without saying so; a time without a zone is taken for UTC.

    Examples:
        >>> from datetime import date
        >>> import polars as pl
        >>> moments(pl.Series([date(2013, 2, 1)])).to_list()
        [datetime.datetime(2013, 2, 1, 0, 0)]
    """
    import polars as pl

    zone = getattr(column.dtype, "time_zone", None)
    if zone is not None:
        column = column.dt.convert_time_zone("UTC").dt.replace_time_zone(None)
    return column.cast(pl.Datetime("us"))
