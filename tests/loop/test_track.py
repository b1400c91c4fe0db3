"""Runs made in notebooks and scripts."""

import os
import signal
import subprocess
import sys
from datetime import UTC, datetime
from math import inf, isnan
from pathlib import Path
from typing import Any

import numpy as np
import polars as pl
import pytest

import cd4ml
from cd4ml.errors import Conflict, InvalidInput, NotFound
from cd4ml.loop import Project, open_project
from cd4ml.loop.compare import run_report, runs
from cd4ml.loop.ingest import ingest
from cd4ml.records.experiment import Experiment
from cd4ml.records.run import Run
from cd4ml.records.run_artifact import RunArtifact
from cd4ml.records.run_input import RunInput
from cd4ml.store import rows
from cd4ml.store.tracking.history import history, metric_of


@pytest.fixture(autouse=True)
def somebody(monkeypatch: pytest.MonkeyPatch, project: Project) -> None:
    """Whoever logs, logs as ann, in this project."""
    monkeypatch.setenv("CD4ML_ACTOR", "ann")
    monkeypatch.setenv("CD4ML_PROJECT", str(project.folder))


def stored(project: Project, number: int = 1) -> Run:
    with project.database.read() as connection:
        return rows.get(connection, Run, number)


def values(project: Project, name: str, number: int = 1) -> list[float | None]:
    with project.database.read() as connection:
        return [point.value for point in history(connection, number, name)]


def test_a_notebook_makes_a_run(project: Project) -> None:
    with cd4ml.run("how deep?", name="first", tags={"team": "ops"}, parameters={"depth": 3}) as run:
        for epoch in range(3):
            run.log(loss=1 / (epoch + 1))
        cd4ml.log({"val/auc": np.float32(0.5)}, step=7)
        run.log_parameters(rate=np.float64(0.1), sizes=(3, 4), path=Path("a"))
        run.tag(kind="baseline", tries=2)
        run.note("# Größe 🙂")
        assert repr(run) == "<run/1>"

    found = stored(project)
    assert (found.experiment, found.name, found.state) == ("how deep?", "first", "finished")
    assert found.parameters == {"depth": 3, "rate": 0.1, "sizes": [3, 4], "path": "a"}
    assert found.tags == {"team": "ops", "kind": "baseline", "tries": "2"}
    assert (found.note, found.created_by) == ("# Größe 🙂", "ann")
    assert values(project, "loss") == pytest.approx([1, 1 / 2, 1 / 3])
    assert run_report(project, "run/1").metrics == {"loss": pytest.approx(1 / 3), "val/auc": 0.5}
    with project.database.read() as connection:
        assert metric_of(connection, 1, "val/auc").step == 7
        assert [each.name for each in rows.find(connection, Experiment)] == ["how deep?"]


@pytest.mark.parametrize(
    ("error", "state", "reason"),
    [
        (ValueError("too deep"), "failed", "ValueError: too deep"),
        (KeyboardInterrupt(), "killed", "KeyboardInterrupt: "),
    ],
)
def test_a_block_that_is_left_by_an_error_says_so(
    project: Project, error: BaseException, state: str, reason: str
) -> None:
    def interrupted() -> None:
        with cd4ml.run() as run:
            run.log(auc=0.5)
            raise error

    with pytest.raises(type(error)):
        interrupted()

    found = stored(project)
    assert (found.state, found.reason, found.experiment) == (state, reason, "default")
    assert values(project, "auc") == [0.5]


@pytest.mark.parametrize(
    "value", [0.5, 1, True, np.float32(0.5), np.int64(2), np.bool_(True), np.array(0.5), 1e308]
)
def test_numbers_of_any_library_are_values(project: Project, value: Any) -> None:
    with cd4ml.run() as run:
        run.log(auc=value)

    assert values(project, "auc") == [float(value)]


def test_what_is_not_finite_is_a_value(project: Project) -> None:
    with cd4ml.run() as run:
        for value in (np.nan, np.float32(np.inf), -inf, None):
            run.log(loss=value)

    first, *others = values(project, "loss")
    assert first is not None
    assert isnan(first)
    assert others == [inf, -inf, None]


@pytest.mark.parametrize(
    ("given", "message"),
    [
        ({"auc": "high"}, "the metric 'auc' is a number or None, got 'high'"),
        ({"auc": 1j}, "the metric 'auc' is a number or None, got '1j'"),
        ({"auc": np.zeros(2)}, "the metric 'auc' is a number or None, got '[0. 0.]'"),
        (
            {"auc": 10**400},
            "the metric 'auc' is a number or None, got one that is none:"
            " int too large to convert to float",
        ),
        ({3: 1.0}, "a metric's name is a text, got 3"),
    ],
)
def test_what_is_no_number_is_refused_and_leaves_no_trace(
    project: Project, given: dict[Any, Any], message: str
) -> None:
    with cd4ml.run() as run:
        with pytest.raises(InvalidInput) as refused:
            run.log({"other": 1.0, **given})
        run.log(n=1)

    assert str(refused.value) == message
    assert run_report(project, "1").metrics == {"n": 1.0}


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"step": 1.5}, "a step is a whole number, got 1.5"),
        ({"step": True}, "a step is a whole number, got True"),
        ({"step": 2**63}, f"a step is a whole number of at most 64 bits, got {2**63}"),
        (
            {"at": datetime(2013, 1, 1)},  # noqa: DTZ001
            "expected a time with its time zone, got 2013-01-01 00:00:00",
        ),
    ],
)
def test_a_step_is_a_whole_number_and_a_time_has_its_zone(
    project: Project, options: dict[str, Any], message: str
) -> None:
    with cd4ml.run() as run, pytest.raises(InvalidInput) as refused:
        run.log(auc=0.5, **options)

    assert str(refused.value) == message


def test_values_of_another_time_can_be_logged(project: Project) -> None:
    with cd4ml.run() as run:
        run.log(auc=0.5, step=np.int32(3), at=datetime(2013, 1, 1, tzinfo=UTC))

    with project.database.read() as connection:
        found = metric_of(connection, 1, "auc")
    assert (found.step, found.logged_at) == (3, datetime(2013, 1, 1, tzinfo=UTC))


class Figure:
    """What Matplotlib calls a figure."""

    def savefig(self, file: Any, format: str) -> None:
        file.write(f"drawn as {format}".encode())


class Chart:
    """What Plotly calls one."""

    def to_json(self) -> str:
        return '{"data": []}'

    def to_html(self) -> str:
        return "<div>"


def test_files_folders_and_figures_are_kept(project: Project, tmp_path: Path) -> None:
    (tmp_path / "out" / "deep").mkdir(parents=True)
    (tmp_path / "out" / "a.txt").write_text("a")
    (tmp_path / "out" / "deep" / "b.txt").write_text("b")
    with cd4ml.run() as run:
        run.log_file(tmp_path / "out" / "a.txt")
        run.log_file(tmp_path / "out", to="all")
        run.log_text("größe", "note.txt")
        run.log_figure(Figure(), "curve")
        run.log_figure(Figure(), "curve.svg")
        run.log_figure(Chart(), "chart")
        run.log_figure(Chart(), "chart.html")
        with pytest.raises(InvalidInput) as refused:
            run.log_figure(3, "three")
        for call in (lambda: run.note(None), lambda: run.log_text(b"so", "bytes")):
            with pytest.raises(InvalidInput, match="expected a text, got "):
                call()

    with project.database.read() as connection:
        files = rows.find(connection, RunArtifact)
    assert {each.path: project.blobs.get(each.address).decode() for each in files} == {
        "a.txt": "a",
        "all/a.txt": "a",
        "all/deep/b.txt": "b",
        "note.txt": "größe",
        "curve.png": "drawn as png",
        "curve.svg": "drawn as svg",
        "chart.json": '{"data": []}',
        "chart.html": "<div>",
    }
    assert str(refused.value) == (
        "expected a figure of Matplotlib, Plotly, Altair or Pillow, got int\n"
        "  hint: log_file keeps any file"
    )


def test_data_have_the_digest_of_what_they_hold(project: Project, tmp_path: Path) -> None:
    frame = pl.DataFrame({"a": [1, 2], "b": ["x", None]})
    (tmp_path / "rows.csv").write_text("a,b\n")
    with cd4ml.run() as run:
        run.log_dataset(frame, name="train", context="training")
        run.log_dataset(frame.clone(), name="again")
        run.log_dataset(frame.with_columns(a=pl.lit(3)), name="other")
        run.log_dataset(np.arange(3), name="array")
        run.log_dataset(tmp_path / "rows.csv")
        with pytest.raises(InvalidInput) as nameless:
            run.log_dataset(frame)

    with project.database.read() as connection:
        inputs = {each.name: each for each in rows.find(connection, RunInput)}
    assert set(inputs) == {"train", "again", "other", "array", "rows.csv"}
    assert inputs["train"].digest == inputs["again"].digest != inputs["other"].digest
    assert (inputs["train"].context, inputs["train"].schema, inputs["train"].profile) == (
        "training",
        '{"a":"Int64","b":"String"}',
        '{"n_rows":2}',
    )
    assert inputs["rows.csv"].source == str(tmp_path / "rows.csv")
    assert str(nameless.value) == (
        "what is logged as data needs a name, got a DataFrame without one\n"
        "  hint: log_dataset(data, name='flights')"
    )


def test_a_dataset_of_the_catalog_says_itself_what_it_is(project: Project) -> None:
    ingest(project, "flights", actor="ann")
    with cd4ml.run() as run:
        run.log_dataset(cd4ml.dataset("flights"))

    with project.database.read() as connection:
        (found,) = rows.find(connection, RunInput)
    assert (found.name, found.source, found.source_type) == ("flights", "flights@1", "dataset")


def test_a_run_is_gone_on_with_where_its_steps_ended(project: Project) -> None:
    with cd4ml.run() as run:
        run.log(loss=0.9)
        with pytest.raises(Conflict) as running:
            cd4ml.run(resume="run/1")
    with cd4ml.run(resume="run/1") as again:
        again.log(loss=0.8)

    with project.database.read() as connection:
        steps = [point.step for point in history(connection, 1, "loss")]
    assert (steps, stored(project).state) == ([0, 1], "finished")
    assert str(running.value) == (
        "run/1 is still running, so nobody can go on with it\n  hint: log in it from where it runs"
    )
    with pytest.raises(NotFound):
        cd4ml.run(resume=7)


def test_what_the_machine_does_is_logged(project: Project) -> None:
    with cd4ml.run() as run:
        run.log_system(every_s=0.02)
        end = datetime.now(UTC).timestamp() + 0.3
        while datetime.now(UTC).timestamp() < end:
            sum(range(1000))

    metrics = run_report(project, "1").metrics
    assert 0 <= (metrics["system/cpu_percent"] or 0) <= 100
    assert 0 < (metrics["system/memory_percent"] or 0) < 100
    assert (metrics["system/process_memory_bytes"] or 0) > 10 * 2**20
    assert len(values(project, "system/cpu_percent")) >= 2
    with cd4ml.run() as run, pytest.raises(InvalidInput) as refused:
        run.log_system(every_s=0)
    assert str(refused.value) == "expected seconds above 0, got 0"


def test_outside_a_run_nothing_is_logged() -> None:
    cd4ml.log(auc=0.5)

    with pytest.raises(InvalidInput) as refused:
        cd4ml.current_run()

    assert str(refused.value) == (
        "nothing is logged here: this code runs neither in a step nor in a run\n"
        "  hint: with cd4ml.run('EXPERIMENT') as run: ..."
    )


SCRIPT = """
import os, signal, cd4ml
run = cd4ml.run("script")
for i in range(100):
    run.log(loss=float(i))
run.log_parameters(depth=3)
{end}
"""


@pytest.mark.crash
def test_a_killed_script_leaves_all_that_it_logged(project: Project) -> None:
    code = SCRIPT.format(end="os.kill(os.getpid(), signal.SIGKILL)")
    died = subprocess.run([sys.executable, "-c", code], env=dict(os.environ))
    assert died.returncode == -signal.SIGKILL

    (report,) = runs(project)

    assert (report.run.state, report.run.reason) == ("failed", "interrupted: its process ended")
    assert report.run.parameters == {"depth": 3}
    assert values(project, "loss") == [float(i) for i in range(100)]


def test_a_script_that_forgets_to_end_its_run_ends_it(project: Project) -> None:
    subprocess.run([sys.executable, "-c", SCRIPT.format(end="")], env=dict(os.environ), check=True)

    assert stored(project).state == "finished"
    assert values(project, "loss") == [float(i) for i in range(100)]


FIRST = """
import sys, cd4ml
from pathlib import Path
from cd4ml.loop import open_project
from cd4ml.loop.people import add_person
sys.stdin.readline()
with open_project(Path(sys.argv[1])) as project:
    add_person(project, "ann", roles=("admin",), actor="ann")
with cd4ml.run("six", project=sys.argv[1]) as run:
    for i in range(100):
        run.log(loss=float(i))
"""


@pytest.mark.crash
def test_six_processes_meet_on_a_database_that_is_not_there_yet(tmp_path: Path) -> None:
    (tmp_path / "cd4ml.toml").write_text('[project]\nname = "six"\n')
    processes = [
        subprocess.Popen(
            [sys.executable, "-c", FIRST, str(tmp_path)],
            stdin=subprocess.PIPE,
            stderr=subprocess.PIPE,
            text=True,
        )
        for _ in range(6)
    ]
    for process in processes:
        assert process.stdin is not None
        process.stdin.write("go\n")
        process.stdin.flush()
    said = [process.communicate()[1] for process in processes]

    assert said == [""] * 6
    with open_project(tmp_path) as opened:
        for number in range(1, 7):
            assert values(opened, "loss", number) == [float(i) for i in range(100)]
            assert stored(opened, number).state == "finished"
