"""When a source is looked at again."""

from datetime import UTC, datetime, timedelta

import pytest
from hypothesis import given
from hypothesis import strategies as st

from cd4ml.data.sources.schedule import Period, is_due, longest_wait, period_start
from cd4ml.records.job import Job
from tests.store.records import NOW, job

MINUTE, HOUR = timedelta(minutes=1), timedelta(hours=1)


def failed(at: datetime) -> Job:
    return job(state="failed", finished_at=at)


@pytest.mark.parametrize(
    ("every", "start"),
    [
        ("hour", "2013-02-14T15:00:00+00:00"),
        ("day", "2013-02-14T00:00:00+00:00"),
        ("week", "2013-02-11T00:00:00+00:00"),
    ],
)
def test_a_period_begins_at_the_hour_at_midnight_or_on_monday(every: Period, start: str) -> None:
    now = datetime(2013, 2, 14, 15, 59, 59, 999_999, tzinfo=UTC)

    assert period_start(now, every).isoformat() == start


moments = st.integers(-(10**9), 4 * 10**9).map(lambda s: datetime.fromtimestamp(s, UTC))


@given(moments, st.sampled_from(["hour", "day", "week"]))
def test_every_moment_is_in_one_period(now: datetime, every: Period) -> None:
    start = period_start(now, every)

    assert start <= now < start + 24 * longest_wait(every)
    assert period_start(start, every) == start


def test_what_nobody_tried_is_due_and_what_was_done_is_not() -> None:
    assert is_due([], NOW, longest_wait=HOUR)
    for state in ("queued", "running", "done"):
        assert not is_due([job(state=state)], NOW + 99 * HOUR, longest_wait=HOUR)


def test_what_failed_is_tried_after_a_wait_that_doubles_up_to_the_longest() -> None:
    for n_failed, minutes in [(1, 1), (2, 2), (3, 4), (7, 60), (2000, 60)]:
        attempts = [failed(NOW)] * n_failed
        due_at = NOW + minutes * MINUTE

        assert not is_due(attempts, due_at - timedelta(seconds=1), longest_wait=HOUR)
        assert is_due(attempts, due_at, longest_wait=HOUR)


def test_after_the_last_attempt_nobody_tries_again() -> None:
    assert is_due([failed(NOW)] * 2, NOW + 99 * HOUR, longest_wait=HOUR, most=3)
    assert not is_due([failed(NOW)] * 3, NOW + 99 * HOUR, longest_wait=HOUR, most=3)
