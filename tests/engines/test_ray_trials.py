"""Trials of a search on a Ray cluster on this machine, and what may go wrong with them."""

import os
import signal
import subprocess
import sys
import time
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import pytest

from cd4ml.engines.ray.connection import hear_children
from cd4ml.errors import InvalidInput
from cd4ml.loop import Project, open_project
from cd4ml.loop.compare import runs
from cd4ml.loop.executors import Where
from cd4ml.loop.partitions import train_each
from cd4ml.loop.people import add_person
from cd4ml.loop.search import resume, search, search_report
from cd4ml.records.settings import SearchSettings

pytest.importorskip("pyarrow")
ray = pytest.importorskip("ray")

pytestmark = [
    pytest.mark.slow,
    pytest.mark.timeout(300),
    pytest.mark.filterwarnings("ignore"),  # Ray's own
]

ROOT = Path(__file__).parents[2]

PIPELINE = """
import os
import signal
import time
from pathlib import Path

import ray
from cd4ml import Metrics, report, step

HERE = Path(__file__).parent


@step
def evaluation(*, x: float = 0.0, do: str = "") -> Metrics:
    begun = HERE / "begun" / f"{x:g}"
    first = not begun.exists()
    with begun.open("a") as file:
        share = ray.get_runtime_context().get_assigned_resources()["CPU"]
        file.write(f"{os.getpid()} {share:g}\\n")
    if do == "die":
        os.kill(os.getpid(), signal.SIGKILL)
    if do == "die once" and first or do == "hang once" and first and x == 1:
        time.sleep(600) if do == "hang once" else os.kill(os.getpid(), signal.SIGKILL)
    if do == "wait" and x >= 3:
        while not (HERE / "go").exists():
            time.sleep(0.05)
    report(1, x)
    return {"auc": x / 10}
"""


BY_TOWN = """
import os
import signal

import polars as pl
import ray
from cd4ml import Metrics, step


@step
def evaluation(sales: pl.DataFrame) -> Metrics:
    if sales["town"][0] == "c":
        os.kill(os.getpid(), signal.SIGKILL)
    share = ray.get_runtime_context().get_assigned_resources()["CPU"]
    return {"n": sales.height, "process": os.getpid(), "share": share}
"""


@pytest.fixture(scope="module")
def cluster() -> Iterator[Any]:
    from ray.cluster_utils import Cluster

    quick = {"health_check_initial_delay_ms": 0, "health_check_period_ms": 500}
    started = Cluster(initialize_head=True, head_node_args={"num_cpus": 0, "_system_config": quick})
    started.add_node(num_cpus=2)
    ray.init(
        address=started.address,
        log_to_driver=False,
        logging_level="ERROR",
        runtime_env={"env_vars": {"PYTHONPATH": os.pathsep.join(filter(None, sys.path))}},
    )
    hear_children()  # of the tests that come after these
    yield started
    ray.shutdown()
    started.shutdown()


@pytest.fixture
def project(tmp_path: Path) -> Iterator[Project]:
    (tmp_path / "begun").mkdir()
    (tmp_path / "pipeline.py").write_text(PIPELINE)
    (tmp_path / "cd4ml.toml").write_text('[project]\nname = "small"\n')
    with open_project(tmp_path) as opened:
        add_person(opened, "ann", roles=(), actor="ann")
        yield opened


def wanted(*values: float, do: str = "", **changes: Any) -> SearchSettings:
    return SearchSettings(
        space={"evaluation.x": list(values)}, set={"evaluation.do": do}, metric="auc", **changes
    )


def begun(project: Project, x: float) -> list[list[str]]:
    """The process and the CPUs of each time that a value was begun."""
    path = project.folder / "begun" / f"{x:g}"
    return [line.split() for line in path.read_text().splitlines()] if path.exists() else []


def until(is_so: Any) -> None:
    deadline = time.monotonic() + 120
    while not is_so():
        assert time.monotonic() < deadline
        time.sleep(0.05)


def test_trials_are_tasks_of_the_cluster_with_their_share_of_it(
    project: Project, cluster: Any
) -> None:
    report = search(project, wanted(1, 2, 3, cpus=2), actor="ann", where=Where(ray=cluster.address))

    assert [(t.state, t.value, t.attempts) for t in report.trials] == [
        ("finished", 0.1, 1), ("finished", 0.2, 1), ("finished", 0.3, 1),
    ]  # fmt: skip
    assert {each.run.state for each in report.runs} == {"finished"}
    processes = [begun(project, x)[0] for x in (1, 2, 3)]
    assert {cpus for _, cpus in processes} == {"2"}
    assert str(os.getpid()) not in {process for process, _ in processes}
    assert report.runs[0].metrics["reported"] is not None


def test_a_trial_that_asks_for_what_no_node_has_is_refused_at_once(
    project: Project, cluster: Any
) -> None:
    with pytest.raises(InvalidInput) as refused:
        search(project, wanted(1, gpus=1), actor="ann", where=Where(ray=cluster.address))

    assert str(refused.value) == (
        "each trial asks for 1 GPUs (there are none)\n"
        "  hint: run it where there is more, or let it ask for less"
    )
    assert runs(project) == []


def test_a_trial_whose_process_dies_is_tried_once_more_and_the_others_go_on(
    project: Project, cluster: Any
) -> None:
    once = search(project, wanted(1, do="die once"), actor="ann", where=Where(ray=cluster.address))
    always = search(project, wanted(2, do="die"), actor="ann", where=Where(ray=cluster.address))

    assert [(t.state, t.attempts, t.value) for t in once.trials] == [("finished", 2, 0.1)]
    assert [(t.state, t.attempts, t.reason) for t in always.trials] == [
        ("failed", 2, "its process, or its node, died")
    ]
    assert runs(project, state="running") == []
    assert len(begun(project, 2)) == 2


@pytest.mark.parametrize("workers", [1, 2])
def test_keys_are_computed_by_the_cluster(project: Project, cluster: Any, workers: int) -> None:
    (project.folder / "pipeline.py").write_text(BY_TOWN.replace("@step", "@step(cpus=2)"))
    (project.folder / "sales.csv").write_text("town,n\na,1\nb,2\nc,4\nb,3\n")
    settings = project.folder / "cd4ml.toml"
    settings.write_text(settings.read_text() + '[data.sales]\npath = "sales.csv"\n')

    with open_project(project.folder) as opened:
        report = train_each(
            opened, "town", workers=workers, actor="ann", where=Where(ray=cluster.address)
        )

    one, two, dead = report.runs
    assert one.run is not None
    assert two.run is not None
    assert [(each.run.partition, each.metrics["n"]) for each in (one.run, two.run)] == [
        ("town=a", 1),
        ("town=b", 2),
    ]
    assert {one.run.metrics["share"], two.run.metrics["share"]} == {2}
    assert os.getpid() not in {one.run.metrics["process"], two.run.metrics["process"]}
    assert dead.run is None
    assert "its process, or its node, died" in dead.reason


@pytest.mark.crash
def test_a_node_that_dies_takes_no_trial_with_it(project: Project, cluster: Any) -> None:
    doomed = cluster.add_node(num_cpus=3)
    cluster.wait_for_nodes()

    asked = wanted(1, 2, do="hang once", cpus=3)
    with ThreadPoolExecutor() as beside:
        searching = beside.submit(
            search, project, asked, actor="ann", where=Where(ray=cluster.address)
        )
        until(lambda: begun(project, 1))

        cluster.remove_node(doomed, allow_graceful=False)
        cluster.add_node(num_cpus=3)
        report = searching.result(120)

    assert [(t.state, t.value) for t in report.trials] == [("finished", 0.1), ("finished", 0.2)]
    assert [len(begun(project, x)) for x in (1, 2)] == [2, 1]
    assert {each.run.reason for each in report.runs if each.run.state == "failed"} == {
        "interrupted: its process ended"
    }


def begin_apart(project: Project, cluster: Any, *values: float) -> "subprocess.Popen[str]":
    tried = ",".join(f"{x:g}" for x in values)
    words = ["search", "--try", f"evaluation.x={tried}", "--set", "evaluation.do=wait"]
    return subprocess.Popen(
        [sys.executable, "-m", "cd4ml", *words, "--metric", "auc", "--workers", "2",
         "--ray", cluster.address, "--as", "ann"],
        cwd=project.folder,
        stderr=subprocess.PIPE,
        text=True,
    )  # fmt: skip


@pytest.mark.crash
@pytest.mark.parametrize("how", [signal.SIGKILL, signal.SIGINT], ids=["killed", "interrupted"])
def test_a_search_goes_on_with_no_trial_lost_or_run_twice(
    project: Project, cluster: Any, how: signal.Signals
) -> None:
    apart = begin_apart(project, cluster, 1, 2, 3, 4, 5, 6)
    until(lambda: begun(project, 3) and begun(project, 4))
    done = search_report(project, "1").trials[:2]

    apart.send_signal(how)
    _, error = apart.communicate(timeout=60)
    (project.folder / "go").touch()
    report = resume(project, "1", actor="ann", where=Where(ray=cluster.address))

    if how == signal.SIGINT:
        assert "search/1 was interrupted\n  hint: cd4ml search resume 1\n" in error
        assert "Traceback" not in error
    assert report.search.state == "finished"
    assert [(t.state, t.value) for t in report.trials] == [
        ("finished", x / 10) for x in range(1, 7)
    ]
    assert report.trials[:2] == done
    assert [len(begun(project, x)) for x in range(1, 7)] == [1, 1, 2, 2, 1, 1]
    finished = [each.run.number for each in report.runs if each.run.state == "finished"]
    assert sorted(finished) == sorted(trial.run for trial in report.trials)
    assert runs(project, state="running") == []
