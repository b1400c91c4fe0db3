"""Answers that were sent to the blob store before they left are collected once, anywhere."""

from pathlib import Path

import pytest

from cd4ml.store.answer_counts import answered_by
from cd4ml.store.blobs import Blobs
from cd4ml.store.database import Database
from cd4ml.store.log import PredictionLog
from cd4ml.store.shipped import FOLDER, name_of, waiting
from tests.store.answers import answer, line, prediction_id

WORKER, OTHER = "0" * 16, "f" * 16


@pytest.fixture
def any_log(database: Database, blobs: Blobs, tmp_path: Path) -> PredictionLog:
    return PredictionLog(database, blobs, tmp_path / "segments")


def ship(log: PredictionLog, worker: str, sequence: int, *sequences: int) -> None:
    data = b"".join(line(answer(each)) + b"\n" for each in sequences)
    assert log._blobs.below(FOLDER).create(name_of(worker, sequence), data)


def ids(log: PredictionLog) -> list[str]:
    return sorted(log.predictions().collect()["prediction_id"])


def test_objects_of_every_machine_are_drained_once_and_removed(any_log: PredictionLog) -> None:
    ship(any_log, WORKER, 1, 1, 2)
    ship(any_log, OTHER, 1, 3)
    ship(any_log, WORKER, 3, 4)  # the second one failed

    assert [any_log.collect(), any_log.collect()] == [4, 0]

    ship(any_log, WORKER, 4, 5)
    assert any_log.collect() == 1
    assert ids(any_log) == [prediction_id(i) for i in range(1, 6)]
    assert any_log._blobs.below(FOLDER).names() == []
    with any_log.database.read() as connection:
        assert [each.n for each in answered_by(connection, [("delay", 1)])] == [5]


def test_an_object_that_was_drained_and_not_removed_is_not_drained_again(
    any_log: PredictionLog,
) -> None:
    ship(any_log, WORKER, 1, 1)
    any_log.collect()
    ship(any_log, WORKER, 1, 1)  # as a collector killed before the removal leaves it

    assert waiting(any_log._blobs.below(FOLDER), {f"shipped {WORKER}": 1})[0] == []
    assert any_log.collect() == 0
    assert ids(any_log) == [prediction_id(1)]
    assert any_log._blobs.below(FOLDER).names() == []
