"""Delivery figures, counted by hand."""

from datetime import UTC, datetime, timedelta

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from cd4ml.measures.delivery import (
    Alerted,
    Happened,
    delivery,
    durations,
    episodes_of,
    portion,
    ready_at,
)
from cd4ml.records.delivery import Change, Judged, LabelDelay, Portion

START = datetime(2013, 2, 4, tzinfo=UTC)
HOUR, DAY, WEEK = timedelta(hours=1), timedelta(days=1), timedelta(weeks=1)

hours = st.lists(st.floats(0, 1e5, allow_nan=False), max_size=40)


def change(number: int, at: float, **days: float) -> Change:
    """A release that was asked for so many days after START; what else happened, when."""
    moments = {name: START + day * DAY for name, day in days.items()}
    return Change(
        release=f"release/{number}",
        environment="production",
        model="delay",
        requested_at=START + at * DAY,
        **moments,
    )


def alert(number: int, at: float, model: str = "delay") -> Alerted:
    return Alerted(f"alert/{number}", "production", model, START + at * DAY)


def test_the_figures_of_a_week_are_those_of_what_happened_in_it() -> None:
    changes = [
        change(1, 0.0, committed_at=-2, data_at=-1, answering_at=1, released_at=2),
        change(2, 2.0, data_at=1.5, answering_at=3, released_at=4, failed_at=5),
        change(3, 5.0, committed_at=4, answering_at=6, failed_at=6.5, alerted_at=6.25),
        change(4, 6.9, committed_at=6.5, answering_at=7.5, released_at=8),  # the week after
    ]
    verdicts = [Judged(at=START + i * HOUR, is_pass=i != 3) for i in range(4)]
    delays = [LabelDelay(asked_at=START + DAY, hours=h) for h in (1.0, 3.0, 5.0)]

    week = delivery(
        Happened(changes, [], verdicts, delays), start=START, end=START + WEEK, now=START + WEEK
    )

    assert (week.releases, week.releases_per_week) == (2, 2.0)
    assert week.lead_time.median_hours == pytest.approx((72 + 60) / 2)
    assert (week.lead_time_from_commit.n, week.lead_time_from_commit.median_hours) == (1, 96.0)
    assert week.lead_time_from_data.median_hours == pytest.approx((72 + 60) / 2)
    assert (week.change_failures.n, week.change_failures.of) == (2, 3)
    assert week.time_to_restore.n == 2
    assert week.time_to_restore.median_hours == pytest.approx((48 + 6) / 2)
    assert (week.gates_passed.n, week.gates_passed.of) == (3, 4)
    assert week.label_latency.median_hours == 3.0


def test_nothing_that_happened_is_no_figure_rather_than_a_good_one() -> None:
    week = delivery(Happened(), start=START, end=START + WEEK, now=START + WEEK)

    assert week.releases == 0
    assert week.lead_time.median_hours is None
    assert week.change_failures == Portion(n=0, of=0, share=None, low=None, high=None)
    assert week.time_to_restore.median_hours is None


def test_of_a_week_that_goes_on_only_what_has_passed_counts_as_time() -> None:
    one = [change(1, 0, answering_at=0.5, released_at=1)]

    week = delivery(Happened(one), start=START, end=START + WEEK, now=START + 3.5 * DAY)

    assert week.releases_per_week == 2.0


def test_a_clock_that_went_back_gives_no_negative_lead_time() -> None:
    backwards = [change(1, 0, committed_at=3, answering_at=1, released_at=2)]

    assert (
        delivery(Happened(backwards), start=START, end=START + WEEK, now=START + WEEK).lead_time.n
        == 0
    )


def test_a_lead_time_begins_when_the_last_new_thing_is_there() -> None:
    assert ready_at(change(1, 0, committed_at=-2, data_at=-1)) == START - DAY
    assert ready_at(change(1, 0, committed_at=-2)) == START - 2 * DAY
    assert ready_at(change(1, 0)) is None


def test_alerts_that_one_release_ends_are_one_episode() -> None:
    changes = [
        change(1, -5, released_at=-4),
        change(2, 0.5, released_at=3),  # asked for before the second alert, after the first
        change(3, 4, released_at=5),
    ]
    alerts = [alert(1, 0), alert(2, 1), alert(3, 2), alert(4, 6), alert(5, 7), alert(6, 1, "fares")]

    found = [(each.alert, each.release) for each in episodes_of(alerts, changes)]

    assert sorted(found) == [
        ("alert/1", "release/2"),
        ("alert/2", "release/3"),
        ("alert/4", ""),
        ("alert/6", ""),
    ]


def test_a_fix_belongs_to_the_week_in_which_it_was_in_charge() -> None:
    changes = [change(2, 8, released_at=9)]
    happened = Happened(changes, episodes_of([alert(1, 3), alert(2, 12)], changes))

    first = delivery(happened, start=START, end=START + WEEK, now=START + 3 * WEEK)
    second = delivery(happened, start=START + WEEK, end=START + 2 * WEEK, now=START + 3 * WEEK)

    assert (first.alert_to_fix.n, first.open_alerts) == (0, 0)
    assert (second.alert_to_fix.median_hours, second.open_alerts) == (144.0, 1)


@given(hours)
def test_durations_agree_with_numpy_and_are_in_order(given_hours: list[float]) -> None:
    found = durations(given_hours)

    assert found.n == len(given_hours)
    if found.median_hours is not None and found.p90_hours is not None:
        assert found.median_hours == pytest.approx(np.median(given_hours))
        assert found.median_hours <= found.p90_hours <= max(given_hours)


@given(st.lists(st.booleans(), min_size=1, max_size=60))
def test_a_share_lies_in_its_interval_and_does_not_depend_on_order(outcomes: list[bool]) -> None:
    found = portion(outcomes)

    assert found == portion(sorted(outcomes))
    assert 0 <= (found.low or 0) <= (found.share or 0) <= (found.high or 0) <= 1


@given(st.lists(st.tuples(st.floats(0, 20), st.floats(0, 9)), max_size=15))
def test_stretches_that_follow_each_other_count_every_release_once(
    releases: list[tuple[float, float]],
) -> None:
    changes = [
        change(i, at, answering_at=at, released_at=at + more, failed_at=at + more)
        for i, (at, more) in enumerate(releases)
    ]
    spans = [(START + i * WEEK, START + (i + 1) * WEEK) for i in range(5)]

    found = [delivery(Happened(changes), start=a, end=b, now=START + 5 * WEEK) for a, b in spans]

    assert sum(each.releases for each in found) == len(changes)
    assert sum(each.change_failures.of for each in found) == len(changes)
    assert sum(each.time_to_restore.n for each in found) == len(changes)
