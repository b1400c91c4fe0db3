"""Answers are counted by hour and version while they are collected, and never twice."""

from datetime import timedelta
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from cd4ml.records.log_file import LogFile
from cd4ml.store import rows
from cd4ml.store.answer_counts import Answered, answered_by, counted, in_hour
from cd4ml.store.blobs import Blobs
from cd4ml.store.database import Database
from cd4ml.store.log import PredictionLog
from tests.store.answers import START, answer, collected, moment, prediction_id


@pytest.fixture
def log(database: Database, blobs: Blobs, tmp_path: Path) -> PredictionLog:
    return PredictionLog(database, blobs, tmp_path / "segments")


def counts(log: PredictionLog, *numbers: int) -> list[Answered]:
    with log.database.read() as connection:
        return answered_by(connection, [("delay", number) for number in numbers])


def test_answers_are_counted_by_version_and_role_with_the_hours_they_span(
    log: PredictionLog,
) -> None:
    collected(
        log,
        answer(1, moment(0.2)),
        answer(2, moment(0.9)),
        answer(3, moment(5.5)),
        answer(4, moment(5.6), role="shadow", number=2),
        answer(5, moment(5.6), role="canary", number=2, environment="staging"),
    )

    champion, canary, shadow = counts(log, 1, 2)

    assert (champion.version, champion.role, champion.n) == ("delay/1", "champion", 3)
    assert (champion.first, champion.last) == (START, moment(6))
    assert (shadow.role, shadow.n) == ("shadow", 1)
    assert (canary.role, canary.environment, canary.n) == ("canary", "staging", 1)


def test_later_answers_of_an_hour_are_added_to_the_earlier_ones(log: PredictionLog) -> None:
    for sequence in range(3):
        collected(log, answer(sequence, moment(0.1 * sequence)))

    (answered,) = counts(log, 1)

    assert answered.n == 3


def test_versions_without_an_answer_are_left_out(log: PredictionLog) -> None:
    collected(log, answer(1))

    assert counts(log, 2, 3) == []
    assert counts(log) == []


def test_an_hour_s_answers_leave_out_what_shadows_said(log: PredictionLog) -> None:
    shadow = answer(3, role="shadow", number=2)
    collected(log, answer(1), answer(2), shadow, answer(4, moment(1.0)))

    with log.database.read() as connection:
        assert in_hour(connection, "production", moment(0.5)) == {"delay/1": 2}
        assert in_hour(connection, "staging", moment(0.5)) == {}


def test_of_many_files_only_those_that_may_have_a_prediction_are_read(
    log: PredictionLog,
) -> None:
    for sequence in range(3):
        collected(log, answer(sequence, moment(sequence)))
    with log.database.read() as connection:
        files = rows.find(connection, LogFile)
    for file in files:
        if file.first != prediction_id(1, moment(1)):
            log._blobs.below(f"tables/predictions/day={file.day}").path(file.digest).unlink()

    (found,) = log.prediction(prediction_id(1, moment(1)))

    assert found.answered_at == moment(1)
    assert log.prediction(prediction_id(1, moment(0.5))) == []


@settings(max_examples=25, deadline=None)
@given(st.lists(st.tuples(st.integers(0, 400), st.sampled_from([1, 2])), max_size=30))
def test_the_counts_of_any_rows_sum_to_the_rows(answers: list[tuple[int, int]]) -> None:
    import polars as pl

    columns = {
        "model": ["delay"] * len(answers),
        "number": [number for _, number in answers],
        "environment": ["production"] * len(answers),
        "role": ["champion"] * len(answers),
        "answered_at": [START + timedelta(minutes=minutes) for minutes, _ in answers],
    }
    schema = {"answered_at": pl.Datetime("us", "UTC")}

    found = counted(pl.DataFrame(columns, schema_overrides=schema))

    assert sum(count.n for count in found) == len(answers)
    hours = {(number, minutes // 60) for minutes, number in answers}
    assert {(count.number, (count.hour - START) // timedelta(hours=1)) for count in found} == hours
