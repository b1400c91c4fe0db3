"""The profile of one column that is in memory."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from math import isfinite
from typing import TYPE_CHECKING, Any, NamedTuple

import msgspec

from cd4ml.data.bins import fits, is_pinned, kind_of, type_name, unit_of
from cd4ml.records.profile import QUANTILES, Bins, ColumnProfile, Kind

if TYPE_CHECKING:
    import numpy as np
    import polars as pl
    from numpy.typing import NDArray

    from cd4ml.measures.periods import Unit

FINE_BINS = 100  # of numbers: their edges are the percentiles of the rows first seen,
TAILS = (0.001, 0.005, 0.995, 0.999)  # and a few more where values are rare and far apart
MOST_CATEGORIES = 50  # pinned
MOST_TOP = 100  # commonest texts that are kept
MOST_PERIODS = 400

_EXACT = 2**53  # integers beyond it are not told apart as floats
_MICROSECONDS = 1_000_000
_NANOSECONDS = 1_000_000_000


class Amounts(NamedTuple):
    """A column as numbers: the finite ones in ascending order, and how many are none."""

    present: NDArray[np.float64]
    n_nan: int
    n_infinite: int


def column_profile(column: pl.Series, before: Bins | None = None) -> ColumnProfile:
    """The profile of one column.

    Args:
        column: Any type.
        before: The bins that its values were counted in before; if it does not fit them, or
            they are not settled, it gets bins of its own.

    Examples:
        >>> import polars as pl
        >>> made = column_profile(pl.Series("carrier", ["UA", "UA", None, "HA"]))
        >>> made.bins.categories, made.counts, made.n_distinct
        (('UA', 'HA'), (2, 1, 0, 1), 2)
    """
    keeps = before is not None and is_pinned(before) and fits(before, column.dtype)
    bins = before if before is not None and keeps else Bins(kind=kind_of(column))
    empty = ColumnProfile(
        name=column.name,
        type=type_name(column.dtype),
        bins=bins,
        n_rows=len(column),
        n_null=column.null_count(),
    )
    return _BY_KIND[bins.kind](empty, column)


def _opaque(empty: ColumnProfile, _: pl.Series) -> ColumnProfile:
    return empty


def _numbers(empty: ColumnProfile, column: pl.Series) -> ColumnProfile:
    from cd4ml.measures.histogram import histogram_of_sorted, quantiles_of_sorted
    from cd4ml.measures.spread import spread

    found = _amounts(column)
    n_missing = empty.n_null + found.n_nan + found.n_infinite
    bins = _pinned_edges(empty.bins, column.dtype, found)
    seen = spread(found.present)
    minimum, maximum = _ends(column, found)
    n_distinct = _n_distinct(column, found)
    quantiles = quantiles_of_sorted(found.present, QUANTILES if found.present.size else [])
    return msgspec.structs.replace(
        empty,
        bins=bins,
        n_nan=found.n_nan,
        n_infinite=found.n_infinite,
        minimum=minimum,
        maximum=maximum,
        mean=_finite(seen.mean) if seen.n else None,
        squares=_finite(seen.squares) if seen.n else None,
        quantiles=tuple(quantiles.tolist()),
        top=_values(column, found, n_distinct),
        is_top_complete=n_distinct is not None and n_distinct <= MOST_TOP and _is_plain(column),
        n_distinct=n_distinct,
        n_distinct_at_most=n_distinct,
        counts=tuple(histogram_of_sorted(found.present, bins.edges, n_missing=n_missing).tolist()),
    )


def _pinned_edges(bins: Bins, type_: pl.DataType, found: Amounts) -> Bins:
    from cd4ml.measures.histogram import edges_of_sorted

    if bins.edges:
        return bins
    edges = edges_of_sorted(found.present, FINE_BINS, tails=TAILS) if found.present.size else ()
    return Bins(kind=bins.kind, unit=unit_of(type_), edges=tuple(float(edge) for edge in edges))


def _amounts(column: pl.Series) -> Amounts:
    import numpy as np
    import polars as pl

    numbers = _as_numbers(column).cast(pl.Float64).drop_nulls().to_numpy()
    ordered = np.sort(numbers)  # infinities at the ends, nan last
    n_nan = int(np.isnan(ordered).sum())
    numbered = ordered[: ordered.size - n_nan]
    first = int(np.searchsorted(numbered, -np.inf, side="right"))
    last = int(np.searchsorted(numbered, np.inf, side="left"))
    present = numbered[first:last]
    return Amounts(present, n_nan, numbered.size - present.size)


def _as_numbers(column: pl.Series) -> pl.Series:
    import polars as pl

    type_ = column.dtype
    if type_ == pl.Duration:
        return column.dt.total_microseconds() / _MICROSECONDS
    if type_ == pl.Time:
        return column.cast(pl.Int64) / _NANOSECONDS
    if type_ == pl.String:
        return column.str.len_chars()
    if type_ == pl.Binary:
        return column.bin.size()
    if type_ == pl.List:
        return column.list.len()
    return column.arr.len() if type_ == pl.Array else column


def _ends(column: pl.Series, found: Amounts) -> tuple[int | float | None, int | float | None]:
    """The smallest and the greatest finite value; integers exactly."""
    if not found.present.size:
        return None, None
    if column.dtype.is_integer():
        return column.min(), column.max()  # type: ignore[return-value]
    return float(found.present[0]), float(found.present[-1])


def _n_distinct(column: pl.Series, found: Amounts) -> int | None:
    import numpy as np

    if column.dtype.is_nested():
        return None
    if not found.present.size:
        return 0
    if _is_plain(column):
        return int(np.count_nonzero(found.present[1:] != found.present[:-1])) + 1
    return column.drop_nulls().n_unique()


def _is_plain(column: pl.Series) -> bool:
    """Whether its values are numbers that floats tell apart."""
    if not column.dtype.is_integer():
        return column.dtype.is_float()
    ends = [end for end in (column.min(), column.max()) if isinstance(end, int)]
    return all(-_EXACT < end < _EXACT for end in ends)


def _values(
    column: pl.Series, found: Amounts, n_distinct: int | None
) -> tuple[tuple[str, int], ...]:
    """All the numbers with their counts, the commonest first; none where they are many."""
    import numpy as np

    from cd4ml.measures.categories import commonest

    if n_distinct is None or n_distinct > MOST_TOP or not _is_plain(column):
        return ()
    is_new = found.present[1:] != found.present[:-1]
    starts = np.append(0, np.flatnonzero(is_new) + 1) if found.present.size else np.array([], int)
    values = found.present[starts]
    counts = np.diff(np.append(starts, found.present.size))
    if column.dtype.is_integer():
        values = values.astype(np.int64)
    texts = map(str, values.tolist())
    return commonest(dict(zip(texts, counts.tolist(), strict=True)), MOST_TOP).counts


def _categories(empty: ColumnProfile, column: pl.Series) -> ColumnProfile:
    from cd4ml.measures.categories import category_counts, commonest

    found = _counted(column)
    top = commonest(found, MOST_TOP)
    bins = empty.bins
    if not bins.categories:
        pinned = tuple(text for text, _ in top.counts[:MOST_CATEGORIES])
        bins = Bins(kind="category", categories=pinned)
    counts = category_counts(found, bins.categories, n_missing=empty.n_null)
    return msgspec.structs.replace(
        empty,
        bins=bins,
        n_distinct=len(found),
        n_distinct_at_most=len(found),
        counts=tuple(counts.tolist()),
        top=top.counts,
        is_top_complete=top.is_complete,
    )


def _counted(column: pl.Series) -> Mapping[str, int]:
    """Text -> rows that have it."""
    import polars as pl

    table = column.drop_nulls().cast(pl.String).rename("text").value_counts(name="n")
    return dict(zip(table["text"].to_list(), table["n"].to_list(), strict=True))


def _times(empty: ColumnProfile, column: pl.Series) -> ColumnProfile:
    import polars as pl

    from cd4ml.measures.periods import periods

    moments = column.drop_nulls().cast(pl.Datetime("us", _zone(column.dtype)))
    if _zone(column.dtype):
        moments = moments.dt.convert_time_zone("UTC")
    moments = moments.cast(pl.Datetime("us"))
    unit, found = _periods(moments)
    made = periods(unit, found, MOST_PERIODS)
    ends = pl.Series([moments.min(), moments.max()], dtype=pl.Datetime("us"))
    first, last = ends.dt.strftime("%Y-%m-%dT%H:%M:%S%.6f").to_list()
    n_distinct = moments.n_unique()
    return msgspec.structs.replace(
        empty,
        minimum=first,
        maximum=last,
        n_distinct=n_distinct,
        n_distinct_at_most=n_distinct,
        period=made.unit,
        periods=made.counts,
        counts=(len(moments), empty.n_null),
    )


_FORMATS: tuple[tuple[Unit, str, str], ...] = (
    ("hour", "1h", "%Y-%m-%dT%H"),
    ("day", "1d", "%Y-%m-%d"),
    ("month", "1mo", "%Y-%m"),
    ("year", "1y", "%Y"),
)


def _periods(moments: pl.Series) -> tuple[Unit, dict[str, int]]:
    """Rows in the finest periods of which not too many are filled."""
    for unit, every, name in _FORMATS:
        starts = moments.dt.truncate(every).rename("start")
        if unit == "year" or starts.n_unique() <= MOST_PERIODS:
            table = starts.value_counts(name="n")
            names = table["start"].dt.strftime(name).to_list()
            return unit, dict(zip(names, table["n"].to_list(), strict=True))
    raise AssertionError  # years are the last


def _zone(type_: pl.DataType) -> str | None:
    return getattr(type_, "time_zone", None)


def _finite(value: float) -> float | None:
    return value if isfinite(value) else None


_BY_KIND: Mapping[Kind, Callable[[ColumnProfile, Any], ColumnProfile]] = {
    "number": _numbers,
    "length": _numbers,
    "category": _categories,
    "time": _times,
    "opaque": _opaque,
}
