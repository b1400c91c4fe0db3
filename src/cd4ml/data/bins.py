"""In what the values of a column are counted, by its type."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING

from cd4ml.records.profile import Bins, Kind

if TYPE_CHECKING:
    import polars as pl

_MANY_TEXTS = 1_000  # different ones, from which a column may be free text
_LONGEST_CATEGORY = 200  # characters


def kind_of(column: pl.Series) -> Kind:
    """What kind of bins a column takes when it is first seen.

    Examples:
        >>> import polars as pl
        >>> kind_of(pl.Series([1.5])), kind_of(pl.Series(["UA"])), kind_of(pl.Series([[1, 2]]))
        ('number', 'category', 'length')
    """
    import polars as pl

    if column.dtype == pl.String:
        return "length" if _is_free_text(column) else "category"
    return _kind_of_type(column.dtype)


def fits(bins: Bins, type_: pl.DataType) -> bool:
    """Whether values of a type can be counted in these bins."""
    import polars as pl

    if type_ == pl.String:
        return bins.kind == "category" or (bins.kind, bins.unit) == ("length", "characters")
    return (bins.kind, bins.unit) == (_kind_of_type(type_), unit_of(type_))


def is_pinned(bins: Bins) -> bool:
    """Whether values have been seen, so that the bins are settled."""
    return bool(bins.edges or bins.categories) or bins.kind in ("time", "opaque")


def unit_of(type_: pl.DataType) -> str:
    """The unit of the numbers that stand for values of a type; "" if it has none of its own."""
    import polars as pl

    if type_ in (pl.Duration, pl.Time):
        return "s"
    if type_ in (pl.List, pl.Array):
        return "items"
    if type_ == pl.Binary:
        return "bytes"
    return "characters" if type_ == pl.String else ""


def type_name(type_: pl.DataType) -> str:
    """A type as people write it.

    Examples:
        >>> import polars as pl
        >>> type_name(pl.Datetime("us", "UTC")), type_name(pl.Int64())
        ('Datetime(us, UTC)', 'Int64')
    """
    return re.sub(r"\w+=|'", "", str(type_))


def _kind_of_type(type_: pl.DataType) -> Kind:
    import polars as pl

    if type_.is_numeric() or type_ in (pl.Duration, pl.Time):
        return "number"
    if type_ in (pl.Date, pl.Datetime):
        return "time"
    if type_ in (pl.Boolean, pl.Categorical, pl.Enum):
        return "category"
    return "length" if type_ in (pl.List, pl.Array, pl.Binary) else "opaque"


def _is_free_text(column: pl.Series) -> bool:
    """Whether its texts are mostly different ones, or too long to be names of something."""
    if (column.str.len_chars() > _LONGEST_CATEGORY).any():
        return True
    present = column.drop_nulls()
    n_distinct = present.n_unique()
    return n_distinct > _MANY_TEXTS and 2 * n_distinct > len(present)
