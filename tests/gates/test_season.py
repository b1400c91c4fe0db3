"""The seasonal baseline says what happened one season before, and nothing of what it cannot know."""

from datetime import UTC, date, datetime, timedelta

import numpy as np
import polars as pl
import pytest
from hypothesis import given
from hypothesis import strategies as st

from cd4ml.errors import InvalidInput
from cd4ml.gates.baseline import Season, season_in
from cd4ml.gates.season import last_season

MONDAY = datetime(2013, 1, 7, tzinfo=UTC)


def rows(*values: tuple[datetime | date, float]) -> pl.DataFrame:
    return pl.DataFrame({"at": [at for at, _ in values], "n": [value for _, value in values]})


def said(training: pl.DataFrame, holdout: pl.DataFrame, name: str) -> list[float]:
    season = season_in(name)
    assert season is not None
    return last_season(training, holdout, season, target="n", event_time="at").tolist()


def test_a_weekday_gets_the_mean_of_that_weekday_a_week_before() -> None:
    seen = rows(
        (MONDAY, 1.0),
        (MONDAY + timedelta(hours=9), 3.0),
        (MONDAY + timedelta(days=1), 10.0),
        (MONDAY - timedelta(days=7), 100.0),
    )
    asked = rows((MONDAY + timedelta(days=7, hours=5), 0.0), (MONDAY + timedelta(days=8), 0.0))

    assert said(seen, asked, "last-week") == [2.0, 10.0]


def test_an_hour_gets_that_hour_of_the_day_before_or_of_the_week_before() -> None:
    seen = rows(*((MONDAY + timedelta(hours=hour), float(hour)) for hour in range(8 * 24)))
    asked = rows((MONDAY + timedelta(days=8, hours=5, minutes=30), 0.0))

    assert said(seen, asked, "last-day") == [7 * 24 + 5]
    assert said(seen, asked, "last-week-by-hour") == [24 + 5]


def test_a_month_gets_that_month_of_the_year_before() -> None:
    seen = rows((date(2012, 2, 3), 4.0), (date(2012, 2, 20), 6.0), (date(2012, 3, 1), 9.0))
    asked = rows((date(2013, 2, 28), 0.0), (date(2013, 3, 31), 0.0))

    assert said(seen, asked, "last-year") == [5.0, 9.0]


def test_what_happened_in_no_season_before_is_the_mean_of_all() -> None:
    seen = rows((MONDAY, 2.0), (MONDAY + timedelta(days=1), 4.0))
    asked = rows((MONDAY + timedelta(days=7), 0.0), (MONDAY + timedelta(days=9), 0.0))

    assert said(seen, asked, "last-week") == [2.0, 3.0]


def test_a_holdout_far_away_looks_several_seasons_back() -> None:
    seen = rows((MONDAY, 2.0), (MONDAY + timedelta(days=1), 4.0))
    asked = rows((MONDAY + timedelta(days=7 * 5), 0.0))

    assert said(seen, asked, "last-week") == [2.0]


def test_it_never_looks_at_what_comes_after() -> None:
    later = rows((MONDAY + timedelta(days=7), 50.0), (MONDAY, 2.0))

    assert said(later, rows((MONDAY + timedelta(days=7), 0.0)), "last-week") == [2.0]


@given(st.lists(st.integers(0, 400), min_size=30, max_size=60), st.integers(0, 6))
def test_a_pattern_that_repeats_is_foretold_exactly(hours: list[int], phase: int) -> None:
    def pattern(hour: int) -> float:
        return float((hour // 24 + phase) % 7)

    seen = rows(*((MONDAY + timedelta(hours=hour), pattern(hour)) for hour in range(14 * 24)))
    asked = rows(*((MONDAY + timedelta(hours=14 * 24 + hour), 0.0) for hour in hours))

    assert said(seen, asked, "last-week") == [pattern(14 * 24 + hour) for hour in hours]


@pytest.mark.parametrize(
    ("training", "holdout", "message"),
    [
        (
            rows((MONDAY, 1.0)).drop("at"),
            rows((MONDAY, 1.0)),
            "the training rows have no column 'at', which says when they happened\n"
            "  hint: known: n; see `model.event_time`",
        ),
        (
            rows((MONDAY, 1.0)),
            pl.DataFrame({"at": ["monday"], "n": [1.0]}),
            "'at' of the holdout rows is to be a time, got String\n"
            "  hint: cast it to a date or a time",
        ),
        (
            rows((MONDAY + timedelta(days=1), 1.0)),
            rows((MONDAY + timedelta(days=7), 1.0)),
            "no training row lies one week before a row of the holdout, by 'at'",
        ),
    ],
)
def test_rows_that_know_no_season_are_refused(
    training: pl.DataFrame, holdout: pl.DataFrame, message: str
) -> None:
    with pytest.raises(InvalidInput) as caught:
        last_season(training, holdout, Season("week", "day"), target="n", event_time="at")

    assert str(caught.value) == message


def test_rows_whose_time_is_missing_get_the_mean() -> None:
    seen = rows((MONDAY, 2.0), (MONDAY + timedelta(days=1), 4.0))
    asked = pl.DataFrame({"at": [MONDAY + timedelta(days=7), None], "n": [0.0, 0.0]})

    found = last_season(seen, asked, Season("week", "day"), target="n", event_time="at")

    assert np.array_equal(found, [2.0, 3.0])
