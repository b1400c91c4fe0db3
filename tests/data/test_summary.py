"""Profiles as people see them."""

from datetime import date, timedelta
from typing import Any

import numpy as np
import polars as pl
import pytest

from cd4ml.data.column_profile import column_profile
from cd4ml.data.profile import profile, together
from cd4ml.data.summary import BARS, quantile_of, summary
from cd4ml.records.summary import ColumnSummary


def of(values: Any, type_: Any = None) -> ColumnSummary:
    return summary(column_profile(pl.Series("x", values, dtype=type_)))


def test_numbers_have_quantiles_and_bars_of_equal_width() -> None:
    rows = np.random.default_rng(0).normal(size=10_000)

    made = of(rows)

    for shown in made.quantiles:
        assert shown.value == pytest.approx(np.quantile(rows, shown.share), rel=1e-9)
        assert shown.low == shown.value == shown.high
    assert made.deviation == pytest.approx(rows.std(ddof=1))
    assert len(made.bars) == BARS
    assert sum(bar.n_rows for bar in made.bars) == pytest.approx(10_000)
    peak = max(made.bars, key=lambda bar: bar.n_rows)
    low, high = (float(end) for end in peak.label.split(" to "))
    assert low < 0.5
    assert high > -0.5


def test_quantiles_of_parts_are_told_with_their_limits() -> None:
    first, second = (np.random.default_rng(seed).normal(size=5_000) for seed in (0, 1))
    old = profile(pl.LazyFrame({"x": first}))
    new = profile(pl.LazyFrame({"x": second}), {"x": old.columns[0].bins})

    (whole,) = together([old, new]).columns

    for shown in summary(whole).quantiles:
        exact = np.quantile([*first, *second], shown.share)
        assert shown.low <= exact <= shown.high
        assert shown.low <= shown.value <= shown.high
        assert abs((first < shown.value).mean() - shown.share) < 0.02


def test_a_part_without_values_leaves_quantiles_exact() -> None:
    some, none = (
        profile(pl.LazyFrame({"x": pl.Series(r, dtype=pl.Float64)})) for r in ([1, 2], [])
    )

    for parts in ((some, none), (none, some)):
        assert together(parts).columns[0].quantiles == some.columns[0].quantiles


def test_a_constant_has_one_bar() -> None:
    made = of([5, 5, 5])

    assert [(bar.label, bar.n_rows) for bar in made.bars] == [("5", 3.0)]
    assert made.deviation == 0.0


def test_few_values_stand_where_they_are() -> None:
    made = of([0] * 5 + [1] * 2 + [20] * 3)

    assert [bar.n_rows for bar in made.bars] == [5, 2, *[0] * 17, 3]
    assert made.top == (("0", 5), ("20", 3), ("1", 2))


def test_categories_show_the_commonest_and_the_others() -> None:
    made = of([f"c{i:02d}" for i in range(30)] + ["c07"] * 5 + [None] * 2)

    assert made.top[0] == ("c07", 6)
    assert (len(made.top), made.n_others) == (10, 20)
    assert (made.bars[0].label, made.bars[-1].label) == ("c07", "others")
    assert sum(bar.n_rows for bar in made.bars) == 35


def test_times_show_their_periods_with_the_gaps() -> None:
    made = of([date(2013, 1, 1), date(2013, 1, 4)])

    assert [(bar.label, bar.n_rows) for bar in made.bars] == [
        ("2013-01-01", 1),
        ("2013-01-02", 0),
        ("2013-01-03", 0),
        ("2013-01-04", 1),
    ]
    months = of([date(2013, 1, 1) + timedelta(days=i) for i in range(365)])
    assert [bar.label for bar in months.bars][-1] == "2013-12"


@pytest.mark.parametrize(
    ("values", "type_"),
    [([], pl.Float64), ([None], pl.String), ([None], pl.Date), ([{"a": 1}], None)],
)
def test_nothing_has_no_bars(values: list[Any], type_: Any) -> None:
    made = of(values, type_)

    assert (made.bars, made.quantiles, made.mean, made.deviation) == ((), (), None, None)


def test_only_numbers_have_quantiles() -> None:
    for values in (["a"], [date(2013, 1, 1)], [{"a": 1}]):
        assert quantile_of(column_profile(pl.Series("x", values)), 0.5) is None


def test_huge_numbers_have_bars() -> None:
    made = of([-1.5e308, 0.0, 1.5e308])

    assert sum(bar.n_rows for bar in made.bars) == 3
    assert made.deviation is None
