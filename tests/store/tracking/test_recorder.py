"""Logging from a process: durable at once, in the database a moment later."""

import os
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from datetime import UTC, datetime, timedelta
from pathlib import Path
from threading import Thread
from typing import TYPE_CHECKING

import pytest

from cd4ml.errors import InvalidInput, Unavailable
from cd4ml.records.run import Metric, Run
from cd4ml.records.run_artifact import RunArtifact
from cd4ml.store import rows
from cd4ml.store.blobs import open_blobs
from cd4ml.store.database import open_database
from cd4ml.store.segment_files import segments_in
from cd4ml.store.tracking.collection import collect
from cd4ml.store.tracking.history import history, metrics_of
from cd4ml.store.tracking.journal import Data
from cd4ml.store.tracking.recorder import Recorder, current, recording
from tests.store.records import NOW, run

if TYPE_CHECKING:
    from cd4ml.store.database import Database


@pytest.fixture
def begun(database: "Database") -> "Database":
    with database.write() as connection:
        rows.insert(connection, run(state="running"))
    return database


@pytest.fixture
def recorder(begun: "Database", tmp_path: Path) -> Iterator[Recorder]:
    made = Recorder(
        tmp_path / "logged",
        1,
        now=lambda: NOW,
        database=lambda: begun,
        blobs=lambda: open_blobs(str(tmp_path / "blobs"), cache=tmp_path / "cache"),
    )
    yield made
    made.close()


def wait_for(condition: Callable[[], bool], *, within_s: float) -> float:
    began = time.perf_counter()
    while not condition():
        assert time.perf_counter() - began < within_s
        time.sleep(0.005)
    return time.perf_counter() - began


def latest(database: "Database") -> dict[str, float | None]:
    with database.read() as connection:
        return {metric.name: metric.value for metric in metrics_of(connection, [1])}


@pytest.mark.alone
def test_what_was_logged_can_be_queried_a_moment_later(
    recorder: Recorder, begun: "Database"
) -> None:
    recorder.metrics({"auc": 0.5})
    recorder.flush()
    recorder.metrics({"auc": 0.7})

    took_s = wait_for(lambda: latest(begun) == {"auc": 0.7}, within_s=5)

    assert took_s <= 0.5  # 0.2 on a machine that does nothing else


def test_steps_count_themselves_for_each_metric(recorder: Recorder, begun: "Database") -> None:
    recorder.metrics({"loss": 0.9})
    recorder.metrics({"loss": 0.8, "auc": 0.6})
    recorder.metrics({"loss": 0.7}, step=10)
    recorder.metrics({"loss": 0.6})
    recorder.flush()

    with begun.read() as connection:
        steps = {
            name: [point.step for point in history(connection, 1, name)] for name in ("loss", "auc")
        }
    assert steps == {"loss": [0, 1, 10, 11], "auc": [0]}


def test_a_clock_that_goes_back_moves_no_time(begun: "Database", tmp_path: Path) -> None:
    times = iter([NOW, NOW - timedelta(days=1), NOW + timedelta(seconds=1)])
    recorder = Recorder(tmp_path / "logged", 1, now=lambda: next(times), database=lambda: begun)
    for value in (0.1, 0.2, 0.3):
        recorder.metrics({"auc": value}, step=0)
    recorder.close()

    with begun.read() as connection:
        points = history(connection, 1, "auc")
        (found,) = rows.find(connection, Metric)
    start = 1_356_998_400_000
    assert [point.time_ms for point in points] == [start, start, start + 1_000]
    assert found.value == 0.3


def test_threads_share_a_recorder(recorder: Recorder, begun: "Database") -> None:
    def log(worker: int) -> None:
        for i in range(200):
            recorder.metrics({f"m{worker}": float(i), "shared": 1.0})

    threads = [Thread(target=log, args=(worker,)) for worker in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    recorder.flush()

    with begun.read() as connection:
        found = {m.name: (m.n_points, m.last_step) for m in metrics_of(connection, [1])}
    assert found == {**{f"m{i}": (200, 199) for i in range(4)}, "shared": (800, 799)}


def test_a_file_is_stored_before_it_is_logged(
    recorder: Recorder, begun: "Database", tmp_path: Path
) -> None:
    (tmp_path / "model.bin").write_bytes(b"weights")
    recorder.file("a/model.bin", tmp_path / "model.bin")
    recorder.file("note.txt", b"hello")
    recorder.data(Data("flights", "d1"))
    recorder.tags({"team": "ops"})
    recorder.note("so")
    recorder.parameters({"rate": 0.1})
    recorder.flush()

    with begun.read() as connection:
        found = rows.get(connection, Run, 1)
        blobs = open_blobs(str(tmp_path / "blobs"), cache=tmp_path / "cache")
        files = {each.path: each for each in rows.find(connection, RunArtifact)}
    assert (found.tags, found.note, found.parameters) == ({"team": "ops"}, "so", {"rate": 0.1})
    assert blobs.get(files["a/model.bin"].address) == b"weights"
    assert files["note.txt"].n_bytes == 5


@pytest.mark.parametrize(
    ("call", "message"),
    [
        (
            lambda r: r.metrics({"auc": 0.5, "": 0.5}),
            "a metric cannot be named so: expected a name, got none",
        ),
        (
            lambda r: r.parameters({"rate": float("nan")}),
            "this cannot be logged: expected a finite number, got nan - at `parameters['rate']`",
        ),
        (
            lambda r: r.parameters({"rate": 1, "": 2}),
            "a parameter cannot be named so: expected a name, got none",
        ),
        (
            lambda r: r.tags({"a": "\0"}),
            "this cannot be logged: expected text without NUL characters, got '\\x00'"
            " - at `tags['a']`",
        ),
        (
            lambda r: r.file("../a", b""),
            "expected a path within the run, got '../a'\n  hint: as in figures/curve.json",
        ),
    ],
)
def test_what_cannot_be_stored_is_refused_when_it_is_logged(
    recorder: Recorder, tmp_path: Path, call: Callable[[Recorder], None], message: str
) -> None:
    with pytest.raises(InvalidInput) as refused:
        call(recorder)

    assert str(refused.value) == message
    assert segments_in(tmp_path / "logged") == []


def test_nothing_is_logged_after_the_end(recorder: Recorder) -> None:
    recorder.close()

    with pytest.raises(InvalidInput) as refused:
        recorder.metrics({"auc": 0.5})

    assert str(refused.value) == (
        "run/1 has ended, so nothing more can be logged in it\n"
        "  hint: cd4ml.run(resume='RUN') goes on with it"
    )


def test_a_process_without_a_database_leaves_its_lines_to_another(
    begun: "Database", tmp_path: Path
) -> None:
    worker = Recorder(tmp_path / "logged", 1, now=lambda: NOW, by="delay")
    worker.metrics({"auc": 0.5})
    before = latest(begun)
    watching = Recorder(
        tmp_path / "logged", 1, now=lambda: NOW, database=lambda: begun, watches=True
    )

    wait_for(lambda: latest(begun) == {"auc": 0.5}, within_s=5)

    assert before == {}
    worker.close()
    watching.close()
    assert segments_in(tmp_path / "logged") == []
    with begun.read() as connection:
        assert [metric.by for metric in rows.find(connection, Metric)] == ["delay"]


def test_a_forked_process_logs_into_the_same_run(
    recorder: Recorder, begun: "Database", tmp_path: Path
) -> None:
    recorder.metrics({"parent": 1.0})
    child = os.fork()
    if child == 0:
        recorder.metrics({"child": 2.0})
        os._exit(0)
    os.waitpid(child, 0)
    recorder.metrics({"parent": 3.0})
    recorder.flush()

    assert latest(begun) == {"parent": 3.0, "child": 2.0}


def test_a_database_that_is_away_loses_nothing(tmp_path: Path, sqlite_url: str) -> None:
    database = open_database(sqlite_url)
    with database.write() as connection:
        rows.insert(connection, run(state="running"))

    def away() -> "Database":
        raise Unavailable("the database does not work")

    recorder = Recorder(tmp_path / "logged", 1, now=lambda: NOW, database=away)
    recorder.metrics({"auc": 0.5})
    with pytest.raises(Unavailable):
        recorder.close()

    assert collect(database, tmp_path / "logged", only_abandoned=True) == 1
    assert latest(database) == {"auc": 0.5}
    database.close()


_LOGS = """
import sys, time
from datetime import UTC, datetime
from pathlib import Path
from cd4ml.store.database import open_database
from cd4ml.store.tracking.recorder import Recorder

database = open_database(sys.argv[1])
recorder = Recorder(Path(sys.argv[2]), 1, now=lambda: datetime.now(UTC), database=lambda: database)
for i in range(1_000_000):
    recorder.metrics({"loss": float(i)})
    print(i, flush=True)
"""


@pytest.mark.crash
@pytest.mark.parametrize("after_s", [0.0, 0.05, 0.13, 0.3])
def test_what_was_logged_survives_the_process(
    begun: "Database", database_url: str, tmp_path: Path, after_s: float
) -> None:
    command = [sys.executable, "-c", _LOGS, database_url, str(tmp_path / "logged")]
    with subprocess.Popen(command, stdout=subprocess.PIPE, text=True) as process:
        assert process.stdout is not None
        process.stdout.readline()
        time.sleep(after_s)
        process.send_signal(signal.SIGKILL)
        said = process.stdout.readlines()
    last = int(said[-2]) if len(said) > 1 else 0  # the last line may be torn

    collect(begun, tmp_path / "logged", only_abandoned=True)

    with begun.read() as connection:
        points = history(connection, 1, "loss", limit=1_000_000)
    assert [point.value for point in points] == [float(i) for i in range(len(points))]
    assert len(points) > last
    assert segments_in(tmp_path / "logged") == []


def test_the_innermost_run_is_the_current_one(recorder: Recorder, tmp_path: Path) -> None:
    inner = Recorder(tmp_path / "logged", 2, now=lambda: datetime.now(UTC))
    seen: list[Recorder | None] = []
    with recording(recorder), recording(inner):
        thread = Thread(target=lambda: seen.append(current()))
        thread.start()
        thread.join()
        assert current() is inner
    assert seen == [inner]
    assert current() is None


@pytest.mark.parametrize(
    ("paths", "both"),
    [(("out/a.txt", "out"), "out"), (("out", "out/deep/a.txt"), "out"), (("a/b/c", "a/b"), "a/b")],
)
def test_nothing_is_a_file_and_a_folder(
    recorder: Recorder, paths: tuple[str, str], both: str
) -> None:
    recorder.file(paths[0], b"1")

    with pytest.raises(InvalidInput) as refused:
        recorder.file(paths[1], b"2")

    assert str(refused.value) == (
        f"{both!r} would be a file and a folder of run/1\n  hint: log it under another name"
    )
    recorder.file(paths[0], b"3")
