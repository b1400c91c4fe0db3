"""Steps on a Ray cluster of two nodes on this machine: the same results, and what may go wrong."""

import os
import subprocess
import time
from collections.abc import Iterator
from datetime import UTC, datetime
from pathlib import Path
from typing import TYPE_CHECKING, Any

import polars as pl
import pytest

from cd4ml.errors import PipelineError, TimedOut, Unavailable, WorkerLost
from cd4ml.pipeline.run import DatasetInput, Pipeline, run_pipeline
from cd4ml.records.resources import Resources
from cd4ml.records.run import Run, StepRun
from cd4ml.store import rows
from tests.pipeline.projects import project

if TYPE_CHECKING:
    from cd4ml.engines.ray.executor import RayExecutor
    from cd4ml.store.clock import SimulatedClock

pytest.importorskip("pyarrow")
ray = pytest.importorskip("ray")

pytestmark = [
    pytest.mark.slow,
    pytest.mark.timeout(300),
    pytest.mark.filterwarnings("ignore"),  # Ray's own
]

PIPELINE = """
    import os
    import sys
    import time
    from pathlib import Path

    import polars as pl
    from cd4ml import Metrics, Model, step

    HERE = Path(__file__).parent

    @step
    def late(flights: pl.DataFrame) -> pl.DataFrame:
        print("late flights of", flights.height)
        return flights.filter(pl.col("delay") > 15)

    @step
    def early(flights: pl.DataFrame) -> pl.DataFrame:
        return flights.filter(pl.col("delay") <= 15)

    @step
    def evaluation(late: pl.DataFrame, early: pl.LazyFrame) -> Metrics:
        return {"share": late.height / (late.height + early.collect().height)}
"""


@pytest.fixture(scope="module")
def cluster() -> Iterator[Any]:
    from ray.cluster_utils import Cluster

    started = Cluster(initialize_head=True, head_node_args={"num_cpus": 0})
    started.add_node(num_cpus=2)
    yield started
    ray.shutdown()
    started.shutdown()


@pytest.fixture(scope="module")
def executor(cluster: Any) -> Iterator["RayExecutor"]:
    from cd4ml.engines.ray.executor import RayExecutor

    opened = RayExecutor(cluster.address)
    yield opened
    opened.shutdown(cancel=True)


def run(
    folder: Path, sqlite_url: str, files_url: str, clock: "SimulatedClock", executor: Any
) -> Run:
    from cd4ml.store.blobs import open_blobs
    from cd4ml.store.database import open_database

    table = pl.DataFrame({"delay": [0, 10, 20, 30]})
    pipeline = Pipeline(
        folder, "pipeline", state=folder / ".cd4ml", datasets=["flights"], executor=executor
    )
    return run_pipeline(
        pipeline,
        database=open_database(sqlite_url),
        blobs=open_blobs(files_url),
        clock=clock,
        actor="ada",
        experiment="ray",
        datasets={"flights": DatasetInput("flights@1", "blake3:" + "1" * 64, table.lazy)},
        executor=executor,
    )


def test_a_run_gives_the_bytes_that_worker_processes_give(
    tmp_path: Path, clock: "SimulatedClock", executor: Any, sqlite_url: str, files_url: str
) -> None:
    from cd4ml.store.blobs import open_blobs
    from cd4ml.store.database import open_database

    folder = project(tmp_path / "project", pipeline=PIPELINE)
    other = f"sqlite:///{tmp_path}/other.db"

    there = run(folder, sqlite_url, files_url, clock, executor)
    here = run(folder, other, files_url, clock, None)

    assert there.state == "finished"
    assert there.outputs == here.outputs
    assert there.hardware.cpus == 2
    with open_database(sqlite_url).read() as connection:
        step = rows.get(connection, StepRun, there.number, "late")
    assert open_blobs(files_url).get(step.log) == b"late flights of 4\n"
    assert step.worker.rpartition(":")[2] != str(os.getpid())


def test_a_failure_has_the_traceback_at_the_users_code(
    tmp_path: Path, clock: "SimulatedClock", executor: Any, sqlite_url: str, files_url: str
) -> None:
    from cd4ml.store.database import open_database

    broken = PIPELINE.replace('print("late', 'raise ValueError("no flights")\n        print("late')
    folder = project(tmp_path / "project", pipeline=broken)

    with pytest.raises(PipelineError) as caught:
        run(folder, sqlite_url, files_url, clock, executor)

    assert caught.value.message == ("pipeline.py:14: step 'late' failed: ValueError: no flights")
    with open_database(sqlite_url).read() as connection:
        step = rows.get(connection, StepRun, 1, "late")
    assert step.reason.splitlines()[1] == f'  File "{folder}/pipeline.py", line 14, in late'


def test_a_gpu_that_no_node_has_is_refused_at_once(
    tmp_path: Path, clock: "SimulatedClock", executor: Any, sqlite_url: str, files_url: str
) -> None:
    from cd4ml.store.database import open_database

    wants = PIPELINE.replace("    @step\n    def late", "    @step(gpus=1)\n    def late")
    folder = project(tmp_path / "project", pipeline=wants)

    with pytest.raises(PipelineError) as caught:
        run(folder, sqlite_url, files_url, clock, executor)

    assert str(caught.value) == (
        "pipeline.py:12: step 'late' asks for 1 GPUs (there are none)\n"
        "  hint: run it where there is more, or let it ask for less"
    )
    with open_database(sqlite_url).read() as connection:
        assert rows.count(connection, Run) == 0


def test_what_takes_too_long_is_ended(executor: Any) -> None:
    with pytest.raises(TimedOut) as caught:
        executor.submit(time.sleep, 60, timeout_s=1).result(30)

    assert caught.value.message == "it took more than 1 s, and was ended"


def test_a_process_that_ended_itself_in_time_did_not_take_too_long(executor: Any) -> None:
    with pytest.raises(WorkerLost) as caught:
        executor.submit(os._exit, 3, timeout_s=0.5).result(60)

    assert caught.value.message == "its process, or its node, died"


def test_what_ends_after_its_time_took_too_long(executor: Any) -> None:
    with pytest.raises(TimedOut, match=r"^it took more than 0\.01 s, and was ended$"):
        executor.submit(time.sleep, 1, timeout_s=0.01).result(60)


def test_programs_that_fail_are_heard_of(executor: Any) -> None:
    assert executor.submit(subprocess.call, ["false"]).result(60) == 1
    assert subprocess.call(["false"]) == 1


def test_what_is_cancelled_is_ended(executor: Any, tmp_path: Path) -> None:
    from concurrent.futures import CancelledError

    future = executor.submit(_beat, tmp_path / "beats")
    while not (tmp_path / "beats").exists():
        time.sleep(0.05)

    assert future.cancel()

    with pytest.raises(CancelledError):
        future.result(30)
    time.sleep(1)
    beats = (tmp_path / "beats").read_text()
    time.sleep(0.5)
    assert (tmp_path / "beats").read_text() == beats


def test_a_process_that_ends_itself_is_said_to_be_lost(executor: Any) -> None:
    with pytest.raises(WorkerLost) as caught:
        executor.submit(os._exit, 3).result(60)

    assert caught.value.message == "its process, or its node, died"


def test_an_error_comes_as_what_it_was(executor: Any) -> None:
    with pytest.raises(ValueError, match="invalid literal for int") as caught:
        executor.submit(int, "many").result(60)

    assert "in call" in str(caught.value.__cause__)


def test_tables_are_read_where_they_lie(executor: Any) -> None:
    table = pl.DataFrame({"delay": range(10_000_000), "late": [True, False] * 5_000_000})
    executor.tables.put("blake3:table", table)
    executor.tables.get("blake3:table")
    before = _own_memory()

    found = executor.tables.get("blake3:table")

    assert _own_memory() - before < 8_000_000  # bytes, of 81 MB
    assert found.equals(table)
    executor.tables.drop(("blake3:table",))
    assert executor.tables.get("blake3:table") is None


def test_text_and_times_come_through_as_they_were(executor: Any) -> None:
    table = pl.DataFrame(
        {"carrier": ["UA", None, "Ü"], "at": [datetime(2013, 1, 1, tzinfo=UTC), None, None]}
    )

    executor.tables.put("blake3:text", table)

    assert executor.tables.get("blake3:text").equals(table)


@pytest.mark.crash
def test_a_node_that_dies_in_the_middle_of_a_call_costs_time_and_nothing_else(
    executor: Any, cluster: Any, tmp_path: Path
) -> None:
    doomed = cluster.add_node(num_cpus=3)
    cluster.wait_for_nodes()
    future = executor.submit(_first_time_for_ever, tmp_path / "began", resources=Resources(cpus=3))
    while not (tmp_path / "began").exists():
        time.sleep(0.05)

    cluster.remove_node(doomed, allow_graceful=False)
    cluster.add_node(num_cpus=3)

    assert future.result(120) == 2  # the second time that it was begun


def test_a_cluster_that_is_not_there_is_named() -> None:
    from cd4ml.engines.ray.connection import connect

    with pytest.raises(Unavailable) as caught:
        connect("127.0.0.1:1")

    assert str(caught.value) == (
        "the Ray cluster '127.0.0.1:1' does not answer: [Errno 111] Connection refused\n"
        "  hint: start one with `ray start --head`, or `--ray local`"
    )


def _own_memory() -> int:
    """Bytes of this process's own memory, without what it shares."""
    status = Path("/proc/self/status").read_text()
    return int(status.partition("RssAnon:")[2].split()[0]) * 1024


def _beat(path: Path) -> None:
    while True:
        with path.open("a") as file:
            file.write(".")
        time.sleep(0.1)


def _first_time_for_ever(path: Path) -> int:
    times = len(path.read_text()) + 1 if path.exists() else 1
    path.write_text("." * times)
    if times == 1:
        time.sleep(600)
    return times
