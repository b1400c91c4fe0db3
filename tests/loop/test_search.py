"""Many values are tried at once; one that fails is one trial less."""

import os
import signal
import subprocess
import sys
import time
from pathlib import Path

import psutil
import pytest

from cd4ml.errors import InvalidInput, NotFound
from cd4ml.experiments.search import Trial
from cd4ml.loop import Project
from cd4ml.loop.compare import runs
from cd4ml.loop.search import search
from cd4ml.loop.train import train
from tests.loop.world import ANN, actions

ROOT = Path(__file__).parents[2]


@pytest.mark.slow
def test_every_combination_is_a_run_and_one_that_fails_ends_nothing(project: Project) -> None:
    told: list[tuple[Trial, int, int]] = []

    report = search(
        project,
        grid={"delay.strength": [0.0, 0.1, 1.0]},
        workers=2,
        experiment="strength",
        actor=ANN,
        progress=lambda trial, done, total: told.append((trial, done, total)),
    )

    assert report.search == 1
    assert [trial.state for trial in report.trials] == ["failed", "finished", "finished"]
    assert report.trials[0].reason.startswith("pipeline.py:38: step 'delay' failed: ValueError")
    finished = {run.run.number: run.run.parameters["delay.strength"] for run in report.runs}
    assert {finished[trial.run] for trial in report.trials[1:]} == {0.1, 1.0}
    assert [(done, total) for _, done, total in told] == [(1, 3), (2, 3), (3, 3)]
    assert len(runs(project, search=1, experiment="strength", state="finished")) == 2
    assert actions(project).count("search.started") == 1


def test_a_search_without_values_begins_nothing(project: Project) -> None:
    before = actions(project)

    with pytest.raises(InvalidInput, match=r"the parameter 'delay\.strength' has no value to try"):
        search(project, grid={"delay.strength": []}, actor=ANN)
    with pytest.raises(NotFound, match="nobody named 'mallory'"):
        search(project, grid={"delay.strength": [1.0]}, actor="mallory")

    assert actions(project) == before


@pytest.mark.parametrize(
    ("grid", "message"),
    [
        (
            {"delay.strength": [1.0, "strong"]},
            "parameter 'delay.strength': expected `float`, got `str`",
        ),
        ({"delay.weakness": [1.0]}, "no parameter named 'delay.weakness'"),
        (
            {"delay.strength": [1.0, 2.0, 1.0]},
            "the parameter 'delay.strength' is to have the value 1.0 2 times",
        ),
    ],
)
def test_values_that_no_trial_could_begin_with_begin_nothing(
    project: Project, grid: dict[str, list[object]], message: str
) -> None:
    before = actions(project)

    with pytest.raises(InvalidInput) as refused:
        search(project, grid=grid, actor=ANN)

    assert refused.value.message == message
    assert actions(project) == before
    assert runs(project) == []


@pytest.mark.parametrize("name", ["", " ", "two\nlines", "x" * 3000])
def test_an_experiment_has_a_name_that_can_be_shown(project: Project, name: str) -> None:
    for attempt in (
        lambda: search(project, grid={"delay.strength": [1.0]}, experiment=name, actor=ANN),
        lambda: train(project, experiment=name, actor=ANN),
    ):
        with pytest.raises(InvalidInput, match="an experiment has a name of 1 to 100 printable"):
            attempt()

    assert runs(project) == []


PROGRAM = """
import sys
import time
from pathlib import Path
from cd4ml.loop import open_project
from cd4ml.loop.search import search

if __name__ == "__main__":
    with open_project(Path(sys.argv[1])) as project:
        search(
            project,
            grid={"delay.strength": [n / 10 for n in range(1, 500)]},
            workers=2,
            actor="ann",
            progress=lambda trial, done, total: print(done, flush=True),
        )
"""


@pytest.mark.crash
def test_a_search_that_is_killed_leaves_no_process_behind(project: Project) -> None:
    program = project.folder / "search_program.py"
    program.write_text(PROGRAM)
    parent = subprocess.Popen(
        [sys.executable, str(program), str(project.folder)],
        stdout=subprocess.PIPE,
        env={**os.environ, "PYTHONPATH": str(ROOT)},
    )
    assert parent.stdout is not None
    parent.stdout.readline()
    children = psutil.Process(parent.pid).children(recursive=True)

    parent.send_signal(signal.SIGKILL)
    parent.communicate()

    assert len(children) >= 2
    _, alive = psutil.wait_procs(children, timeout=10)
    assert alive == []
    assert runs(project, state="running") == []  # whoever looks finds them interrupted
    reasons = {report.run.reason for report in runs(project, state="failed")}
    assert reasons <= {"interrupted: its process ended"}
    train(project, actor=ANN)


@pytest.mark.crash
@pytest.mark.parametrize("is_for_all", [True, False], ids=["terminal", "parent alone"])
def test_ctrl_c_ends_a_search_at_once(project: Project, is_for_all: bool) -> None:
    pipeline = project.folder / "pipeline.py"
    text = pipeline.read_text()
    begin = text.index("def evaluation(")
    body = text.index("    return", begin)
    pipeline.write_text(f"{text[:body]}    import time\n    time.sleep(60)\n{text[body:]}")
    search_it = ["run", "--grid", "delay.strength=0.1,0.2,0.3,0.4,0.5", "--as", ANN]
    parent = subprocess.Popen(
        [sys.executable, "-m", "cd4ml", *search_it],
        cwd=project.folder,
        stderr=subprocess.PIPE,
        text=True,
        start_new_session=True,
    )
    deadline = time.monotonic() + 60
    while sum(report.run.state == "running" for report in runs(project)) < 2:
        assert time.monotonic() < deadline
        time.sleep(0.05)

    began = time.monotonic()
    if is_for_all:
        os.killpg(parent.pid, signal.SIGINT)
    else:
        parent.send_signal(signal.SIGINT)
    _, error = parent.communicate(timeout=30)

    assert time.monotonic() - began < 6.0
    assert parent.returncode == 130
    assert "search 1 was interrupted\n  hint: cd4ml compare --search 1\n" in error
    assert "Traceback" not in error
    while runs(project, state="running"):  # until the system has ended the last trial's process
        assert time.monotonic() - began < 60.0
        time.sleep(0.05)
    assert [report.run.state for report in runs(project)] == ["failed", "failed"]
