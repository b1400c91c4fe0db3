from __future__ import annotations

from collections.abc import Callable

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from sklearn import metrics

from cd4ml.measures.bootstrap import bootstrap
from cd4ml.measures.estimate import Estimate, UndefinedMeasure
from cd4ml.measures.regression import (
    mae,
    mae_difference,
    mape,
    median_absolute_error,
    r2,
    r2_difference,
    rmse,
    rmse_difference,
)
from tests.measures.messages import exactly

rng = np.random.default_rng(5)
TRUTH = rng.gamma(3, 20, 500)
NEAR = TRUTH + rng.normal(0, 4, 500)
FAR = TRUTH + rng.normal(2, 9, 500)

ORACLES: dict[Callable[..., Estimate], Callable[..., float]] = {
    mae: metrics.mean_absolute_error,
    rmse: metrics.root_mean_squared_error,
    r2: metrics.r2_score,
    mape: metrics.mean_absolute_percentage_error,
    median_absolute_error: metrics.median_absolute_error,
}

amounts = st.integers(-(10**6), 10**6).map(lambda cents: cents / 100)
answers = st.lists(st.tuples(amounts, amounts), min_size=2, max_size=40)


@pytest.mark.parametrize("measure", ORACLES, ids=lambda each: each.__name__)
def test_values_are_scikit_learns(measure: Callable[..., Estimate]) -> None:
    assert measure(TRUTH, NEAR).value == pytest.approx(ORACLES[measure](TRUTH, NEAR), abs=1e-9)


@pytest.mark.parametrize("measure", ORACLES, ids=lambda each: each.__name__)
def test_the_analytic_interval_is_that_of_the_bootstrap(measure: Callable[..., Estimate]) -> None:
    analytic = measure(TRUTH, NEAR)

    drawn = bootstrap(lambda y, s: measure(y, s).value, TRUTH, NEAR)

    assert drawn.value == analytic.value
    width = analytic.high - analytic.low
    assert drawn.low == pytest.approx(analytic.low, abs=0.15 * width)
    assert drawn.high == pytest.approx(analytic.high, abs=0.15 * width)


@pytest.mark.parametrize(
    ("difference", "measure"), [(mae_difference, mae), (rmse_difference, rmse), (r2_difference, r2)]
)
def test_a_paired_difference_is_narrower_than_two_intervals_and_agrees_with_the_bootstrap(
    difference: Callable[..., Estimate], measure: Callable[..., Estimate]
) -> None:
    both_far = NEAR + 3.0

    paired = difference(TRUTH, NEAR, both_far)
    drawn = bootstrap(
        lambda y, a, b: measure(y, a).value - measure(y, b).value, TRUTH, NEAR, both_far
    )

    width = paired.high - paired.low
    apart = [measure(TRUTH, each) for each in (NEAR, both_far)]
    assert width < sum(one.high - one.low for one in apart)
    assert (paired.low, paired.high) == (
        pytest.approx(drawn.low, abs=0.15 * width),
        pytest.approx(drawn.high, abs=0.15 * width),
    )


@given(answers)
def test_errors_are_never_negative_and_rmse_is_at_least_mae(
    rows: list[tuple[float, float]],
) -> None:
    truth, said = (np.array(column) for column in zip(*rows, strict=True))

    absolute, squared = mae(truth, said), rmse(truth, said)

    assert 0 <= absolute.value <= squared.value + 1e-9
    assert squared.low <= squared.value <= squared.high
    assert squared.low >= 0


@given(answers)
def test_the_unit_of_the_target_is_the_unit_of_the_error(rows: list[tuple[float, float]]) -> None:
    truth, said = (np.array(column) for column in zip(*rows, strict=True))

    for measure in (mae, rmse, median_absolute_error):
        in_cents = measure(100 * truth, 100 * said).value
        assert in_cents == pytest.approx(100 * measure(truth, said).value)


def test_the_mean_explains_nothing_and_the_truth_everything() -> None:
    assert r2(TRUTH, np.full(500, TRUTH.mean())).value == pytest.approx(0)
    assert r2(TRUTH, TRUTH) == Estimate(1.0, 1.0, 1.0, 500)


def test_the_median_s_interval_covers_what_it_says() -> None:
    chance = np.random.default_rng(2)
    middle = float(np.median(np.abs(chance.normal(0, 1, 200_000))))

    held = [
        found.low <= middle <= found.high
        for found in (
            median_absolute_error(np.zeros(40), chance.normal(0, 1, 40)) for _ in range(400)
        )
    ]

    assert 0.93 <= np.mean(held) <= 0.99


def test_a_handful_of_rows_says_nothing_of_how_far_the_median_may_be() -> None:
    assert median_absolute_error([0.0] * 5, [1.0, 2.0, 3.0, 4.0, 5.0]) == (3.0, 0.0, np.inf, 5)


@pytest.mark.parametrize(
    ("measure", "truth", "message"),
    [
        (r2, [2.0, 2.0], "all 2 rows have the target 2: no variance to explain"),
        (
            mape,
            [1.0, 0.0],
            "an error cannot be a share of 0, which is the target of row 1; use mae",
        ),
        (mae, [], "there are no rows to measure; widen the window or skip the check"),
    ],
)
def test_rows_that_do_not_define_a_measure_are_refused(
    measure: Callable[..., Estimate], truth: list[float], message: str
) -> None:
    with pytest.raises(UndefinedMeasure, match=exactly(message)):
        measure(truth, [1.0] * len(truth))


def test_each_row_needs_both() -> None:
    with pytest.raises(
        ValueError, match=exactly("each row needs a truth and an answer, got 2 and 1 rows")
    ):
        mae([1.0, 2.0], [1.0])
