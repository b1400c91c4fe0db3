"""Many values are tried at once; one that fails is one trial less."""

import os
import re
import signal
import subprocess
import sys
import time
from collections import Counter
from collections.abc import Iterator
from pathlib import Path

import psutil
import pytest

from cd4ml.errors import Conflict, InvalidInput, NotFound
from cd4ml.loop import Project, open_project
from cd4ml.loop.compare import runs
from cd4ml.loop.people import add_person
from cd4ml.loop.runs import points
from cd4ml.loop.search import reported_values, resume, search, search_report, searches
from cd4ml.loop.train import train
from cd4ml.records.search import Trial
from cd4ml.records.settings import SearchSettings
from tests.loop.world import ANN, actions

ROOT = Path(__file__).parents[2]


@pytest.mark.slow
def test_every_combination_is_a_run_and_one_that_fails_ends_nothing(project: Project) -> None:
    told: list[tuple[Trial, int, int]] = []

    report = search(
        project,
        SearchSettings(space={"delay.strength": [0.0, 0.1, 1.0]}, experiment="strength"),
        actor=ANN,
        progress=lambda trial, done, total: told.append((trial, done, total)),
    )

    assert (report.search.number, report.search.state) == (1, "finished")
    assert [trial.state for trial in report.trials] == ["failed", "finished", "finished"]
    assert report.trials[0].reason.startswith("pipeline.py:38: step 'delay' failed: ValueError")
    assert report.trials[0].run > 0  # which failed, and says where
    finished = {run.run.number: run.run.parameters["delay.strength"] for run in report.runs}
    assert {finished[trial.run] for trial in report.trials[1:]} == {0.1, 1.0}
    assert [(done, total) for _, done, total in told] == [(1, 3), (2, 3), (3, 3)]
    assert len(runs(project, search=1, experiment="strength", state="finished")) == 2
    assert actions(project).count("search.started") == 1


def test_a_search_without_values_begins_nothing(project: Project) -> None:
    before = actions(project)

    with pytest.raises(InvalidInput, match=r"the parameter 'delay\.strength' has no value to try"):
        search(project, SearchSettings(space={"delay.strength": []}), actor=ANN)
    with pytest.raises(NotFound, match="nobody named 'mallory'"):
        search(project, SearchSettings(space={"delay.strength": [1.0]}), actor="mallory")

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
        search(project, SearchSettings(space=grid), actor=ANN)

    assert refused.value.message == message
    assert actions(project) == before
    assert runs(project) == []


@pytest.mark.parametrize("name", ["", " ", "two\nlines", "x" * 3000])
def test_an_experiment_has_a_name_that_can_be_shown(project: Project, name: str) -> None:
    for attempt in (
        lambda: search(
            project,
            SearchSettings(space={"delay.strength": [1.0]}, experiment=name),
            actor=ANN,
        ),
        lambda: train(project, experiment=name, actor=ANN),
    ):
        with pytest.raises(InvalidInput, match="an experiment has a name of 1 to 100 printable"):
            attempt()

    assert runs(project) == []


PROGRAM = """
import sys
import time
from collections import Counter
from collections.abc import Iterator
from pathlib import Path
from cd4ml.loop import open_project
from cd4ml.loop.search import search
from cd4ml.records.settings import SearchSettings

if __name__ == "__main__":
    with open_project(Path(sys.argv[1])) as project:
        search(
            project,
            SearchSettings(space={"delay.strength": [n / 10 for n in range(1, 500)]}),
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


@pytest.mark.alone
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
    assert "search/1 was interrupted\n  hint: cd4ml search resume 1\n" in error
    assert "Traceback" not in error
    while runs(project, state="running"):  # until the system has ended the last trial's process
        assert time.monotonic() - began < 60.0
        time.sleep(0.05)
    assert [report.run.state for report in runs(project)] == ["failed", "failed"]
    report = search_report(project, "search/1")
    assert report.search.state == "interrupted"
    assert [trial.state for trial in report.trials] == ["waiting", "waiting"]


TRIVIAL = """
import time

import polars as pl

from cd4ml import Metrics, report, step


@step
def evaluation(prices: pl.DataFrame, *, x: float = 1.0, wait: float = 0.0) -> Metrics:
    time.sleep(wait)
    for epoch in range(1, 4):
        report(epoch, x * epoch)
    return {"auc": x, "rows": float(prices.height), "newest": float(prices["day"].min())}
"""


@pytest.fixture
def trivial(tmp_path: Path) -> Iterator[Project]:
    """A project whose pipeline takes no time; its auc is its parameter."""
    folder = tmp_path / "trivial"
    (folder / "data").mkdir(parents=True)
    (folder / "pipeline.py").write_text(TRIVIAL)
    rows = "".join(f"{n},{n % 7}\n" for n in range(1000))
    (folder / "data" / "prices.csv").write_text(f"day,price\n{rows}")
    (folder / "cd4ml.toml").write_text(
        '[project]\nname = "trivial"\n[data.prices]\npath = "data/prices.csv"\n'
    )
    with open_project(folder) as project:
        add_person(project, ANN, roles=(), actor=ANN)
        yield project


def wanted(**changes: object) -> SearchSettings:
    values: dict[str, object] = {
        "space": {"evaluation.x": "0..1.0"}, "trials": 6, "metric": "auc", "sampler": "random",
    }  # fmt: skip
    return SearchSettings(**{**values, **changes})  # type: ignore[arg-type]


@pytest.mark.slow
def test_a_seed_makes_a_search_the_same_again(trivial: Project) -> None:
    first = search(trivial, wanted(sampler="tpe", trials=12), actor=ANN)
    again = search(trivial, wanted(sampler="tpe", trials=12), actor=ANN)

    assert (first.search.number, again.search.number) == (1, 2)
    assert [t.parameters for t in again.trials] == [t.parameters for t in first.trials]
    assert first.best is not None
    assert first.best.value == max(trial.value or 0.0 for trial in first.trials)
    assert [(each.search.number, each.n_ended) for each in searches(trivial)] == [(2, 12), (1, 12)]
    assert reported_values(trivial, "1")[0] == [
        (epoch, first.trials[0].parameters["evaluation.x"] * epoch) for epoch in (1, 2, 3)
    ]


@pytest.mark.slow
def test_what_a_step_reports_is_a_curve_of_its_run(trivial: Project) -> None:
    trial = search(trivial, wanted(trials=1, workers=1), actor=ANN).trials[0]
    plain = train(trivial, overrides={"evaluation.x": 2.0}, actor=ANN)

    curves = {ref: points(trivial, ref, "reported") for ref in (f"run/{trial.run}", plain.run.ref)}

    reported = reported_values(trivial, "1")[trial.position]
    assert [(point.step, point.value) for point in curves[f"run/{trial.run}"]] == reported
    assert [point.value for point in curves[plain.run.ref]] == [2.0, 4.0, 6.0]
    assert plain.metrics["auc"] == 2.0  # what the run ended with is not overwritten


@pytest.mark.slow
def test_trials_on_few_rows_come_before_those_on_many(trivial: Project) -> None:
    report = search(
        trivial,
        wanted(trials=8, portions=(0.25, 0.5, 1.0), portion_by="day"),
        actor=ANN,
    )

    assert [trial.rung for trial in report.trials] == [0] * 8 + [1] * 4 + [2] * 2
    runs_of = {each.run.number: each.metrics for each in report.runs}
    seen = [(runs_of[t.run]["rows"], runs_of[t.run]["newest"]) for t in report.trials]
    assert seen == [(250.0, 750.0)] * 8 + [(500.0, 500.0)] * 4 + [(1000.0, 0.0)] * 2
    assert report.best is not None
    assert report.best.rung == 2
    assert report.best.value == max(trial.value or 0.0 for trial in report.trials)
    digests = {each.run.datasets["prices"] for each in report.runs}
    assert len(digests) == 3


@pytest.mark.slow
def test_a_hash_takes_the_same_rows_and_more_of_them(trivial: Project) -> None:
    report = search(trivial, wanted(trials=2, portions=(0.5, 1.0), portion_of="prices"), actor=ANN)

    rows = [each.metrics["rows"] for each in report.runs]
    assert sorted(rows) == [504.0, 504.0, 1000.0]


@pytest.mark.slow
def test_pruned_trials_end_early_and_are_not_the_best(trivial: Project) -> None:
    values = [0.5, 0.6, 0.7, 0.8, 0.9, 0.1, 1.0]

    report = search(
        trivial,
        SearchSettings(space={"evaluation.x": values}, metric="auc", prune="median", workers=1),
        actor=ANN,
    )

    assert [trial.state for trial in report.trials] == ["finished"] * 5 + ["pruned", "finished"]
    pruned = report.trials[5]
    assert pruned.reason == "after step 1 worse than the median of 5 trials"
    assert [step for step, _ in reported_values(trivial, "1")[5]] == [1]
    assert report.best == report.trials[6]


@pytest.mark.slow
def test_a_search_without_a_better_trial_ends(trivial: Project) -> None:
    values = [0.9, 0.1, 0.2, 0.3, 0.4, 0.5]

    report = search(
        trivial,
        SearchSettings(space={"evaluation.x": values}, metric="auc", patience=3, workers=1),
        actor=ANN,
    )

    assert report.search.reason == "no better trial among the last 3"
    assert len(report.trials) == 4


PRICED = "[prices]\nmachine_hour = 3600.0\n"  # a second of a run costs 1


def add_settings(project: Project, more: str) -> Project:
    path = project.folder / "cd4ml.toml"
    path.write_text(path.read_text() + more)
    return open_project(project.folder)


@pytest.mark.slow
def test_a_search_ends_once_its_trials_have_cost_so_much(trivial: Project) -> None:
    asked = SearchSettings(
        space={"evaluation.x": [0.1, 0.2, 0.3, 0.4]},
        set={"evaluation.wait": 0.5},
        metric="auc",
        workers=1,
        cost=0.6,
    )

    with add_settings(trivial, PRICED) as priced:
        report = search(priced, asked, actor=ANN)

    costs = [trial.cost or 0.0 for trial in report.trials]
    assert len(costs) <= 2
    assert sum(costs[:-1]) < 0.6 <= sum(costs)
    assert report.cost == sum(costs)
    assert costs == [each.run.cost for each in reversed(report.runs)]
    assert report.search.reason == f"its trials had cost {sum(costs):.4g}, of 0.6 at most"


@pytest.mark.slow
def test_a_trial_that_fails_or_is_pruned_costs_as_well(trivial: Project) -> None:
    values = [0.5, 0.6, 0.7, 0.8, 0.9, 0.1]

    with add_settings(trivial, PRICED) as priced:
        report = search(
            priced,
            SearchSettings(space={"evaluation.x": values}, metric="auc", prune="median", workers=1),
            actor=ANN,
        )

    assert report.trials[5].state == "pruned"
    assert all(trial.cost is not None and trial.cost > 0 for trial in report.trials)


def test_a_cost_needs_prices(trivial: Project) -> None:
    with pytest.raises(InvalidInput) as refused:
        search(trivial, wanted(cost=2.5), actor=ANN)

    assert str(refused.value) == (
        "trials are to cost 2.5 at most, and cd4ml.toml has no prices\n"
        "  hint: [prices] with cpu_hour, gpu_hour, memory_gb_hour or machine_hour"
    )
    assert searches(trivial) == []


GROWING = """
from cd4ml import Metrics, step


@step
def evaluation(*, megabytes: int = 0) -> Metrics:
    taken = bytearray(megabytes * 1_000_000)
    taken[:: 4096] = b"1" * len(taken[:: 4096])
    import time
    time.sleep(megabytes / 1000)
    return {"auc": megabytes / 10_000}
"""


@pytest.mark.slow
def test_a_trial_has_its_share_of_the_machine_and_no_more(trivial: Project) -> None:
    (trivial.folder / "pipeline.py").write_text(GROWING)

    report = search(
        trivial,
        SearchSettings(
            space={"evaluation.megabytes": [1, 1500]}, metric="auc", memory="1GB", workers=2
        ),
        actor=ANN,
    )

    small, large = report.trials
    assert (small.state, small.value, small.attempts) == ("finished", 0.0001, 1)
    assert (large.state, large.attempts) == ("failed", 2)
    assert re.fullmatch(r"it took 1\.\d+ GB of memory, more than 1 GB", large.reason)
    assert runs(trivial, state="running") == []


@pytest.mark.parametrize(
    ("changes", "message", "hint"),
    [
        ({"gpus": 99}, "each trial asks for 99 GPUs (there are none)",
         "run it where there is more, or let it ask for less"),
        ({"memory": "many"},
         "memory: expected bytes, or text such as \"4GB\", got 'many'", ""),
        ({"cost": -1.0}, "expected cost of 0 or more, got -1.0", ""),
        ({"sampler": "tpe", "metric": ""},
         'the sampler "tpe" learns by a metric, and none is named', "--metric auc"),
        ({"prune": "median", "metric": ""},
         "trials are pruned by a metric, and none is named", "--metric auc"),
        ({"sampler": "random", "trials": 0},
         'the sampler "random" needs the number of trials', "--trials 50"),
        ({"sampler": "grid"},
         "a grid tries every combination, and has no number of trials", "--trials 50"),
        ({"sampler": "grid", "trials": 0},
         "a grid cannot have every value of the parameter 'evaluation.x'",
         "give the range a step (0..1:0.1), or --sampler random"),
        ({"metric": "rows"},
         "whether higher or lower is better cannot be told from the name 'rows'",
         "--direction higher, or --direction lower"),
        ({"portions": (0.5, 0.1, 1.0)},
         "expected rising portions of the rows from above 0 to 1, got 0.5,0.1,1",
         "for instance 0.1,0.3,1"),
        ({"portions": (0.5, 1.0), "portion_of": "flights"},
         "no step takes a dataset named 'flights'", "known: prices"),
        ({"set": {"evaluation.x": 1.0}},
         "the parameter 'evaluation.x' is both tried and set", "what is tried has no one value"),
        ({"workers": 0}, "expected 1 to 1,000 workers, got 0", ""),
        ({"minutes": float("nan")}, "expected minutes of 0 or more, got nan", ""),
        ({"space": {"evaluation.wait": "a..b"}},
         "the parameter 'evaluation.wait': 'a..b' is no range",
         "1,2,3 are values, 50..500 a range, 0.01..1:log and 0..1:0.1 ranges with their spacing"),
    ],
)  # fmt: skip
def test_what_no_search_can_be_is_said_before_it_begins(
    trivial: Project, changes: dict[str, object], message: str, hint: str
) -> None:
    with pytest.raises(InvalidInput) as refused:
        search(trivial, wanted(**changes), actor=ANN)

    assert (refused.value.message, refused.value.hint) == (message, hint)
    assert searches(trivial) == []
    assert runs(trivial) == []


@pytest.mark.slow
def test_only_a_search_that_was_interrupted_goes_on(trivial: Project) -> None:
    search(trivial, wanted(trials=2), actor=ANN)

    with pytest.raises(Conflict) as refused:
        resume(trivial, "search/1", actor=ANN)
    with pytest.raises(NotFound, match="no search '7'"):
        resume(trivial, "7", actor=ANN)

    assert str(refused.value) == (
        "search/1 is finished: all trials have ended\n  hint: cd4ml search show 1"
    )


KILLED = """
import sys
from pathlib import Path
from cd4ml.loop import open_project
from cd4ml.loop.search import search
from cd4ml.records.settings import SearchSettings

if __name__ == "__main__":
    with open_project(Path(sys.argv[1])) as project:
        search(
            project,
            SearchSettings(
                space={"evaluation.x": "0..1.0"},
                set={"evaluation.wait": 0.02},
                trials=16,
                metric="auc",
            ),
            actor="ann",
            progress=lambda trial, done, total: print(done, flush=True),
        )
"""


@pytest.mark.crash
@pytest.mark.parametrize("by_hand", [False, True], ids=["same command", "resume"])
def test_a_search_that_is_killed_goes_on_and_repeats_no_trial(
    trivial: Project, by_hand: bool
) -> None:
    program = trivial.folder.parent / "search_program.py"
    program.write_text(KILLED)
    command = [sys.executable, str(program), str(trivial.folder)]
    for n_told in (1, 6):
        killed = subprocess.Popen(
            command, stdout=subprocess.PIPE, env={**os.environ, "PYTHONPATH": str(ROOT)}
        )
        assert killed.stdout is not None
        for _ in range(n_told):
            killed.stdout.readline()
        killed.send_signal(signal.SIGKILL)
        killed.communicate()
    before = search_report(trivial, "1")
    assert before.search.state == "interrupted"
    ended = {t.position: t for t in before.trials if t.state == "finished"}
    assert len(ended) >= 7

    if by_hand:
        report = resume(trivial, "1", actor=ANN)
    else:
        subprocess.run(command, check=True, env={**os.environ, "PYTHONPATH": str(ROOT)})
        report = search_report(trivial, "1")

    assert report.search.state == "finished"
    assert len(searches(trivial)) == 1
    assert [(t.position, t.state) for t in report.trials] == [(i, "finished") for i in range(16)]
    assert {p: report.trials[p] for p in ended} == ended
    finished = Counter(
        each.run.parameters["evaluation.x"]
        for each in runs(trivial, search=1, state="finished", limit=1000)
    )
    assert set(finished.values()) == {1}
    # as if nobody had killed it
    undisturbed = search(
        trivial,
        SearchSettings(space={"evaluation.x": "0..1.0"}, trials=16, metric="auc"),
        actor=ANN,
    )
    assert [t.parameters for t in undisturbed.trials] == [t.parameters for t in report.trials]


@pytest.mark.crash
def test_a_search_does_not_go_on_with_other_code(trivial: Project) -> None:
    program = trivial.folder.parent / "search_program.py"
    program.write_text(KILLED)
    killed = subprocess.Popen(
        [sys.executable, str(program), str(trivial.folder)],
        stdout=subprocess.PIPE,
        env={**os.environ, "PYTHONPATH": str(ROOT)},
    )
    assert killed.stdout is not None
    killed.stdout.readline()
    killed.send_signal(signal.SIGKILL)
    killed.communicate()
    pipeline = trivial.folder / "pipeline.py"
    pipeline.write_text(pipeline.read_text().replace('"auc": x', '"auc": x / 2'))

    with pytest.raises(Conflict) as refused:
        resume(trivial, "1", actor=ANN)

    assert str(refused.value) == (
        "the code that the steps reach has changed since search/1 began\n"
        "  hint: its other trials could not be compared: begin a new search"
    )
