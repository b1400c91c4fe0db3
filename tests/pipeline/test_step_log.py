"""What steps log: attributed, taken over from the cache, kept when the run is killed."""

import signal
from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

import cd4ml
from cd4ml.errors import PipelineError
from cd4ml.pipeline.logged_steps import collect_logged, keep_lines
from cd4ml.pipeline.run import DatasetInput, Pipeline, run_pipeline
from cd4ml.pipeline.step_log import logging_step
from cd4ml.records.run import Run
from cd4ml.records.run_artifact import RunArtifact
from cd4ml.store import rows
from cd4ml.store.blobs import open_blobs
from cd4ml.store.clock import SystemClock
from cd4ml.store.segment_files import segments_in
from cd4ml.store.tracking.history import history, metrics_of
from cd4ml.store.tracking.recorder import FOLDER
from tests.pipeline.projects import edit, project

if TYPE_CHECKING:
    from cd4ml.store.blobs import Blobs
    from cd4ml.store.clock import Clock
    from cd4ml.store.database import Database

PIPELINE = """
    from cd4ml import Metrics, current_run, log, step

    @step
    def delay(*, epochs: int = 3) -> list:
        for epoch in range(epochs):
            log(loss=1 / (epoch + 1), step=epoch)
        current_run().log_text("so", "notes/delay.txt")
        current_run().tag(team="ops")
        return [epochs]

    @step
    def evaluation(delay: list) -> Metrics:
        log({"auc": 0.5}, step=0)
        return {"auc": 0.7, "n": delay[0]}
"""


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    return project(tmp_path / "project", pipeline=PIPELINE)


def started(folder: Path, database: "Database", blobs: "Blobs", clock: "Clock") -> Run:
    datasets: dict[str, DatasetInput] = {}
    return run_pipeline(
        Pipeline(folder, "pipeline", datasets=(), state=folder / ".cd4ml"),
        database=database,
        blobs=blobs,
        clock=clock,
        actor="ada",
        datasets=datasets,
        experiment="delays",
    )


@pytest.fixture
def start(folder: Path, database: "Database", blobs: "Blobs") -> Callable[[], Run]:
    return lambda: started(folder, database, blobs, SystemClock())


def test_a_step_logs_into_its_run(start: Callable[[], Run], database: "Database") -> None:
    run = start()

    with database.read() as connection:
        metrics = {each.name: each for each in metrics_of(connection, [run.number])}
        losses = [point.value for point in history(connection, run.number, "loss")]
        files = [(each.path, each.by) for each in rows.find(connection, RunArtifact)]
        found = rows.get(connection, Run, run.number)
    assert losses == pytest.approx([1, 1 / 2, 1 / 3])
    assert {name: each.by for name, each in metrics.items()} == {
        "loss": "delay",
        "auc": "",
        "n": "",
    }
    assert metrics["auc"].value == 0.7  # what the step returned was logged after
    assert (metrics["auc"].lowest, metrics["auc"].n_points) == (0.5, 2)
    assert files == [("notes/delay.txt", "delay")]
    assert (found.state, found.tags) == ("finished", {"team": "ops"})


def test_a_cached_step_has_logged_what_it_logged_when_it_was_computed(
    start: Callable[[], Run], database: "Database"
) -> None:
    start()
    start()
    third = start()

    with database.read() as connection:
        (loss,) = (each for each in metrics_of(connection, [3]) if each.name == "loss")
        losses = [point.value for point in history(connection, third.number, "loss")]
        files = [each.path for each in rows.find(connection, RunArtifact, run=third.number)]
    assert (loss.history_of, loss.n_points, loss.lowest) == (1, 3, pytest.approx(1 / 3))
    assert losses == pytest.approx([1, 1 / 2, 1 / 3])
    assert files == ["notes/delay.txt"]


@pytest.mark.crash
def test_what_a_killed_step_logged_is_kept(
    start: Callable[[], Run], database: "Database", folder: Path
) -> None:
    kill = f"import os; os.kill(os.getpid(), {signal.SIGKILL.value})\n    current_run()"
    edit(folder, "pipeline.py", "current_run().log_text", f"{kill}.log_text")

    with pytest.raises(PipelineError, match="'delay' failed"):
        start()

    with database.read() as connection:
        assert [point.value for point in history(connection, 1, "loss")] == pytest.approx(
            [1, 1 / 2, 1 / 3]
        )


def test_lines_from_another_machine_are_taken_in(
    start: Callable[[], Run], database: "Database", folder: Path, tmp_path: Path
) -> None:
    run = start()
    elsewhere = tmp_path / "elsewhere"
    blobs = open_blobs(str(tmp_path / "others"), cache=tmp_path / "cache")
    with logging_step(elsewhere, run.number, "delay", now=SystemClock().now, blobs=lambda: blobs):
        cd4ml.log(far=0.5)
    lines = b"".join(path.read_bytes() for path in segments_in(elsewhere / FOLDER))

    keep_lines(folder / ".cd4ml", run.number, lines)
    collect_logged(database, folder / ".cd4ml", run.number)

    with database.read() as connection:
        assert [point.value for point in history(connection, run.number, "far")] == [0.5]
