"""What a table's columns hold, told in one reading of it; and how parts are put together."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from concurrent.futures import ThreadPoolExecutor
from functools import reduce
from typing import TYPE_CHECKING, Any

import msgspec

from cd4ml.data.bins import is_pinned
from cd4ml.data.column_profile import MOST_PERIODS, MOST_TOP, column_profile
from cd4ml.records.dataset import Column
from cd4ml.records.profile import Bins, ColumnProfile, Profile

if TYPE_CHECKING:
    import polars as pl

_MOST_THREADS = 8
_CELLS = 40_000_000  # values in memory at once, where the columns can be read a few at a time


def profile(frame: pl.LazyFrame, before: Mapping[str, Bins] | None = None) -> Profile:
    """The profile of a table.

    Args:
        frame: The table; it is read a few columns at a time if it is large.
        before: Name of a column -> the bins its values were counted in before. A column
            that does not fit them, or is not among them, gets bins of its own.
    """
    import polars as pl

    names = frame.collect_schema().names()
    n_rows = int(frame.select(pl.len()).collect().item()) if names else 0
    at_once = max(1, _CELLS // max(1, n_rows))
    columns: list[ColumnProfile] = []
    for first in range(0, len(names), at_once):
        table = frame.select(names[first : first + at_once]).collect()
        columns += _in_threads(table, before or {})
    return Profile(n_rows=n_rows, columns=tuple(columns))


def _in_threads(table: pl.DataFrame, before: Mapping[str, Bins]) -> list[ColumnProfile]:
    """The columns, as many at a time as Polars has threads: NumPy and Polars let go of the GIL."""
    import polars as pl

    def made(column: pl.Series) -> ColumnProfile:
        return column_profile(column, before.get(column.name))

    with ThreadPoolExecutor(min(_MOST_THREADS, pl.thread_pool_size())) as threads:
        return list(threads.map(made, table))


def together(profiles: Iterable[Profile]) -> Profile:
    """The profile of several parts of one table, as if it were made of all their rows.

    Counts, ends and limits are exact in whatever order the parts come. Mean and spread are
    up to rounding; the number of distinct values becomes an interval, unless all of them
    are among the commonest that are kept.

    Raises:
        ValueError: If the parts have other columns or other bins, or there is none.
    """
    return reduce(_pair, profiles)


def can_be_added(first: Profile, second: Profile) -> bool:
    """Whether two profiles have the same columns, counted in the same bins."""
    alike = [(c.name, c.type) for c in first.columns] == [(c.name, c.type) for c in second.columns]
    return alike and all(
        a.bins == b.bins or not (is_pinned(a.bins) and is_pinned(b.bins))
        for a, b in zip(first.columns, second.columns, strict=True)
    )


def rebinned(column: ColumnProfile, bins: Bins) -> ColumnProfile:
    """A column in which no value was seen, in the bins that were settled later."""
    n_bins = len(bins.edges) + 1 if bins.kind != "category" else len(bins.categories) + 1
    return msgspec.structs.replace(column, bins=bins, counts=(*([0] * n_bins), column.n_missing))


def columns_of(made: Profile) -> tuple[Column, ...]:
    """The columns as a version lists them."""
    return tuple(_column(column) for column in made.columns)


def _pair(first: Profile, second: Profile) -> Profile:
    if not can_be_added(first, second):
        raise ValueError("profiles can be added if they have the same columns and bins")
    columns = tuple(
        _columns_together(a, b) for a, b in zip(first.columns, second.columns, strict=True)
    )
    return Profile(n_rows=first.n_rows + second.n_rows, columns=columns)


def _columns_together(a: ColumnProfile, b: ColumnProfile) -> ColumnProfile:
    if a.bins != b.bins:
        a, b = (a, rebinned(b, a.bins)) if is_pinned(a.bins) else (rebinned(a, b.bins), b)
    return msgspec.structs.replace(
        a,
        n_rows=a.n_rows + b.n_rows,
        n_null=a.n_null + b.n_null,
        n_nan=a.n_nan + b.n_nan,
        n_infinite=a.n_infinite + b.n_infinite,
        minimum=_end(min, a.minimum, b.minimum),
        maximum=_end(max, a.maximum, b.maximum),
        counts=tuple(x + y for x, y in zip(a.counts, b.counts, strict=True)),
        quantiles=_quantiles(a, b),
        **_spread(a, b),
        **_top(a, b),
        **_periods(a, b),
    )


def _quantiles(a: ColumnProfile, b: ColumnProfile) -> tuple[float, ...]:
    """Those of the one part that has values; of two parts together nobody knows them."""
    if a.n_rows == a.n_missing:
        return b.quantiles
    return a.quantiles if b.n_rows == b.n_missing else ()


def _end(which: Any, a: Any, b: Any) -> Any:
    return which((end for end in (a, b) if end is not None), default=None)


def _spread(a: ColumnProfile, b: ColumnProfile) -> dict[str, Any]:
    from cd4ml.measures.spread import Spread, together

    parts = [
        Spread(column.n_rows - column.n_missing, column.mean, column.squares)
        for column in (a, b)
        if column.mean is not None and column.squares is not None
    ]
    n_valued = sum(column.n_rows - column.n_missing for column in (a, b))
    if not parts or sum(part.n for part in parts) != n_valued:
        return {"mean": None, "squares": None}  # no number, or one too large for a float
    whole = reduce(together, parts)
    return {"mean": whole.mean, "squares": whole.squares}


def _top(a: ColumnProfile, b: ColumnProfile) -> dict[str, Any]:
    from cd4ml.measures.categories import Top, top_together

    if a.n_distinct is None or b.n_distinct is None:
        return {"n_distinct": None, "n_distinct_at_most": None}
    tops = [Top(column.top, column.is_top_complete) for column in (a, b)]
    found = {text for top in tops for text, _ in top.counts}
    at_least = max(a.n_distinct, b.n_distinct, len(found))
    at_most = (a.n_distinct_at_most or 0) + (b.n_distinct_at_most or 0)
    if all(top.is_complete for top in tops):
        at_least = at_most = len(found)
    top = top_together(tops[0], tops[1], MOST_TOP)
    is_kept = a.bins.kind == "category" or top.is_complete
    return {
        "n_distinct": at_least,
        "n_distinct_at_most": at_most,
        "top": top.counts if is_kept else (),
        "is_top_complete": top.is_complete,
    }


def _periods(a: ColumnProfile, b: ColumnProfile) -> dict[str, Any]:
    from cd4ml.measures.periods import Periods, periods_together

    if a.bins.kind != "time":
        return {}
    first, second = (Periods(column.period, column.periods) for column in (a, b))
    whole = periods_together(first, second, MOST_PERIODS)
    return {"period": whole.unit, "periods": whole.counts}


def _column(made: ColumnProfile) -> Column:
    is_number = made.bins.kind == "number" and not made.bins.unit
    is_text = made.bins.kind == "category" or made.bins.unit == "characters"
    is_exact = made.n_distinct == made.n_distinct_at_most
    return Column(
        name=made.name,
        type=made.type,
        n_null=made.n_null,
        minimum=_float(made.minimum) if is_number else None,
        maximum=_float(made.maximum) if is_number else None,
        n_unique=made.n_distinct if is_text and is_exact else None,
        latest=f"{made.maximum}+00:00" if made.bins.kind == "time" and made.maximum else "",
    )


def _float(value: float | str | None) -> float | None:
    return None if value is None or isinstance(value, str) else float(value)
