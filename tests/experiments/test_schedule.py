"""Which trial comes next: decided from the plan and the rows, not from the order of ends."""

import random
from typing import Any

import msgspec
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from cd4ml.experiments.schedule import Schedule, best_first, best_of, rung_sizes
from cd4ml.records.search import SearchPlan, Trial
from tests.experiments.plans import ended, plan


def score(trial: Trial) -> float:
    return trial.parameters["step.x"] / 1000 + trial.rung


def play(
    which: SearchPlan, order: random.Random, known: list[Trial] | None = None, n: int = 10_000
) -> list[Trial]:
    """Begin what may begin, end whichever comes first; up to n ends."""
    schedule = Schedule(which, 1, known or [])
    underway: list[Trial] = []
    for _ in range(n):
        while len(underway) < which.workers and (trial := schedule.next(spent_s=0.0)):
            schedule.put(trial)
            underway.append(trial)
        if not underway:
            break
        done = underway.pop(order.randrange(len(underway)))
        schedule.put(msgspec.structs.replace(done, state="finished", value=score(done)))
    return schedule.trials


def told(trials: list[Trial]) -> list[tuple[Any, ...]]:
    return [(trial.position, trial.parameters, trial.rung, trial.value) for trial in trials]


@settings(max_examples=30, deadline=None)
@given(order=st.randoms(use_true_random=False), workers=st.integers(1, 4), n=st.integers(0, 30))
@pytest.mark.parametrize(
    "changes",
    [
        {},
        {"portions": (0.2, 0.5, 1.0)},
        {"patience": 4},
        {"sampler": "tpe", "n_trials": 14},
    ],
    ids=["random", "halving", "patience", "tpe"],
)
def test_the_same_plan_gives_the_same_trials_whoever_is_quicker_and_whatever_interrupts(
    changes: dict[str, Any], order: random.Random, workers: int, n: int
) -> None:
    which = plan(workers=workers, **changes)
    first = play(which, random.Random(0))

    before = play(which, order, n=n)
    waiting = [
        msgspec.structs.replace(trial, state="waiting") if trial.state == "running" else trial
        for trial in before
    ]
    again = play(which, order, waiting)

    shared = min(len(first), len(again))
    assert told(again)[:shared] == told(first)[:shared]
    assert abs(len(again) - len(first)) < workers  # those that were underway when it ended


def test_each_rung_reads_about_as_many_rows_and_the_best_go_on() -> None:
    which = plan(n_trials=20, portions=(0.1, 0.3, 1.0), workers=3)

    trials = play(which, random.Random(1))

    assert rung_sizes(which) == [20, 6, 2]
    assert Schedule(which, 1).n_total == 28
    by_rung = [[t for t in trials if t.rung == rung] for rung in range(3)]
    assert [len(rung) for rung in by_rung] == [20, 6, 2]
    best = sorted(by_rung[0], key=lambda t: (-score(t), t.position))
    assert [t.promoted_from for t in by_rung[1]] == [t.position for t in best[:6]]
    assert [t.parameters for t in by_rung[2]] == [t.parameters for t in best[:2]]
    assert best_of(which, trials) == by_rung[2][0]


def test_no_trial_is_promoted_before_all_of_its_rung_have_ended() -> None:
    schedule = Schedule(plan(n_trials=3, portions=(0.5, 1.0)), 1, [ended(0, 0.9), ended(1, 0.8)])

    third = schedule.next(spent_s=0.0)

    assert third is not None
    assert (third.position, third.rung) == (2, 0)
    schedule.put(third)
    assert schedule.next(spent_s=0.0) is None


def test_a_rung_without_enough_that_finished_is_smaller() -> None:
    which = plan(n_trials=4, portions=(0.5, 1.0))
    trials = [ended(0, None), ended(1, 0.5), ended(2, None), ended(3, None)]
    schedule = Schedule(which, 1, trials)

    promoted = schedule.next(spent_s=0.0)

    assert promoted is not None
    assert promoted.promoted_from == 1
    schedule.put(promoted)
    assert schedule.next(spent_s=0.0) is None


def test_what_was_underway_is_tried_again_before_anything_new() -> None:
    waiting = ended(0, None, state="waiting", run=7)
    schedule = Schedule(plan(), 1, [waiting, ended(1, 0.5)])

    again = schedule.next(spent_s=0.0)

    assert again is not None
    assert (again.position, again.state, again.run, again.attempts) == (0, "running", 0, 2)


def test_a_search_ends_when_nothing_gets_better() -> None:
    values = [0.1, 0.5, 0.4, 0.5, 0.3]
    trials = [ended(i, value) for i, value in enumerate(values)]

    def reason(patience: int, **changes: Any) -> str:
        return Schedule(plan(patience=patience, **changes), 1, trials).end(spent_s=0.0)

    assert reason(4) == ""
    assert reason(3) == "no better trial among the last 3"
    assert reason(4, direction="lower") == "no better trial among the last 4"


def test_a_search_ends_when_its_time_is_over() -> None:
    trials = [ended(i, 0.5, seconds=20.0) for i in range(3)]

    assert Schedule(plan(budget_s=60.0), 1, trials).end(spent_s=59.0) == ""
    assert Schedule(plan(budget_s=60.0), 1, trials).end(spent_s=60.0) == "its 60 seconds were over"
    assert Schedule(plan(work_s=60.0), 1, trials).end(spent_s=0.0) == (
        "its trials had worked for 60 seconds"
    )
    assert Schedule(plan(work_s=60.0), 1, trials).next(spent_s=0.0) is None


def test_pruned_and_failed_trials_are_not_the_best() -> None:
    trials = [ended(0, 0.9, state="pruned"), ended(1, None), ended(2, 0.4), ended(3, 0.4)]

    assert [trial.position for trial in best_first(plan(), trials)] == [2, 3]
    assert best_of(plan(), []) is None
