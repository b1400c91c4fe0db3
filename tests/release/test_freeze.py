"""In a freeze nothing begins or goes on, by the clock on the wall of a place."""

from datetime import UTC, datetime, timedelta
from zoneinfo import ZoneInfo

import pytest
from hypothesis import given
from hypothesis import strategies as st

from cd4ml.errors import ConfigurationError
from cd4ml.records.settings import FreezeSettings
from cd4ml.release.freeze import frozen, require_possible

BERLIN = ZoneInfo("Europe/Berlin")
WEEKEND = FreezeSettings(begin="fri 17:00", until="mon 08:00", zone="Europe/Berlin")
YEAR_END = FreezeSettings(begin="2026-12-20", until="2027-01-02", reason="accounts are closed")


def berlin(day: int, hour: int, minute: int = 0) -> datetime:
    """Of March 2026: the 6th is a Friday; on the 29th clocks go forward."""
    return datetime(2026, 3, day, hour, minute, tzinfo=BERLIN)


@pytest.mark.parametrize(
    ("moment", "is_frozen"),
    [
        (berlin(6, 16, 59), False),
        (berlin(6, 17), True),
        (berlin(7, 12), True),
        (berlin(8, 23, 59), True),
        (berlin(9, 7, 59), True),
        (berlin(9, 8), False),
        (berlin(27, 17), True),
        (berlin(30, 7, 59), True),  # in summer time
        (berlin(30, 8), False),
    ],
)
def test_a_weekly_freeze_goes_by_the_clock_of_its_place(moment: datetime, is_frozen: bool) -> None:
    assert bool(frozen([WEEKEND], moment.astimezone(UTC))) == is_frozen


def test_a_date_is_meant_whole_also_as_the_end() -> None:
    def at(*parts: int) -> bool:
        return bool(frozen([YEAR_END], datetime(*parts, tzinfo=UTC)))  # type: ignore[misc]

    assert not at(2026, 12, 19, 23, 59)
    assert at(2026, 12, 20)
    assert at(2027, 1, 2, 23, 59)
    assert not at(2027, 1, 3)


def test_a_freeze_says_when_and_why() -> None:
    assert frozen([YEAR_END], datetime(2026, 12, 24, tzinfo=UTC)) == (
        "frozen from 2026-12-20 until 2027-01-02 (UTC): accounts are closed"
    )
    assert frozen([WEEKEND], berlin(7, 12)) == (
        "frozen every week from fri 17:00 until mon 08:00 (Europe/Berlin)"
    )


def test_a_day_of_the_week_is_meant_whole() -> None:
    fridays = FreezeSettings(begin="fri", until="fri")
    sundays = FreezeSettings(begin="Sun", until="sun")

    def at(window: FreezeSettings, day: int, hour: int) -> bool:
        return bool(frozen([window], datetime(2026, 3, day, hour, tzinfo=UTC)))

    assert [at(fridays, day, hour) for day, hour in ((5, 23), (6, 0), (6, 23), (7, 0))] == [
        False,
        True,
        True,
        False,
    ]
    assert [at(sundays, day, hour) for day, hour in ((7, 23), (8, 0), (8, 23), (9, 0))] == [
        False,
        True,
        True,
        False,
    ]


def test_one_of_several_is_enough() -> None:
    assert frozen([YEAR_END, WEEKEND], berlin(7, 12)).startswith("frozen every week")
    assert frozen([], berlin(7, 12)) == ""


@given(st.datetimes(datetime(2000, 1, 1), datetime(2050, 1, 1)))  # noqa: DTZ001
def test_a_week_later_a_weekly_freeze_is_what_it_was(moment: datetime) -> None:
    def at(local: datetime) -> bool:
        return bool(frozen([FreezeSettings(begin="tue 10:00", until="thu")], local))

    moment = moment.replace(tzinfo=UTC)

    assert at(moment) == at(moment + timedelta(days=7))
    inside = (moment.weekday(), moment.hour) >= (1, 10) and moment.weekday() <= 3
    assert at(moment) == inside


@pytest.mark.parametrize(
    ("window", "message"),
    [
        (
            FreezeSettings(begin="Friday", until="mon"),
            "expected a date, a date and a time, or a day of the week and a time, got 'Friday'"
            " - at `f.from`",
        ),
        (
            FreezeSettings(begin="fri", until="mon 25:00"),
            "expected a date, a date and a time, or a day of the week and a time, got 'mon 25:00'"
            " - at `f.until`",
        ),
        (
            FreezeSettings(begin="2026-02-30", until="2026-03-01"),
            "expected a date, a date and a time, or a day of the week and a time, got '2026-02-30'"
            " - at `f.from`",
        ),
        (
            FreezeSettings(begin="2026-02-03T08:00+01:00", until="2026-03-01"),
            "expected a date, a date and a time, or a day of the week and a time, got"
            " '2026-02-03T08:00+01:00' - at `f.from`",
        ),
        (
            FreezeSettings(begin="fri", until="2026-03-01"),
            "a freeze lies between two dates or between two days of the week - at `f`",
        ),
        (
            FreezeSettings(begin="2026-03-02", until="2026-03-01"),
            "a freeze ends after it begins, got until '2026-03-01' - at `f.until`",
        ),
        (
            FreezeSettings(begin="mon", until="sun"),
            "a weekly freeze leaves some time free - at `f.until`",
        ),
        (
            FreezeSettings(begin="fri", until="mon", zone="Europe/Atlantis"),
            "there is no time zone 'Europe/Atlantis' - at `f.zone`",
        ),
        (
            FreezeSettings(begin="fri", until="mon", zone="../etc/passwd"),
            "there is no time zone '../etc/passwd' - at `f.zone`",
        ),
    ],
)
def test_what_nobody_can_mean_is_refused(window: FreezeSettings, message: str) -> None:
    with pytest.raises(ConfigurationError) as refused:
        require_possible(window, "f")

    assert refused.value.message == f"cd4ml.toml: {message}"


@pytest.mark.parametrize("window", [WEEKEND, YEAR_END])
def test_what_can_be_meant_is_taken(window: FreezeSettings) -> None:
    require_possible(window, "f")


@pytest.mark.parametrize(
    "window",
    [
        FreezeSettings(begin="2026-10-25 02:30", until="2026-10-25 02:45", zone="Europe/Berlin"),
        FreezeSettings(begin="sun 02:30", until="sun 02:45", zone="Europe/Berlin"),
    ],
)
def test_a_freeze_does_not_lapse_while_clocks_go_back(window: FreezeSettings) -> None:
    """02:30 comes twice that night, at 00:30 and at 01:30 UTC: it begins once and ends once."""
    begin, end = (
        datetime(2026, 10, 25, 0, 30, tzinfo=UTC),
        datetime(2026, 10, 25, 1, 45, tzinfo=UTC),
    )

    assert not frozen([window], begin - timedelta(minutes=1))
    minutes = int((end - begin).total_seconds()) // 60
    assert all(frozen([window], begin + timedelta(minutes=m)) for m in range(minutes))
    assert not frozen([window], end)


def test_a_time_that_clocks_skip_is_the_longer_freeze() -> None:
    skipped = FreezeSettings(begin="sun 02:15", until="sun 02:45", zone="Europe/Berlin")

    assert frozen([skipped], datetime(2026, 3, 29, 0, 20, tzinfo=UTC))
    assert frozen([skipped], datetime(2026, 3, 29, 1, 40, tzinfo=UTC))
    assert not frozen([skipped], datetime(2026, 3, 29, 1, 45, tzinfo=UTC))


def test_the_first_and_the_last_day_that_there_is_are_days() -> None:
    always = FreezeSettings(begin="0001-01-01", until="9999-12-31 23:59", zone="Asia/Tokyo")

    assert frozen([always], datetime(2026, 3, 29, tzinfo=UTC))
