"""How far columns moved: the measures of monitoring, from profiles alone."""

from collections.abc import Mapping
from datetime import date, timedelta
from typing import Any

import numpy as np
import polars as pl
import pytest
from scipy import stats
from scipy.spatial.distance import jensenshannon

from cd4ml.data.diff_shifts import shifts
from cd4ml.data.profile import profile
from cd4ml.records.diff import Shift
from cd4ml.records.profile import Bins, Profile


def chance(seed: int) -> np.random.Generator:
    return np.random.default_rng(seed)


def moved(before: Any, after: Any, *, effect: float = 0.2, is_pinned: bool = True) -> Shift:
    """The shift of one column; counted in the same bins unless said otherwise."""
    old = profile(pl.LazyFrame({"x": before}))
    bins = {"x": old.columns[0].bins}
    table = pl.LazyFrame({"x": after})
    new = profile(table, bins if is_pinned else None)

    def recount(asked: Mapping[str, Bins]) -> Profile:
        return profile(table.select(list(asked)), asked)

    (found,) = shifts(old, new, effect=effect, recount=recount)
    return found


def test_a_shift_is_told_by_the_measures_of_monitoring() -> None:
    before, after = chance(0).normal(size=20_000), chance(1).normal(0.5, 1, 10_000)

    found = moved(before, after)

    cuts = np.quantile(before, np.arange(1, 20) / 20)
    p, q = (
        np.bincount(np.searchsorted(cuts, rows), minlength=20) / rows.size
        for rows in (before, after)
    )
    assert found.outcome == "alarm"
    assert found.stability == pytest.approx(((q - p) * np.log(q / p)).sum(), rel=1e-9)
    assert found.divergence == pytest.approx(jensenshannon(p, q, base=2) ** 2, rel=1e-9)
    exact = stats.ks_2samp(before, after).statistic
    assert found.distance == pytest.approx(exact, abs=0.003)
    assert found.distance <= exact + 1e-12
    assert found.mean_after == pytest.approx(after.mean())
    assert found.median_before == pytest.approx(np.median(before))
    assert found.reason == f"moved by {found.stability:.3g}, more than 0.2"


def test_equal_rows_have_not_moved() -> None:
    rows = chance(0).lognormal(0, 2, 5_000)

    found = moved(rows, rows)

    assert (found.stability, found.divergence, found.distance) == (0.0, 0.0, 0.0)
    assert (found.outcome, found.reason) == ("quiet", "")


def test_chance_alone_raises_an_alarm_in_one_pair_of_a_hundred_however_many_columns() -> None:
    alarms = []
    for seed in range(100):
        rows = chance(seed)
        tables = [
            pl.LazyFrame({f"x{i}": rows.normal(size=n) for i in range(10)}) for n in (4000, 1000)
        ]
        old = profile(tables[0])
        new = profile(tables[1], {column.name: column.bins for column in old.columns})
        found = shifts(old, new, effect=0.0, recount=lambda _, new=new: new)
        alarms.append(any(each.outcome == "alarm" for each in found))

    assert sum(alarms) <= 4


def test_a_small_window_is_no_shift() -> None:
    found = moved(chance(0).normal(size=10_000), chance(1).normal(size=60))

    assert found.outcome == "insufficient"
    assert found.divergence is not None


def test_certain_but_too_small_to_matter_is_quiet_and_says_so() -> None:
    found = moved(chance(0).normal(size=100_000), chance(1).normal(0.1, 1, 100_000))

    assert found.outcome == "quiet"
    assert found.reason == "moved by more than chance, but not by what matters"


def test_skewed_columns_do_not_hide_their_shift() -> None:
    prices = chance(0).lognormal(0, 1, 10_000)

    assert (moved(prices, prices * 1.5, effect=0.1)).outcome == "alarm"


def test_new_categories_count_as_others() -> None:
    found = moved(["AA"] * 500 + ["UA"] * 500, ["AA"] * 500 + ["HA"] * 500)

    assert found.outcome == "alarm"
    assert found.distance is None
    assert [(bar.label, bar.before, bar.after) for bar in found.bars] == [
        ("AA", 500, 500),
        ("UA", 500, 0),
        ("others", 0, 500),
    ]


def test_missing_values_are_a_bin_of_their_own() -> None:
    found = moved([1.0] * 1000, [1.0] * 500 + [None] * 400 + [float("nan")] * 100)

    assert found.outcome == "alarm"
    assert (found.missing_before, found.missing_after) == (0.0, 0.5)
    assert (found.bars[-1].label, found.bars[-1].after) == ("missing", 500)


@pytest.mark.parametrize("value", [4.0, 6.0])
def test_a_constant_that_changes_either_way_is_seen(value: float) -> None:
    assert moved([5.0] * 1000, [value] * 1000).outcome == "alarm"
    assert moved([5.0] * 1000, [5.0] * 1000).outcome == "quiet"


def test_columns_that_were_pinned_apart_are_counted_again() -> None:
    before, after = chance(0).normal(size=5_000), chance(1).normal(1, 1, 5_000)

    assert moved(before, after, is_pinned=False) == moved(before, after)
    assert moved(["a"] * 900, ["b"] * 900, is_pinned=False).outcome == "alarm"


@pytest.mark.parametrize(("before", "after"), [([None], [1.0] * 99), ([1.0] * 99, [None])])
def test_a_column_that_was_empty_is_counted_in_the_bins_of_the_other(
    before: list[Any], after: list[Any]
) -> None:
    tables = [
        pl.LazyFrame({"x": pl.Series(rows * 100, dtype=pl.Float64)}) for rows in (before, after)
    ]
    old, new = (profile(table) for table in tables)

    (found,) = shifts(old, new, effect=0.2, recount=lambda _: new)

    assert found.outcome == "alarm"
    assert {found.missing_before, found.missing_after} == {0.0, 1.0}


def test_a_version_without_rows_is_not_judged() -> None:
    for pair in (([], [1.0]), ([1.0], []), ([], [])):
        old, new = (profile(pl.LazyFrame({"x": pl.Series(r, dtype=pl.Float64)})) for r in pair)

        (found,) = shifts(old, new, effect=0.2, recount=lambda _, new=new: new)

        assert (found.outcome, found.reason) == ("insufficient", "one has no rows")
        assert found.stability is None


def test_times_show_where_they_are_and_raise_no_alarm() -> None:
    days = [date(2013, 1, 1) + timedelta(days=i) for i in range(59)]

    found = moved(days[:31], days[31:])

    assert (found.outcome, found.reason) == ("not judged", "times always move on")
    assert found.divergence == 1.0
    assert [(bar.label, bar.before, bar.after) for bar in found.bars] == [
        ("2013-01", 31, 0),
        ("2013-02", 0, 28),
    ]


@pytest.mark.parametrize(
    ("before", "after", "reason"),
    [
        ([{"a": 1}], [{"a": 1}], "values of this type are not counted"),
    ],
)
def test_what_cannot_be_compared_says_why(before: list[Any], after: list[Any], reason: str) -> None:
    found = moved(before, after)

    assert (found.outcome, found.reason, found.bars) == ("not judged", reason, ())


@pytest.mark.parametrize(
    ("before", "after", "reason"),
    [
        ([1.5, 2.5, None, None], [f"text {i}" for i in range(99)], "Float64 before, String after"),
        ([f"text {i}" for i in range(99)], [1, 2], "String before, Int64 after"),
        ([[1]], [b"a"], "List(Int64) before, Binary after"),
    ],
)
def test_a_number_is_not_the_length_of_a_text(
    before: list[Any], after: list[Any], reason: str
) -> None:
    found = moved(before, after)

    assert (found.outcome, found.reason, found.bars) == ("retyped", reason, ())
    assert (found.mean_before, found.mean_after) == (None, None)
    assert (found.median_before, found.median_after) == (None, None)
    assert (found.stability, found.divergence, found.distance) == (None, None, None)
    assert (found.missing_before, found.missing_after) == (before.count(None) / len(before), 0)


def test_where_too_few_rows_can_tell_no_index_is_shown() -> None:
    found = moved([1.0, 2.0, 3.0], [2.0, 9.0])

    assert found.outcome == "insufficient"
    assert found.reason == "too few rows to tell a change from chance"
    assert (found.stability, found.noise_floor, found.threshold) == (None, None, None)


def test_an_integer_that_became_a_float_is_compared() -> None:
    assert moved([1, 2, 3] * 100, [1.0, 2.0, 3.0] * 100).outcome == "quiet"


def test_only_columns_that_both_have_are_compared() -> None:
    old, new = (
        profile(pl.LazyFrame({"a": [1], "b": [1]})),
        profile(pl.LazyFrame({"b": [1], "c": [1]})),
    )

    found = shifts(old, new, effect=0.2, recount=lambda _: new)

    assert [each.column for each in found] == ["b"]


def test_long_numbers_are_compared_in_twenty_bins() -> None:
    rows = chance(0).normal(size=10_000)

    found = moved(rows, rows)

    assert [bar.before for bar in found.bars] == [500] * 20
    assert found.bars[0].label.startswith("up to -")
    assert found.bars[-1].label.startswith("above ")


def test_what_names_the_rows_is_not_judged() -> None:
    old, new = (profile(pl.LazyFrame({"ride": range(n, n + 500)})) for n in (0, 500))

    (found,) = shifts(old, new, effect=0.2, recount=lambda _: new, key=["ride"])

    assert (found.outcome, found.reason) == ("not judged", "it names the rows")
    assert (found.mean_before, found.mean_after) == (249.5, 749.5)
