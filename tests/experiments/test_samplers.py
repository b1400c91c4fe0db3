"""Samplers: what a trial tries follows from the plan and the trials before it, and nothing else."""

from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from cd4ml.experiments.samplers import n_behind, sampler_of
from cd4ml.experiments.space import grid, sample, value_at, values_of
from cd4ml.records.search import Range, SearchPlan, Trial
from tests.experiments.plans import plan

SPACE = {
    "step.n": "1..500",
    "step.rate": "0.001..1.0:log",
    "step.share": "0..1:0.1",
    "step.kind": ["a", "b", [1, 2], 1, 1.0, True],
    "step.log": "1..64:log",
}


def played(which: SearchPlan, *, interrupted_at: int = 0) -> list[dict[str, Any]]:
    """All trials one after the other; once with a new sampler, as after an interruption."""
    draw = sampler_of(which)
    trials: list[Trial] = []
    for position in range(which.n_trials):
        if position == interrupted_at:
            draw = sampler_of(which)
        values = draw(position, trials)
        trials.append(
            Trial(
                search=1,
                position=position,
                parameters=values,
                state="pruned" if position % 7 == 3 else "finished",
                value=None if position % 11 == 5 else score(values),
            )
        )
    return [trial.parameters for trial in trials]


def score(values: dict[str, Any]) -> float:
    return float(-abs(values["step.n"] - 250) / 500 - abs(values["step.rate"] - 0.1))


def test_a_grid_and_a_random_sample_are_those_of_the_space() -> None:
    space = {"step.a": [1, 2], "step.b": [3, 4]}

    assert played_simple(plan(space, sampler="grid", n_trials=4)) == grid(space)
    assert played_simple(plan(space, n_trials=3, seed=5)) == sample(space, 3, seed=5)


def played_simple(which: SearchPlan) -> list[dict[str, Any]]:
    draw = sampler_of(which)
    return [draw(position, []) for position in range(which.n_trials)]


@pytest.mark.slow
@pytest.mark.parametrize("interrupted_at", [1, 9, 17, 29])
def test_a_search_that_went_on_is_the_one_that_was_not_interrupted(interrupted_at: int) -> None:
    which = plan(SPACE, sampler="tpe", n_trials=30, seed=2)

    assert played(which, interrupted_at=interrupted_at) == played(which)


def test_another_seed_tries_other_values() -> None:
    first, second = (plan(SPACE, sampler="tpe", n_trials=4, seed=seed) for seed in (0, 1))

    assert played(first) != played(second)


def test_tpe_looks_only_at_trials_that_no_other_can_be_slower_than() -> None:
    which = plan(SPACE, sampler="tpe", n_trials=30, workers=3)
    known = [
        Trial(search=1, position=i, parameters=p, state="finished", value=score(p))
        for i, p in enumerate(sample(SPACE, 24, seed=0))
    ]
    underway = [Trial(search=1, position=20 + i, parameters=known[i].parameters) for i in range(4)]

    assert n_behind(which) == 4
    # whether the last four have ended changes nothing
    assert sampler_of(which)(24, known) == sampler_of(which)(24, [*known[:20], *underway])


@settings(max_examples=20, deadline=None)
@given(seed=st.integers(0, 2**20))
def test_tpe_draws_values_of_the_space(seed: int) -> None:
    which = plan(SPACE, sampler="tpe", n_trials=3, seed=seed)

    for values in played(which):
        for name, domain in which.space.items():
            every = values_of(domain)
            if every is None:
                assert isinstance(domain, Range)
                assert domain.low <= values[name] <= domain.high
            else:
                assert repr(values[name]) in map(repr, every)


@pytest.mark.slow
def test_tpe_tries_more_where_trials_did_well() -> None:
    def later(sampler: str, seed: int) -> float:
        which = plan(SPACE, sampler=sampler, n_trials=60, seed=seed)
        return sum(score(values) for values in played(which)[30:]) / 30

    for seed in range(4):
        assert later("tpe", seed) > later("random", seed) + 0.15


def test_whole_numbers_of_a_logarithmic_range_stay_whole() -> None:
    which = plan({"step.n": "1..64:log"}, sampler="tpe", n_trials=2)

    drawn = sampler_of(which)(0, [])["step.n"]

    assert type(drawn) is int
    assert type(value_at(which.space["step.n"], 0.5)) is int
