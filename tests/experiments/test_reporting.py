"""What steps report: kept for their trial, and the end of one that is not worth its own."""

import os
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

import cd4ml
from cd4ml import Pruned, report
from cd4ml.errors import InvalidInput
from cd4ml.experiments.reporting import underway
from cd4ml.experiments.trials import begin_run, ended_trial, new_search
from cd4ml.experiments.workers import Outcome
from cd4ml.records.search import Trial, TrialValue
from cd4ml.store import rows
from cd4ml.store.project import Project, open_project
from tests.experiments.attempts import NOW
from tests.experiments.plans import plan
from tests.experiments.runs import run


@pytest.fixture
def project(tmp_path: Path) -> Iterator[Project]:
    (tmp_path / "cd4ml.toml").write_text('[project]\nname = "small"\n')
    with open_project(tmp_path) as opened:
        yield opened


def begin(project: Project, **changes: Any) -> None:
    with project.database.write() as connection:
        new_search(connection, plan(**changes), key="k", name="", at=NOW, actor="ada")


def trial(project: Project, position: int, **changes: Any) -> Trial:
    found = Trial(search=1, position=position, parameters={}, **changes)
    with project.database.write() as connection:
        rows.put(connection, found)
    return found


def say(project: Project, which: Trial, *values: float) -> str:
    """Report some values; the reason why the trial was pruned, if it was."""
    with underway(which, project.folder):
        try:
            for step, value in enumerate(values, 1):
                report(step, value)
        except Pruned as pruned:
            return str(pruned)
    return ""


def kept(project: Project, position: int) -> list[tuple[int, float | None]]:
    with project.database.read() as connection:
        found = rows.find(connection, TrialValue, search=1, trial=position)
    return [(each.step, each.value) for each in found]


def stored(project: Project, position: int) -> Trial:
    with project.database.read() as connection:
        return rows.get(connection, Trial, 1, position)


def test_outside_of_a_search_nothing_is_kept_and_nobody_is_stopped() -> None:
    report(0, 0.5)
    report(1, float("nan"))

    with pytest.raises(InvalidInput) as caught:
        report(-1, 0.5)
    assert str(caught.value) == "expected a step of 0 or more, got -1\n  hint: report(epoch, auc)"


def test_the_package_offers_it() -> None:
    assert {"report", "Pruned"} <= set(cd4ml.__all__)


def test_what_a_trial_reports_is_kept_and_the_same_step_again_replaces_it(
    project: Project,
) -> None:
    begin(project)
    first = trial(project, 0)

    assert say(project, first, 0.5, float("inf"), 0.7) == ""
    assert say(project, first, 0.6) == ""

    assert kept(project, 0) == [(1, 0.6), (2, None), (3, 0.7)]
    assert os.environ["CD4ML_TRIAL"] == ""


@pytest.mark.parametrize(("direction", "sign"), [("higher", 1.0), ("lower", -1.0)])
def test_a_trial_worse_than_the_median_of_those_that_finished_is_pruned(
    project: Project, direction: str, sign: float
) -> None:
    begin(project, pruner="median", direction=direction)
    for position in range(5):
        assert say(project, trial(project, position), sign * position, sign * 10) == ""
        trial(project, position, state="finished")

    assert say(project, trial(project, 5), sign * 2.0, sign * 10.0, sign * 11) == ""
    assert say(project, trial(project, 6), sign * 1.0, sign * 99.0) == (
        "after step 1 worse than the median of 5 trials"
    )

    pruned = stored(project, 6)
    assert (pruned.state, pruned.value) == ("pruned", sign * 1.0)
    assert pruned.reason == "after step 1 worse than the median of 5 trials"
    outcome = Outcome(reason="pipeline.py:3: step 'delay' failed: Pruned: after step 1")
    assert ended_trial(plan(), pruned, outcome).state == "pruned"


def test_a_trial_whose_code_goes_on_after_all_has_finished(project: Project) -> None:
    pruned = Trial(search=1, position=0, parameters={}, state="pruned", value=0.1)

    assert ended_trial(plan(), pruned, Outcome(run=1, value=0.9)).state == "finished"


def test_successive_halving_lets_the_best_third_go_on(project: Project) -> None:
    begin(project, pruner="halving")
    for position in range(5):
        say(project, trial(project, position), 0.5 + position / 10)

    assert say(project, trial(project, 5), 0.85, 0.1) == ""
    assert say(project, trial(project, 6), 0.1) == (
        "after step 1 not among the best third of 7 trials"
    )


def test_what_is_not_a_number_is_pruned(project: Project) -> None:
    begin(project, pruner="median")

    assert say(project, trial(project, 0), 0.5, float("nan")) == (
        "after step 2 its auc was not a finite number"
    )
    assert kept(project, 0) == [(1, 0.5), (2, None)]


def test_trials_on_fewer_rows_are_not_compared_with_those_on_more(project: Project) -> None:
    begin(project, pruner="median")
    for position in range(5):
        say(project, trial(project, position), 0.9)
        trial(project, position, state="finished")

    assert say(project, trial(project, 5, rung=1), 0.1) == ""


def test_an_attempt_that_was_interrupted_is_not_remembered(project: Project) -> None:
    begin(project)
    again = trial(project, 0, attempts=2)
    say(project, again, 0.1, 0.2)

    with project.database.write() as connection:
        rows.insert(connection, run(1, state="running"))
        begin_run(connection, again, run(1))

    assert kept(project, 0) == []
    assert stored(project, 0).run == 1
