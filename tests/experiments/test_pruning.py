"""Rules of pruning, beside those of Optuna."""

import warnings

import optuna
from hypothesis import given, settings
from hypothesis import strategies as st
from optuna.trial import TrialState, create_trial

from cd4ml.experiments.pruning import N_BEFORE, below_median, below_rung

values = st.floats(-10, 10, allow_nan=False)


@settings(max_examples=100, deadline=None)
@given(
    own=st.lists(values, min_size=1, max_size=4),
    others=st.lists(values, min_size=1, max_size=9),
    n_silent=st.integers(0, 6),
)
def test_the_median_rule_is_that_of_optuna(
    own: list[float], others: list[float], n_silent: int
) -> None:
    """One that has reported in each step, beside some that finished with and without a report."""
    step = len(own) - 1
    study = optuna.create_study(direction="maximize")
    reports = [{step: value} for value in others] + [{}] * n_silent
    for report in reports:
        study.add_trial(create_trial(value=0.0, intermediate_values=report))
    underway = create_trial(state=TrialState.RUNNING, intermediate_values=dict(enumerate(own)))
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        pruner = optuna.pruners.MedianPruner(n_startup_trials=N_BEFORE)
    expected = pruner.prune(study, underway)

    assert below_median(max(own), others, n_finished=len(reports)) == expected


def test_before_five_have_finished_nothing_is_pruned() -> None:
    assert not below_median(0.0, [1.0] * 4, n_finished=4)
    assert below_median(0.0, [1.0] * 5, n_finished=5)
    assert not below_median(0.0, [], n_finished=5)


def test_who_equals_the_median_goes_on() -> None:
    assert not below_median(1.0, [1.0] * 5, n_finished=5)


@given(value=values, others=st.lists(values, max_size=12))
def test_at_a_rung_no_more_than_a_third_goes_on(value: float, others: list[float]) -> None:
    everybody = [value, *others]

    on = [
        i
        for i, each in enumerate(everybody)
        if not below_rung(each, everybody[:i] + everybody[i + 1 :], n_reports=9)
    ]

    n_equal = max(everybody.count(each) for each in everybody)
    assert 1 <= len(on) <= -(-len(everybody) // 3) + n_equal - 1
    assert max(everybody) in [everybody[i] for i in on]


@given(value=values, others=st.lists(values, max_size=12), n=st.integers(1, 100))
def test_between_rungs_everybody_goes_on(value: float, others: list[float], n: int) -> None:
    if n not in (1, 3, 9, 27, 81):
        assert not below_rung(value, others, n_reports=n)
