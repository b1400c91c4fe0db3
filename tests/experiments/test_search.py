"""Searches: combinations, trials in processes, and what a bad trial does to the others."""

from datetime import datetime
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from cd4ml.errors import InvalidInput
from cd4ml.experiments.search import DIED, Trial, grid, run_trials, sample, start_search
from cd4ml.store import ledger
from tests.experiments.attempts import attempt

if TYPE_CHECKING:
    from cd4ml.store.database import Database

spaces = st.dictionaries(
    st.text(min_size=1, max_size=3),
    st.lists(st.integers(), min_size=1, max_size=4, unique=True),
    min_size=1,
    max_size=4,
)


def test_a_grid_has_every_combination_in_order() -> None:
    assert grid({"a": [1, 2], "b": ["x", "y"]}) == [
        {"a": 1, "b": "x"}, {"a": 1, "b": "y"}, {"a": 2, "b": "x"}, {"a": 2, "b": "y"},
    ]  # fmt: skip


@given(space=spaces, n=st.integers(1, 30), seed=st.integers(0, 5))
def test_a_sample_has_different_combinations_of_the_grid(
    space: dict[str, list[int]], n: int, seed: int
) -> None:
    everything = grid(space)

    chosen = sample(space, n, seed=seed)

    assert len(chosen) == min(n, len(everything))
    assert all(each in everything for each in chosen)
    assert len({tuple(each.items()) for each in chosen}) == len(chosen)
    assert chosen == sample(space, n, seed=seed)


def test_a_sample_of_a_vast_space_is_quick() -> None:
    space = {f"p{i}": range(1000) for i in range(6)}

    assert len(sample(space, 10, seed=1)) == 10


@pytest.mark.parametrize(
    ("space", "message", "hint"),
    [
        ({}, "a search needs a parameter with the values to try",
         "--grid STEP.PARAMETER=1,2,3"),
        ({"delay.rate": []}, "the parameter 'delay.rate' has no value to try",
         "--grid delay.rate=1,2,3"),
    ],
)  # fmt: skip
def test_a_space_without_values_is_refused(space: dict[str, Any], message: str, hint: str) -> None:
    for find in (grid, partial(sample, n=1, seed=0)):
        with pytest.raises(InvalidInput) as caught:
            find(space)
        assert (caught.value.message, caught.value.hint) == (message, hint)


def test_a_sample_has_at_least_one_trial() -> None:
    with pytest.raises(InvalidInput) as caught:
        sample({"a": [1]}, 0, seed=0)

    assert caught.value.message == "expected at least one trial, got 0"


def test_each_search_has_its_own_number_in_the_ledger(database: "Database", now: datetime) -> None:
    with database.write() as connection:
        numbers = [
            start_search(connection, space={"a.b": [1, 2]}, n_trials=2, at=now, actor="ada")
            for _ in range(2)
        ]

    assert numbers == [1, 2]
    with database.read() as connection:
        (entry,) = ledger.entries(connection, "search/2")
    assert (entry.action, entry.reason) == ("search.started", "2 trials")
    assert entry.details == {"space": {"a.b": [1, 2]}}


def test_a_bad_trial_is_recorded_and_the_others_go_on(tmp_path: Path) -> None:
    """Two raise; one kills its process, and with it the pool under the others."""
    todo = ["wait", "fail", "break", "die", "wait", "wait"]
    trials = [{"step.number": i, "step.do": do} for i, do in enumerate(todo)]
    told: list[tuple[int, int, int]] = []

    found = run_trials(
        trials,
        partial(attempt, tmp_path),
        workers=2,
        progress=lambda trial, done, all_: told.append((trial.position, done, all_)),
    )

    assert [(trial.position, trial.state, trial.run, trial.reason) for trial in found] == [
        (0, "finished", 100, ""),
        (1, "failed", 0, "pipeline.py:7: step 'delay' failed"),
        (2, "failed", 0, "ValueError: unexpected"),
        (3, "failed", 0, DIED),
        (4, "finished", 104, ""),
        (5, "finished", 105, ""),
    ]
    assert [trial.parameters for trial in found] == trials
    assert sorted(position for position, _, _ in told) == [0, 1, 2, 3, 4, 5]
    assert [done for _, done, _ in told] == [1, 2, 3, 4, 5, 6]


def test_trials_run_in_several_processes_at_once(tmp_path: Path) -> None:
    trials = [{"step.number": i, "step.do": "wait"} for i in range(4)]

    found = run_trials(trials, partial(attempt, tmp_path), workers=2)

    processes = {path.name.split("-")[1] for path in tmp_path.iterdir()}
    assert len(processes) == 2
    assert [trial.run for trial in found] == [100, 101, 102, 103]


def test_no_trials_need_no_process() -> None:
    assert run_trials([], partial(attempt, Path()), workers=2) == []


def test_a_trial_is_json() -> None:
    import msgspec

    trial = Trial(position=0, parameters={"a.b": [1]}, state="finished", run=3)

    assert msgspec.json.decode(msgspec.json.encode(trial), type=Trial) == trial
