from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from scipy import stats

from cd4ml.measures.estimate import UndefinedMeasure
from cd4ml.measures.trend import lower_limit, mann_kendall, sen_slope
from tests.measures.messages import exactly

series = st.lists(st.integers(-20, 20).map(float), min_size=2, max_size=9)


@given(st.permutations(range(8)))
def test_the_test_is_scipys_kendall_against_time(order: list[int]) -> None:
    found = mann_kendall(order)

    oracle = stats.kendalltau(range(8), order, method="exact", alternative="less")
    assert found.p_falling == pytest.approx(oracle.pvalue, abs=1e-12)
    assert found.s == pytest.approx(oracle.statistic * 28)


@given(series)
def test_with_ties_the_chance_is_an_upper_bound(values: list[float]) -> None:
    found = mann_kendall(values)

    broken = [value - 1e-6 * i for i, value in enumerate(values)]  # every tie a fall
    assert mann_kendall(broken).p_falling <= found.p_falling <= 1
    assert mann_kendall(values[::-1]).s == -found.s


@given(series, st.floats(0.1, 10), st.floats(-5, 5))
def test_only_the_order_counts(values: list[float], scale: float, shift: float) -> None:
    stretched = [scale * value + shift for value in values]

    assert mann_kendall(stretched) == mann_kendall(values)


@given(st.lists(st.floats(-100, 100), min_size=2, max_size=12))
def test_the_slope_is_scipys(values: list[float]) -> None:
    oracle = stats.theilslopes(values, range(len(values))).slope

    assert sen_slope(values) == pytest.approx(oracle, abs=1e-9)


def test_the_limit_is_that_of_students_t_for_one_more_value() -> None:
    values = np.array([0.70, 0.71, 0.69, 0.70, 0.73])

    limit = lower_limit(values, false_alarms=0.025)

    spread = values.std(ddof=1) * np.sqrt(1 + 1 / 5)
    assert limit == pytest.approx(stats.t.ppf(0.025, 4, values.mean(), spread), abs=1e-9)
    assert lower_limit(values, false_alarms=0.025, least_spread=1.0) < limit


@pytest.mark.parametrize("n", [3, 5, 8])
def test_it_raises_as_many_false_alarms_as_it_says_where_three_sigma_raises_more(n: int) -> None:
    chance = np.random.default_rng(n)
    runs = chance.normal(0.7, 0.01, (20_000, n + 1))
    before, after = runs[:, :n], runs[:, n]

    alarms = np.mean(
        [x < lower_limit(b, false_alarms=0.025) for b, x in zip(before[:2000], after, strict=False)]
    )
    moving_range = np.abs(np.diff(before, axis=1)).mean(axis=1) / 1.128  # Shewhart, individuals
    shewhart = np.mean(after < before.mean(axis=1) - 3 * moving_range)

    assert alarms == pytest.approx(0.025, abs=0.012)
    assert shewhart > 3 * stats.norm.cdf(-3)  # from few values it is not what it says


@pytest.mark.parametrize(
    ("values", "false_alarms", "message"),
    [
        ([1.0], 0.05, "a limit needs two values, got 1"),
        ([1.0, 2.0], 0.5, "a share of false alarms is between 0 and 0.5, got 0.5"),
    ],
)
def test_no_limit_without_values_or_with_another_share(
    values: list[float], false_alarms: float, message: str
) -> None:
    with pytest.raises(ValueError, match=exactly(message)):
        lower_limit(values, false_alarms=false_alarms)


def test_one_value_has_no_slope() -> None:
    with pytest.raises(UndefinedMeasure, match=exactly("a slope needs two values, got 1")):
        sen_slope([1.0])
