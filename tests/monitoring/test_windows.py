from datetime import UTC, datetime, timedelta

import pytest
from hypothesis import given
from hypothesis import strategies as st

from cd4ml.monitoring.windows import Length, Span, due, keep, span_of, spans
from cd4ml.records.plan import Plan
from cd4ml.records.settings import MonitoringSettings
from cd4ml.records.window import Window
from cd4ml.store import ledger, rows
from cd4ml.store.database import Database

FEBRUARY = datetime(2013, 2, 1, tzinfo=UTC)
moments = st.integers(0, 10**6).map(lambda hours: FEBRUARY + timedelta(hours=hours / 7))
lengths = st.sampled_from(["day", "week", "month"])


def plan(made_at: datetime, environment: str = "production") -> Plan:
    return Plan(
        number=1, environment=environment, model="delay", arms=(), release=1, made_at=made_at
    )


def window(span: Span) -> Window:
    return Window(
        environment="production",
        model="delay",
        start=span.start,
        end=span.end,
        champion=1,
        n_predictions=100,
        n_labels=90,
        coverage=0.9,
        findings=(),
        outcome="pass",
        measured_at=span.end + timedelta(days=1),
    )


@given(moments, lengths)
def test_every_moment_lies_in_one_window(moment: datetime, length: Length) -> None:
    span = span_of(moment, length)

    assert span.start <= moment < span.end
    assert span_of(span.start, length) == span
    assert span_of(span.end, length).start == span.end


def test_windows_follow_one_another_without_a_gap() -> None:
    weeks = spans(FEBRUARY, datetime(2013, 3, 1, tzinfo=UTC), "week")

    assert [(week.start.day, week.end.day) for week in weeks] == [
        (28, 4),
        (4, 11),
        (11, 18),
        (18, 25),
    ]
    assert {week.start.weekday() for week in weeks} == {0}


def test_a_window_is_due_once_it_is_mature_and_until_it_is_measured(database: Database) -> None:
    settings = MonitoringSettings(window="day", matures_after_hours=6)
    days = spans(FEBRUARY, FEBRUARY + timedelta(days=2), "day")
    with database.write() as connection:
        rows.insert(connection, plan(FEBRUARY + timedelta(hours=9)))

    def due_after(hours: float) -> list[Span]:
        with database.read() as connection:
            return due(connection, settings, "delay", FEBRUARY + timedelta(hours=hours))

    assert due_after(29.9) == []
    assert due_after(30) == days[:1]
    assert due_after(54) == days
    with database.write() as connection:
        keep(connection, window(days[0]), actor="system")
    assert due_after(54) == days[1:]


def test_nothing_is_due_before_the_first_plan(database: Database) -> None:
    with database.write() as connection:
        rows.insert(connection, plan(FEBRUARY, environment="staging"))

        assert due(connection, MonitoringSettings(), "delay", FEBRUARY + timedelta(99)) == []


def test_another_length_of_windows_measures_no_moment_twice(database: Database) -> None:
    with database.write() as connection:
        rows.insert(connection, plan(FEBRUARY))
        keep(connection, window(span_of(FEBRUARY, "month")), actor="system")

        found = due(
            connection,
            MonitoringSettings(window="week"),
            "delay",
            datetime(2013, 3, 20, tzinfo=UTC),
        )

    assert [span.start.day for span in found] == [4, 11]  # the week of the 25th began in February


def test_a_window_is_written_down_once(database: Database) -> None:
    first = window(span_of(FEBRUARY, "month"))
    with database.write() as connection:
        assert keep(connection, first, actor="system")
        assert not keep(connection, first, actor="system")

    with database.read() as connection:
        assert rows.find(connection, Window) == [first]
        (entry,) = ledger.entries(connection)
    assert (entry.action, entry.subject, entry.reason) == (
        "window.measured",
        "window/production/delay/2013-02-01",
        "pass on 100 predictions",
    )


@pytest.mark.parametrize("length", ["day", "week", "month"])
def test_a_local_time_belongs_to_the_window_of_its_moment_in_utc(length: Length) -> None:
    tokyo = datetime.fromisoformat("2013-02-01T08:00:00+09:00")

    assert span_of(tokyo, length).start.month == 1
