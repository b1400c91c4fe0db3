"""Processes that attempt trials: several at once, and what a bad one does to the others."""

from concurrent.futures import Future, ThreadPoolExecutor
from functools import partial
from pathlib import Path
from typing import Any

from cd4ml.errors import WorkerLost
from cd4ml.experiments.workers import Ended, Workers
from cd4ml.records.search import Trial
from tests.experiments.attempts import attempt


def trials(*todo: str) -> list[Trial]:
    return [Trial(search=1, position=i, parameters={"step.do": do}) for i, do in enumerate(todo)]


def all_of(workers: Workers) -> list[Ended]:
    ended = []
    while workers.n_underway:
        ended += workers.wait()
    return sorted(ended, key=lambda each: each.trial.position)


def test_each_trial_has_its_outcome(tmp_path: Path) -> None:
    with Workers(partial(attempt, tmp_path), 2) as workers:
        workers.begin(trials("wait", "fail", "break"))
        found = all_of(workers)

    outcomes = [each.outcome for each in found if each.outcome]
    assert [(each.run, each.value, each.reason) for each in outcomes] == [
        (100, 0.0, ""),
        (0, None, "pipeline.py:7: step 'delay' failed"),
        (0, None, "ValueError: unexpected"),
    ]
    assert outcomes[0].seconds >= 0.2


def test_trials_run_in_several_processes_at_once_which_are_reused(tmp_path: Path) -> None:
    with Workers(partial(attempt, tmp_path), 2) as workers:
        for batch in (trials("wait", "wait"), trials("", "", "wait", "wait")):
            workers.begin(batch)
            all_of(workers)

    assert len({path.name.split("-")[2] for path in tmp_path.iterdir()}) == 2


def test_who_was_underway_when_a_process_died_has_no_outcome_and_others_go_on(
    tmp_path: Path,
) -> None:
    with Workers(partial(attempt, tmp_path), 2) as workers:
        workers.begin(trials("long", "die"))
        died = all_of(workers)
        workers.begin(trials("wait"))
        after = all_of(workers)

    assert [each.outcome for each in died] == [None, None]
    assert [each.outcome.run for each in after if each.outcome] == [100]


class Losing(ThreadPoolExecutor):
    """Loses the second trial alone, as an executor with a process a call does."""

    def submit(self, *call: Any, **options: Any) -> "Future[Any]":
        if call[-1].position != 1:
            return super().submit(*call, **options)
        lost: Future[Any] = Future()
        lost.set_exception(WorkerLost("its worker was lost"))
        return lost


def test_another_executor_may_lose_one_trial_and_keep_the_others(tmp_path: Path) -> None:
    with Workers(partial(attempt, tmp_path), 2, Losing) as workers:
        workers.begin(trials("", "", ""))
        found = all_of(workers)

    assert [each.outcome is None for each in found] == [False, True, False]
    assert [each.lost for each in found] == ["", "its worker was lost", ""]


def test_no_trials_need_no_process() -> None:
    with Workers(partial(attempt, Path()), 2) as workers:
        assert workers.n_underway == 0
        assert workers.wait() == []
