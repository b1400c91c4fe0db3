"""Answers that were sent to the blob store before they left are collected once, anywhere."""

from pathlib import Path
from typing import Any, cast

import pytest
from hypothesis import given
from hypothesis import strategies as st

from cd4ml.errors import Conflict
from cd4ml.store.answer_counts import answered_by
from cd4ml.store.blobs import Blobs
from cd4ml.store.database import Database
from cd4ml.store.log import PredictionLog, _read_of
from cd4ml.store.named_objects import Named
from cd4ml.store.shipped import FOLDER, Shipped, name_of, taken, waiting
from tests.store.answers import START, answer, line, prediction_id

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

    assert waiting(any_log._blobs.below(FOLDER), {f"shipped {WORKER} 1": 1})[0] == []
    assert any_log.collect() == 0
    assert ids(any_log) == [prediction_id(1)]
    assert any_log._blobs.below(FOLDER).names() == []


def test_an_object_that_is_seen_late_is_collected_and_only_then_removed(
    any_log: PredictionLog,
) -> None:
    ship(any_log, WORKER, 2, 2)
    assert any_log.collect() == 1

    ship(any_log, WORKER, 1, 1)  # on its way for long, or hidden meanwhile
    assert any_log.collect() == 1

    assert ids(any_log) == [prediction_id(1), prediction_id(2)]
    marks = any_log.tables[0].marks()
    assert marks == {f"shipped {WORKER}": 2, f"shipped {WORKER} 1": 2}  # no mark an object


def test_of_two_collectors_that_see_different_objects_one_begins_anew(
    any_log: PredictionLog,
) -> None:
    """They would not meet in the marks of their objects alone."""
    ship(any_log, WORKER, 1, 1)
    ship(any_log, WORKER, 3, 3)
    table, before = any_log.tables[0], any_log.tables[0].marks()
    any_log.collect()
    other = taken([Shipped(name_of(WORKER, 3), WORKER, 3)], before)

    with pytest.raises(Conflict, match="another process appended the same rows"):
        table.append(any_log._frame([]), other.marks, seen=before, replaced=other.replaced)

    assert ids(any_log) == [prediction_id(1), prediction_id(3)]


def test_an_object_that_another_collector_took_first_is_no_fault(any_log: PredictionLog) -> None:
    ship(any_log, WORKER, 1, 1)
    found, _ = waiting(any_log._blobs.below(FOLDER), {})
    any_log.collect()

    with pytest.raises(Conflict) as taken_first:
        _read_of(any_log._blobs.below(FOLDER), found[0])

    assert str(taken_first.value) == (
        f"another collector took the answers in {WORKER}/000000000001 first\n"
        "  hint: repeat: what it took will be skipped"
    )


class Killed(Exception):
    """In place of a signal: the collector goes no further."""


class Store:
    """A store of objects, some of which are not shown, and that cannot always be removed from."""

    def __init__(self) -> None:
        self.objects: dict[str, bytes] = {}
        self.hidden: set[str] = set()
        self.is_killed = False

    def names(self) -> list[Named]:
        shown = sorted(set(self.objects) - self.hidden)
        return [Named(name, 1, START) for name in shown]

    def remove(self, name: str) -> None:
        if self.is_killed:
            raise Killed
        del self.objects[name]


def collected_from(store: Store, marks: dict[str, int]) -> list[str]:
    """What a collector takes: the steps of `PredictionLog.collect`, which commits by marks."""
    found: list[str] = []
    try:
        while True:
            fresh, drained = waiting(cast(Any, store), marks)
            for each in drained:
                store.remove(each.name)
            if not fresh:
                return found
            noted = taken(fresh, marks)
            for name in noted.replaced:
                del marks[name]
            marks |= noted.marks
            found += [each.name for each in fresh]
    except Killed:
        return found


names = st.builds(name_of, st.sampled_from([WORKER, OTHER]), st.integers(1, 12))
moves = st.lists(st.tuples(st.sets(names), st.booleans()), min_size=1, max_size=12)


@given(st.lists(names, unique=True, max_size=20), moves)
def test_each_object_is_collected_once_in_whatever_order_it_is_seen(
    shipped: list[str], moves: list[tuple[set[str], bool]]
) -> None:
    store, marks, found = Store(), dict[str, int](), list[str]()
    waits = list(shipped)
    for hidden, is_killed in [*moves, (set[str](), False)]:
        arriving, waits = (waits, []) if not hidden and not is_killed else (waits[:3], waits[3:])
        store.objects |= dict.fromkeys(arriving, b"")
        store.hidden, store.is_killed = hidden, is_killed
        found += collected_from(store, marks)

    assert sorted(found) == sorted(shipped)
    assert store.objects == {}
    # what is remembered does not grow with the objects, only with the gaps between them
    for worker in (WORKER, OTHER):
        numbers = sorted(int(name[-12:]) for name in shipped if name.startswith(worker))
        n_stretches = sum(n - 1 not in numbers for n in numbers)
        assert sum(name.startswith(f"shipped {worker} ") for name in marks) == n_stretches
        assert marks.get(f"shipped {worker}", 0) == len(numbers)
