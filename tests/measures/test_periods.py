from collections import Counter
from datetime import UTC, datetime, timedelta

import pytest
from hypothesis import given
from hypothesis import strategies as st

from cd4ml.measures.periods import Periods, Unit, in_unit, periods, periods_together, with_gaps
from tests.measures.messages import exactly

hours = st.lists(st.integers(0, 24 * 1000), max_size=40)

MOST = 5


def name(hour: int) -> str:
    return f"{datetime(2012, 12, 20, tzinfo=UTC) + timedelta(hours=hour):%Y-%m-%dT%H}"


def of(rows: list[int]) -> Periods:
    return periods("hour", Counter(map(name, rows)), MOST)


@given(hours, hours, hours)
def test_parts_add_up_to_the_whole_in_any_order(a: list[int], b: list[int], c: list[int]) -> None:
    whole = of(a + b + c)

    assert periods_together(periods_together(of(a), of(b), MOST), of(c), MOST) == whole
    assert periods_together(of(c), periods_together(of(b), of(a), MOST), MOST) == whole


@given(hours)
def test_no_row_is_lost_and_periods_stay_few(rows: list[int]) -> None:
    found = of(rows)

    assert sum(count for _, count in found.counts) == len(rows)
    assert len(found.counts) <= MOST
    assert [period for period, _ in found.counts] == sorted(period for period, _ in found.counts)


def test_years_are_not_joined() -> None:
    found = periods("hour", {f"{year}-01-01T00": 1 for year in range(2000, 2010)}, MOST)

    assert (found.unit, len(found.counts)) == ("year", 10)


def test_a_year_before_christ_keeps_its_sign() -> None:
    days = Periods("day", (("-0044-03-15", 1), ("+12013-01-01", 2)))

    assert in_unit(days, "year") == {"-0044": 1, "+12013": 2}


def test_months_have_no_days() -> None:
    with pytest.raises(ValueError, match=exactly("a month cannot be divided into parts of a day")):
        in_unit(Periods("month", (("2013-01", 1),)), "day")


@pytest.mark.parametrize(
    ("unit", "first", "last", "between"),
    [
        ("hour", "2012-12-31T22", "2013-01-01T01", ["2012-12-31T23", "2013-01-01T00"]),
        ("day", "2012-02-28", "2012-03-01", ["2012-02-29"]),
        ("month", "2012-11", "2013-02", ["2012-12", "2013-01"]),
        ("year", "2011", "2013", ["2012"]),
    ],
)
def test_empty_periods_are_shown_too(unit: Unit, first: str, last: str, between: list[str]) -> None:
    found = with_gaps(Periods(unit, ((first, 1), (last, 2))), 10)

    assert found.counts == ((first, 1), *((name, 0) for name in between), (last, 2))


def test_periods_that_lie_far_apart_are_shown_in_coarser_ones() -> None:
    found = with_gaps(Periods("hour", (("2012-12-30T05", 1), ("2013-02-01T07", 2))), 10)

    assert found == Periods("month", (("2012-12", 1), ("2013-01", 0), ("2013-02", 2)))


def test_gaps_too_wide_or_beyond_the_calendar_stay() -> None:
    wide = Periods("year", (("1970", 1), ("2013", 1)))
    odd = Periods("year", (("+12013", 2), ("-0044", 1)))

    assert with_gaps(wide, 10) == wide
    assert with_gaps(odd, 10_000_000) == odd
    assert with_gaps(Periods("day", ()), 10).counts == ()
