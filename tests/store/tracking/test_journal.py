"""Lines that were logged count exactly once, whoever dies and however many collect."""

import sys
from math import inf, nan
from pathlib import Path
from threading import Thread
from types import CodeType
from typing import TYPE_CHECKING

import pytest

from cd4ml.records.log_file import LogMark
from cd4ml.records.run import Run
from cd4ml.records.run_artifact import RunArtifact
from cd4ml.records.run_input import RunInput
from cd4ml.store import rows
from cd4ml.store.database import open_database
from cd4ml.store.segment_files import segments_in
from cd4ml.store.segments import Segment
from cd4ml.store.tracking import collection
from cd4ml.store.tracking.collection import collect
from cd4ml.store.tracking.history import history
from cd4ml.store.tracking.journal import Data, Entry, File, encoded, in_json
from tests.killing import Work, apart, kill_at_every_step
from tests.store.records import run

if TYPE_CHECKING:
    from cd4ml.store.database import Database


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    return tmp_path / "logged"


@pytest.fixture
def begun(database: "Database") -> "Database":
    """A run that is running."""
    with database.write() as connection:
        rows.insert(connection, run(state="running"))
    return database


def write(folder: Path, *entries: Entry, name: str = "run-1-7") -> Segment:
    """A journal that is still written to."""
    segment = Segment(folder, name)
    for entry in entries:
        segment.append(encoded(entry))
    return segment


def losses(*values: float, number: int = 1) -> list[Entry]:
    return [Entry(number, 1_000 + i, step=i, metrics={"loss": v}) for i, v in enumerate(values)]


def values_of(database: "Database", name: str = "loss") -> list[float | None]:
    with database.read() as connection:
        return [point.value for point in history(connection, 1, name)]


def test_a_journal_is_taken_in_while_it_is_written(begun: "Database", folder: Path) -> None:
    segment = write(folder, *losses(0.9, 0.8))
    first = collect(begun, folder)
    segment.append(encoded(Entry(1, 2_000, step=2, metrics={"loss": 0.7})))
    second = collect(begun, folder)
    third = collect(begun, folder)

    assert (first, second, third) == (2, 1, 0)
    assert values_of(begun) == [0.9, 0.8, 0.7]
    assert len(segments_in(folder)) == 1
    segment.close()


def test_everything_that_can_be_logged_arrives(begun: "Database", folder: Path) -> None:
    entry = Entry(
        1,
        1_000,
        by="delay",
        step=3,
        metrics={"a": in_json(nan), "b": in_json(-inf), "c": None, "größe/🙂": 1e308},
        parameters={"rate": 0.1, "shape": [1, 2], "名": None},
        tags={"team": "ops"},
        note="*so*",
        files=(File("figures/a.png", "blake3:" + "a" * 64, 5),),
        data=(Data("flights", "d1", context="training", tags={"x": "y"}),),
    )
    write(folder, entry, Entry(1, 2_000, note="*or so*")).close()

    collect(begun, folder)

    with begun.read() as connection:
        found = rows.get(connection, Run, 1)
        artifacts = rows.find(connection, RunArtifact)
        inputs = rows.find(connection, RunInput)
    assert [repr(values_of(begun, name)) for name in ("a", "b", "c", "größe/🙂")] == [
        "[nan]",
        "[-inf]",
        "[None]",
        "[1e+308]",
    ]
    assert (found.parameters, found.tags, found.note) == (
        {"rate": 0.1, "shape": [1, 2], "名": None},
        {"team": "ops"},
        "*or so*",
    )
    assert [(each.path, each.n_bytes, each.by) for each in artifacts] == [
        ("figures/a.png", 5, "delay")
    ]
    assert [(each.name, each.digest, each.context, each.tags) for each in inputs] == [
        ("flights", "d1", "training", {"x": "y"})
    ]


def test_a_journal_of_a_dead_process_is_removed_when_it_is_empty(
    begun: "Database", folder: Path
) -> None:
    alive = write(folder, *losses(0.9), name="run-1-7")
    write(folder, *losses(0.8), name="run-1-8").close()

    n_lines = collect(begun, folder, only_abandoned=True)

    assert n_lines == 1
    assert values_of(begun) == [0.8]
    assert [path.name[:8] for path in segments_in(folder)] == ["run-1-7-"]
    with begun.read() as connection:
        assert rows.find(connection, LogMark) == []
    alive.close()


def test_only_the_journals_of_one_run_are_collected(begun: "Database", folder: Path) -> None:
    write(folder, *losses(0.9), name="run-1-7").close()
    write(folder, *losses(0.8, number=11), name="run-11-7").close()

    assert collect(begun, folder, prefix="run-1-") == 1


def test_a_torn_or_damaged_line_takes_nothing_else_with_it(begun: "Database", folder: Path) -> None:
    segment = write(folder, *losses(0.9))
    segment.append(b"not JSON")
    segment.append(encoded(Entry(1, 2_000, step=1, metrics={"loss": 0.8})))
    segment.close()
    (path,) = segments_in(folder)
    with path.open("ab") as file:
        file.write(b'{"run":1,"time')  # its writer died there: nobody was told it is logged

    n_lines = collect(begun, folder)

    assert n_lines == 2
    assert values_of(begun) == [0.9, 0.8]
    assert [file.read_bytes() for file in folder.glob("*.refused")] == [b"not JSON\n"]


def test_lines_of_a_run_that_is_not_there_are_set_aside(begun: "Database", folder: Path) -> None:
    lost = losses(0.5, number=9)
    write(folder, *losses(0.9), *lost).close()

    assert collect(begun, folder) == 1
    assert [file.read_bytes() for file in folder.glob("*.refused")] == [encoded(lost[0]) + b"\n"]
    assert segments_in(folder) == []


def test_several_may_collect_at_once(
    begun: "Database", folder: Path, database_url: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(collection, "_BATCH_BYTES", 500)
    for worker in range(3):
        write(folder, *losses(*range(100)), name=f"run-1-{worker}").close()
    threads = [Thread(target=collect, args=(begun, folder)) for _ in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    collect(begun, folder)

    assert sorted(values_of(begun)) == sorted(3 * [float(i) for i in range(100)])  # type: ignore[type-var]
    assert segments_in(folder) == []


def kill_collectors(sqlite_url: str, folder: str) -> None:
    """Collectors killed at one step after another; prints how many."""
    tmp_path = Path(folder)
    opened = open_database(sqlite_url)
    with opened.write() as connection:
        for number in range(1, 60):
            rows.insert(connection, run(number, state="running"))
    opened.close()

    def attempt(n: int) -> Work:
        folder = tmp_path / f"logged-{n}"
        write(folder, *losses(0.9, 0.8, number=n + 1)).close()
        database = open_database(sqlite_url)
        return lambda: collect(database, folder)

    def afterwards(n: int) -> None:
        database = open_database(sqlite_url)
        collect(database, tmp_path / f"logged-{n}")
        with database.read() as connection:
            assert [point.value for point in history(connection, n + 1, "loss")] == [0.9, 0.8]
        assert segments_in(tmp_path / f"logged-{n}") == []
        database.close()

    sys.stdout.write(str(kill_at_every_step(attempt, _is_of_the_journal, afterwards=afterwards)))


@pytest.mark.crash
def test_a_collector_killed_anywhere_loses_and_doubles_nothing(
    sqlite_url: str, tmp_path: Path
) -> None:
    assert 15 <= int(apart(kill_collectors, sqlite_url, str(tmp_path))) < 60


def _is_of_the_journal(code: CodeType) -> bool:
    names = ("collect", "_drain", "_take", "_log", "_forget")
    return code.co_filename == collection.__file__ and code.co_name in names
