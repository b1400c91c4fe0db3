"""The profile of one column, whatever it holds, beside what Polars, NumPy and Python say of it."""

from datetime import UTC, date, datetime, time, timedelta
from decimal import Decimal
from typing import Any

import numpy as np
import polars as pl
import pytest

from cd4ml.data.column_profile import FINE_BINS, MOST_CATEGORIES, MOST_TOP, TAILS, column_profile
from cd4ml.measures.histogram import quantile
from cd4ml.records.profile import QUANTILES, Bins, ColumnProfile
from cd4ml.store.address import canonical

NAN, INF = float("nan"), float("inf")


def of(values: list[Any], type_: Any = None) -> ColumnProfile:
    return column_profile(pl.Series("x", values, dtype=type_))


def test_numbers_are_counted_between_their_percentiles() -> None:
    rows = np.random.default_rng(0).lognormal(0, 2, 10_000)

    made = column_profile(pl.Series("price", rows))

    assert made.bins.kind == "number"
    shares = np.sort([*np.arange(1, FINE_BINS) / FINE_BINS, *TAILS])
    assert made.bins.edges == pytest.approx(np.quantile(rows, shares))
    assert made.counts == (10, 40, 50, *[100] * (FINE_BINS - 2), 50, 40, 10, 0)
    assert (made.minimum, made.maximum) == (rows.min(), rows.max())
    assert made.mean == pytest.approx(rows.mean())
    assert made.squares == pytest.approx(rows.var() * rows.size)
    assert made.quantiles == pytest.approx(np.quantile(rows, QUANTILES), rel=1e-12)
    assert made.n_distinct == made.n_distinct_at_most == 10_000


def test_what_is_no_finite_number_is_counted_apart() -> None:
    made = of([1.0, None, NAN, INF, -INF, 3.0, NAN])

    assert (made.n_rows, made.n_null, made.n_nan, made.n_infinite) == (7, 1, 2, 2)
    assert (made.minimum, made.maximum, made.mean, made.squares) == (1.0, 3.0, 2.0, 2.0)
    assert (sum(made.counts), made.counts[-1], made.n_distinct) == (7, 5, 2)


@pytest.mark.parametrize(
    "values",
    [[], [None, None], [NAN, None], [INF]],
    ids=["no rows", "nulls", "nan", "infinite"],
)
def test_a_column_without_a_number_is_not_pinned(values: list[Any]) -> None:
    made = of(values, pl.Float64)

    assert made.bins == Bins(kind="number")
    assert made.counts == (0, len(values))
    assert (made.minimum, made.maximum, made.mean, made.squares) == (None, None, None, None)
    assert made.n_distinct == 0


def test_a_column_is_pinned_when_its_first_values_come() -> None:
    empty = of([None], pl.Float64)

    made = column_profile(pl.Series("x", [1.0, 2.0]), empty.bins)

    assert made.bins.edges != ()


def test_a_constant_has_a_bin_below_and_above() -> None:
    made = of([5] * 9)

    assert (made.counts, made.n_distinct, made.squares) == ((0, 9, 0, 0), 1, 0.0)
    assert column_profile(pl.Series([4, 5, 6, 6]), made.bins).counts == (1, 1, 2, 0)


def test_one_row_is_a_table_too() -> None:
    made = of([7.5])

    assert (made.n_rows, made.minimum, made.mean, made.squares) == (1, 7.5, 7.5, 0.0)
    exact = quantile(made.counts, made.bins.edges, 0.5, minimum=7.5, maximum=7.5)
    assert exact == (7.5, 7.5, 7.5)


def test_huge_integers_keep_their_ends_and_are_told_apart() -> None:
    made = of([2**62 + 1, 2**62 + 3, 2**62 + 3])

    assert (made.minimum, made.maximum, made.n_distinct) == (2**62 + 1, 2**62 + 3, 2)
    assert of([2**64 - 1, 5], pl.UInt64).maximum == 2**64 - 1
    assert of([2**100, 5], pl.Int128).maximum == 2**100


def test_few_numbers_are_listed_with_their_counts() -> None:
    made = of([3, 1, 3, None])

    assert (made.top, made.is_top_complete) == ((("3", 2), ("1", 1)), True)
    assert of([2.5, 1.0]).top == (("1.0", 1), ("2.5", 1))
    many = of(list(range(MOST_TOP + 1)))
    assert (many.top, many.is_top_complete) == ((), False)
    assert of([2**62 + 1, 2**62]).is_top_complete is False


def test_floats_too_large_to_be_summed_have_no_spread() -> None:
    made = of([1e308, 1.5e308, -1e308])

    assert (made.maximum, made.squares) == (1.5e308, None)
    canonical(made)


@pytest.mark.parametrize(
    ("values", "type_", "unit", "ends", "n_distinct"),
    [
        ([Decimal("1.50"), Decimal("2.25")], pl.Decimal(10, 2), "", (1.5, 2.25), 2),
        ([timedelta(seconds=90), timedelta(milliseconds=500)], None, "s", (0.5, 90.0), 2),
        ([time(1, 0), time(0, 0, 1)], None, "s", (1.0, 3600.0), 2),
        ([[1, 2], [], [3]], None, "items", (0.0, 2.0), None),
        ([[1, 2], [3, 4]], pl.Array(pl.Int64, 2), "items", (2.0, 2.0), None),
        ([b"", b"ab"], None, "bytes", (0.0, 2.0), 2),
        (["ä" * 201, "b"], None, "characters", (1.0, 201.0), 2),
    ],
)
def test_other_kinds_are_counted_by_size(
    values: list[Any], type_: Any, unit: str, ends: tuple[float, float], n_distinct: int | None
) -> None:
    made = of([*values, None], type_)

    assert (made.bins.unit, (made.minimum, made.maximum)) == (unit, ends)
    assert (made.n_distinct, made.n_null, sum(made.counts)) == (n_distinct, 1, len(values) + 1)


def test_objects_within_rows_are_only_counted() -> None:
    made = of([{"a": 1}, None])

    assert (made.bins.kind, made.n_rows, made.n_null, made.counts) == ("opaque", 2, 1, ())
    assert of([None, None]).bins.kind == "opaque"


def test_texts_are_counted_by_category() -> None:
    made = of(["UA", "å", None, "UA", ""])

    assert made.bins == Bins(kind="category", categories=("UA", "", "å"))
    assert made.counts == (2, 1, 1, 0, 1)
    assert (made.top, made.is_top_complete) == ((("UA", 2), ("", 1), ("å", 1)), True)


@pytest.mark.parametrize("type_", [pl.Categorical, pl.Enum(["b", "a", "never"])])
def test_categoricals_are_their_texts(type_: Any) -> None:
    made = of(["a", "b", "a", None], type_)

    assert (made.bins.categories, made.counts) == (("a", "b"), (2, 1, 0, 1))


def test_booleans_are_two_categories() -> None:
    made = of([True, False, True, None])

    assert (made.bins.categories, made.counts) == (("true", "false"), (2, 1, 0, 1))


def test_ten_thousand_categories_keep_the_commonest_and_the_others() -> None:
    names = [f"c{i:05d}" for i in range(10_000)]
    rows = [name for i, name in enumerate(names) for _ in range(3 if i < 60 else 2)]

    made = of(rows)

    assert made.bins.categories == tuple(names[:MOST_CATEGORIES])
    assert made.counts == (*[3] * MOST_CATEGORIES, len(rows) - 3 * MOST_CATEGORIES, 0)
    assert (len(made.top), made.is_top_complete) == (MOST_TOP, False)
    assert made.n_distinct == 10_000


def test_free_text_is_counted_by_its_length() -> None:
    rows = [f"remark number {i}" for i in range(2_000)]

    made = of(rows)

    assert (made.bins.kind, made.bins.unit) == ("length", "characters")
    assert (made.minimum, made.maximum, made.n_distinct) == (15.0, 18.0, 2_000)
    assert made.top == ()


def test_times_are_counted_in_periods() -> None:
    rows = [date(2013, 1, 31), date(2013, 1, 31), date(2013, 2, 1), None]

    made = of(rows)

    assert (made.bins.kind, made.period) == ("time", "hour")
    assert made.periods == (("2013-01-31T00", 2), ("2013-02-01T00", 1))
    assert (made.minimum, made.counts) == ("2013-01-31T00:00:00.000000", (3, 1))
    year = pl.Series("at", [date(2013, 1, 1) + timedelta(days=i) for i in range(3650)])
    assert column_profile(year).period == "month"


def test_times_with_a_zone_are_counted_in_utc() -> None:
    rows = pl.Series("at", [datetime(2013, 1, 1, tzinfo=UTC)]).dt.convert_time_zone("Asia/Tokyo")

    made = column_profile(rows)

    assert made.type == "Datetime(us, Asia/Tokyo)"
    assert made.periods == (("2013-01-01T00", 1),)
    assert of([], pl.Date).periods == ()


@pytest.mark.parametrize("unit", ["ms", "us", "ns"])
def test_the_unit_of_a_time_does_not_matter(unit: str) -> None:
    made = of([datetime(2013, 1, 1, 5, 30)], pl.Datetime(unit))  # type: ignore[arg-type] # noqa: DTZ001

    assert made.periods == (("2013-01-01T05", 1),)
    assert made.maximum == "2013-01-01T05:30:00.000000"


@pytest.mark.parametrize(
    ("before", "after"),
    [
        ([1, 2], ["1", "2"]),
        (["1", "2"], [1, 2]),
        ([True], ["true"]),
        ([[1]], [b"a"]),
        ([date(2013, 1, 1)], [1]),
        ([timedelta(1)], [86400.0]),
    ],
)
def test_another_type_gets_bins_of_its_own(before: list[Any], after: list[Any]) -> None:
    old = of(before).bins

    made = column_profile(pl.Series("x", after), old)

    is_text_before = old.kind == "category" and made.bins.kind == "category"
    assert (made.bins == old) is is_text_before


def test_a_finer_number_is_counted_in_the_bins_of_before() -> None:
    old = of([1, 2, 3, 4])

    made = column_profile(pl.Series("x", [1.5, 2.5]), old.bins)

    assert made.bins == old.bins
