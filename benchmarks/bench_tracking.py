"""What does logging cost, and how long does one wait for a list of runs, beside MLflow?

    python benchmarks/bench_tracking.py

MLflow logs directly to SQLite, without a server, in an environment of its own; both log into
files on the same disk and take turns. Of cd4ml a call counts with what it costs until its value
can be queried (`flush`); of MLflow, which commits in every call, fewer calls are timed and the
time of one is compared. The large lists have no contestant: they show what size costs here.
What goes over HTTP, under MLflow's own client, is measured by `bench_mlflow.py`.
"""

from __future__ import annotations

import os
import random
import subprocess
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from statistics import median

import contest
import sqlalchemy as sa
from contest import figure, peer, seconds_of

import cd4ml
from cd4ml.loop import Project, open_project
from cd4ml.loop.compare import compare
from cd4ml.loop.people import add_person
from cd4ml.loop.runs import curve, find_runs, grouped_runs
from cd4ml.records.run import Metric, Run
from cd4ml.store import rows
from cd4ml.store.tables import TABLES
from cd4ml.store.tracking.experiments import ensure_experiment

MLFLOW = "3.17.2"
HERE = Path(__file__).parent
ACTOR = "bench"
ROUNDS = 5
IN_A_ROW = 5  # searches: both contestants answer faster than right after other work
N_CALLS, N_CALLS_MLFLOW = 10_000, 300
N_RUNS, N_METRICS = 1_000, 20
N_MANY, N_WIDE = 10_000, 100
N_POINTS = 1_000_000
TOGETHER = 50_000  # rows in one statement


def main() -> None:
    """Measure, and print."""
    os.environ["CD4ML_ACTOR"] = ACTOR
    with contest.scratch() as folder:
        beside_mlflow(folder)
        large(folder)


def beside_mlflow(folder: Path) -> None:
    """Logging and searching, in turn."""
    peer("MLflow", MLFLOW)
    with project_in(folder / "few", N_RUNS, N_METRICS) as ours, mlflow_in(folder) as ask:
        took: dict[str, list[float]] = {}
        works: dict[str, Callable[[], float]] = {
            "cd4ml log": lambda: log(ours, N_CALLS),
            "mlflow log": lambda: ask("log"),
            "cd4ml run": lambda: small_run(ours),
            "mlflow run": lambda: ask("run"),
            "cd4ml first": lambda: search(ours, 100),
            "mlflow first": lambda: ask("best"),
            "cd4ml best": lambda: median(search(ours, 100) for _ in range(IN_A_ROW)),
            "mlflow best": lambda: median(ask("best") for _ in range(IN_A_ROW)),
            "cd4ml all": lambda: median(search(ours, N_RUNS) for _ in range(IN_A_ROW)),
            "mlflow all": lambda: median(ask("all") for _ in range(IN_A_ROW)),
        }
        for _ in range(ROUNDS):
            for name, work in works.items():
                took.setdefault(name, []).append(work())
        visible = median(until_visible(ours) for _ in range(ROUNDS))
    middle = {name: median(each) for name, each in took.items()}
    call, theirs = middle["cd4ml log"] / N_CALLS, middle["mlflow log"] / N_CALLS_MLFLOW
    figure("logging a value, with its part of the flush", call * 1e6, "microseconds")
    figure("logging a value: MLflow beside cd4ml", theirs / call, "times as long", ">= 20")
    figure("from a call until its value can be queried", visible, "s", "<= 0.2")
    figure("a run of 5 parameters and 20 metrics", middle["cd4ml run"] * 1e3, "ms")
    figure(
        "the same: MLflow beside cd4ml", middle["mlflow run"] / middle["cd4ml run"], "times as long"
    )
    for name, what, goal in (
        ("first", "100 of them, once after other work", ""),
        ("best", "100 of them", ">= 20"),
        ("all", "all of them", ">= 20"),
    ):
        ours_s, theirs_s = middle[f"cd4ml {name}"], middle[f"mlflow {name}"]
        asked = f"filter and sort 1,000 runs, {what}"
        figure(asked, ours_s * 1e3, "ms")
        figure(f"{asked}: MLflow beside cd4ml", theirs_s / ours_s, "times as long", goal)


def large(folder: Path) -> None:
    """Many wide runs, and one long one."""
    with project_in(folder / "many", N_MANY, N_WIDE) as project:
        works: dict[str, Callable[[], object]] = {
            "list the newest 100": lambda: find_runs(project, limit=100),
            "sort by a metric, the best 100": lambda: find_runs(
                project, sort="metrics.m7", limit=100
            ),
            "filter and sort, the best 100": lambda: find_runs(
                project, where="metrics.m3 > 0.1 and params.p1 = 3", sort="metrics.m7", limit=100
            ),
            "compare 20": lambda: compare(project, [f"run/{i}" for i in range(1, 21)]),
            "group by a parameter": lambda: grouped_runs(project, ["params.p1"]),
        }
        for name, work in works.items():
            figure(
                f"10,000 runs of 100 metrics: {name}",
                seconds_of(work, ROUNDS) * 1e3,
                "ms",
                "<= 200",
            )
        before = seconds_of(works["list the newest 100"], 3 * ROUNDS)
        seconds, n_bytes = a_million_points(project)
        figure(
            "a run of 1,000,000 points: logging one, ten a call",
            seconds / N_POINTS * 1e6,
            "microseconds",
        )
        figure("a run of 1,000,000 points: kept on disk", n_bytes / N_POINTS, "bytes a point")
        after = seconds_of(works["list the newest 100"], 3 * ROUNDS)
        figure("a list with that run beside one without", after / before, "times as long", "<= 1.2")
        newest = str(find_runs(project, limit=1).runs[0].run.number)
        figure(
            "its curve, 500 points wide",
            seconds_of(lambda: curve(project, newest, "loss"), ROUNDS) * 1e3,
            "ms",
        )


@contextmanager
def project_in(folder: Path, n_runs: int, n_metrics: int) -> Iterator[Project]:
    """A project with runs; the numbers are the same as MLflow's."""
    folder.mkdir()
    (folder / "cd4ml.toml").write_text('[project]\nname = "bench"\n')
    with open_project(folder) as project:
        add_person(project, ACTOR, roles=(), actor=ACTOR)
        fill(project, n_runs, n_metrics)
        yield project


def fill(project: Project, n_runs: int, n_metrics: int) -> None:
    """Finished runs with five parameters and some metrics each."""
    chance, now = random.Random(0), project.clock.now()
    metrics = []
    with project.database.write() as connection:
        ensure_experiment(connection, "bench", at=now, actor=ACTOR)
        for _ in range(n_runs):
            run = Run(
                number=rows.next_number(connection, Run),
                experiment="bench",
                state="finished",
                parameters={f"p{j}": chance.randrange(10) for j in range(5)},
                started_at=now,
                finished_at=now,
                created_by=ACTOR,
            )
            rows.insert(connection, run)
            metrics += [
                row_of(Metric(run=run.number, name=f"m{j}", value=chance.random(), logged_at=now))
                for j in range(n_metrics)
            ]
        for i in range(0, len(metrics), TOGETHER):
            connection.execute(sa.insert(TABLES[Metric]), metrics[i : i + TOGETHER])


def row_of(metric: Metric) -> dict[str, object]:
    """A record as a row."""
    return {name: getattr(metric, name) for name in metric.__struct_fields__}


@contextmanager
def mlflow_in(folder: Path) -> Iterator[Callable[[str], float]]:
    """MLflow in a process of its own, which does what it is asked and says how long it took."""
    python = contest.environment("mlflow", f"mlflow=={MLFLOW}") / "python"
    where = folder / "mlflow"
    where.mkdir()
    words = [
        python,
        HERE / "tracking_mlflow.py",
        where,
        *map(str, (N_RUNS, N_METRICS, N_CALLS_MLFLOW)),
    ]
    log = (folder / "mlflow.log").open("w")
    process = subprocess.Popen(
        words, stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=log, text=True, cwd=where
    )
    assert process.stdin is not None
    assert process.stdout is not None
    stdin, stdout = process.stdin, process.stdout

    def answer() -> str:
        line = stdout.readline()
        if not line:
            said = (folder / "mlflow.log").read_text()
            raise RuntimeError(f"MLflow ended with exit code {process.wait()}:\n{said[-2000:]}")
        return line.strip()

    def ask(word: str) -> float:
        stdin.write(f"{word}\n")
        stdin.flush()
        return float(answer())

    try:
        while answer() != "ready":
            pass
        yield ask
    finally:
        stdin.close()
        process.wait()
        stdout.close()
        log.close()


def log(project: Project, n_calls: int) -> float:
    """Seconds of single calls that log a value each, until all of them can be queried."""
    with cd4ml.run("bench", project=project.folder) as run:
        began = time.perf_counter()
        for step in range(n_calls):
            run.log(loss=1 / (step + 1), step=step)
        run.flush()
        return time.perf_counter() - began


def small_run(project: Project) -> float:
    """Seconds of a run with five parameters and twenty metrics, each logged alone."""
    began = time.perf_counter()
    with cd4ml.run("bench", project=project.folder) as run:
        for j in range(5):
            run.log_parameters({f"p{j}": j})
        for j in range(20):
            run.log({f"m{j}": 0.5})
    return time.perf_counter() - began


def search(project: Project, most: int) -> float:
    """Seconds of a search: what a metric lets through, sorted by another."""
    from cd4ml.experiments.tracking import list_runs, orders

    began = time.perf_counter()
    with project.database.read() as connection:
        order = orders("metrics.m7 desc")
        found = list_runs(connection, where="metrics.m3 > 0.1", order=order, limit=most)
    assert 0 < len(found) <= most
    return time.perf_counter() - began


def until_visible(project: Project) -> float:
    """Seconds from a call until another connection sees its value."""
    table = TABLES[Metric]
    with cd4ml.run("bench", project=project.folder) as run:
        run.log(warm=1)
        run.flush()
        asked = sa.select(table.c.value).where(table.c.run == run.number, table.c.name == "auc")
        run.log(auc=0.5)
        began = time.perf_counter()
        while True:
            with project.database.read() as connection:
                if connection.execute(asked).scalar() is not None:
                    return time.perf_counter() - began
            time.sleep(0.002)


def a_million_points(project: Project) -> tuple[float, int]:
    """Seconds to log them, ten a call, and what they take on disk."""
    began = time.perf_counter()
    with cd4ml.run("bench", project=project.folder) as run:
        for step in range(N_POINTS // 10):
            run.log({f"loss{j}" if j else "loss": 1 / (step + 1 + j) for j in range(10)}, step=step)
    took = time.perf_counter() - began
    with project.database.read() as connection:
        packed = sa.text("SELECT sum(length(data)) FROM points WHERE run = :run")
        n_bytes = int(connection.execute(packed, {"run": run.number}).scalar_one())
    return took, n_bytes


if __name__ == "__main__":
    main()
