"""Quantiles with an interval that assumes nothing."""

from math import inf

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from scipy.stats import quantile_test

from cd4ml.measures.estimate import UndefinedMeasure
from cd4ml.measures.quantiles import quantile

samples = st.lists(st.floats(-1e6, 1e6), min_size=1, max_size=80)


@pytest.mark.parametrize("share", [0.1, 0.5, 0.9, 0.99])
@pytest.mark.parametrize("n", [5, 50, 368, 1000])
def test_the_interval_is_scipys(n: int, share: float) -> None:
    rows = np.random.default_rng(n).gamma(2.0, size=n)
    theirs = quantile_test(rows, q=1.0, p=share).confidence_interval(0.95)

    _, low, high, _ = quantile(rows, share)

    assert low == pytest.approx(theirs.low) if np.isfinite(theirs.low) else low == -inf
    assert high == pytest.approx(theirs.high) if np.isfinite(theirs.high) else high == inf


@given(samples, st.floats(0.01, 0.99))
def test_a_quantile_is_one_of_the_values_and_lies_within_its_interval(
    rows: list[float], share: float
) -> None:
    value, low, high, n = quantile(rows, share)

    assert value in rows
    assert low <= value <= high
    assert n == len(rows)
    assert sum(row <= value for row in rows) >= share * n - 1e-9


@given(samples, st.randoms())
def test_the_order_of_rows_does_not_matter(rows: list[float], chance: object) -> None:
    assert quantile(rows, 0.9) == quantile(rows[::-1], 0.9)


def test_the_99th_percentile_has_an_upper_end_from_368_rows_on() -> None:
    assert quantile(range(367), 0.99).high == inf
    assert quantile(range(368), 0.99).high == 367


def test_the_interval_covers_as_often_as_it_says() -> None:
    chance, truth = np.random.default_rng(0), np.log(10.0)  # 90 % of an exponential

    found = [quantile(chance.exponential(size=200), 0.9) for _ in range(400)]

    assert np.mean([each.low <= truth <= each.high for each in found]) >= 0.93


def test_what_is_no_sample_or_no_share_is_refused() -> None:
    with pytest.raises(UndefinedMeasure):
        quantile([], 0.5)
    with pytest.raises(ValueError, match=r"a quantile's share is between 0 and 1"):
        quantile([1.0], 1.0)
    with pytest.raises(ValueError, match=r"expected finite numbers, got nan in row 1"):
        quantile([1.0, np.nan], 0.5)
