from __future__ import annotations

from collections.abc import Callable
from math import log

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from scipy.optimize import brentq
from scipy.special import betaln

from cd4ml.measures.estimate import UndefinedMeasure
from cd4ml.measures.evidence import (
    always_valid_p,
    betabinomial_e,
    betting_interval,
    hedged_capital,
    msprt,
    multinomial_bayes_factor,
)
from cd4ml.measures.sequential import normal_mixture_rho
from tests.measures.messages import exactly

TEN = [1, 0, 1, 1, 0, 1, 1, 1, 0, 1]
bits = st.lists(st.integers(0, 1), min_size=1, max_size=30)


def test_known_answers() -> None:
    assert np.exp(betabinomial_e(60, 100, p0=0.5)) == pytest.approx(0.9130498, abs=1e-7)
    assert np.exp(msprt(30, 1000, variance=0.25, mixing_variance=0.01)) == pytest.approx(
        0.9042147, abs=1e-7
    )
    assert np.exp(multinomial_bayes_factor([20, 30, 50], shares=[0.1, 0.3, 0.6])) == pytest.approx(
        5.65857, abs=1e-5
    )
    assert np.exp(hedged_capital(TEN, mean=0.5)) == pytest.approx(
        [0.75, 0.375, 0.5625, 0.84375, 0.421875, 0.632812, 0.949219, 1.423828, 0.711914, 1.067871],
        abs=1e-6,
    )


@pytest.mark.parametrize(
    ("n", "low", "high"),
    [(10, 0.273, 0.994), (50, 0.497, 0.868), (100, 0.551, 0.834), (200, 0.588, 0.805)],
)
def test_betting_intervals_are_confseqs(n: int, low: float, high: float) -> None:
    interval = betting_interval(TEN * (n // 10))

    assert (interval.low, interval.high) == pytest.approx((low, high), abs=0.0025)
    assert (interval.value, interval.n) == (pytest.approx(0.7), n)


@pytest.mark.parametrize(
    ("successes", "n", "best_at", "low", "high"),
    [
        (700, 1000, 100, 0.651629, 0.745949),
        (15, 50, 50, 0.129556, 0.511896),
        (5, 50, 50, 0.013021, 0.269264),
        (100, 200, 1, 0.328923, 0.671076),
        (60, 100, 25, 0.440229, 0.748633),
    ],
)
def test_the_shares_betabinomial_evidence_leaves_standing_are_confseqs(
    successes: int, n: int, best_at: int, low: float, high: float
) -> None:
    """The first four are those of confseq's own tests, the fifth is its answer here."""

    def evidence(p0: float) -> float:
        """Confseq mixes around each null, as tightly as is best at some number of rows."""
        spread = p0 * (1 - p0)
        r = max(normal_mixture_rho(best_at * spread) - spread, 1e-3 * spread)
        return float(betabinomial_e(successes, n, p0=p0, a=r / (1 - p0), b=r / p0)) - log(20)

    share = successes / n
    interval = brentq(evidence, 1e-4, share), brentq(evidence, share, 1 - 1e-4)

    assert interval == pytest.approx((low, high), abs=1e-6)


@given(bits, st.floats(0.05, 0.95))
def test_betabinomial_evidence_is_the_mean_likelihood_ratio(rows: list[int], p0: float) -> None:
    k, n = sum(rows), len(rows)
    likelihood = k * log(p0) + (n - k) * log(1 - p0)

    assert betabinomial_e(k, n, p0=p0) == pytest.approx(betaln(k + 1, n - k + 1) - likelihood)
    assert betabinomial_e(k, n, p0=p0) == pytest.approx(betabinomial_e(n - k, n, p0=1 - p0))


@given(st.floats(0.1, 0.9), st.integers(1, 60))
def test_evidence_is_fair_under_the_null(p0: float, n: int) -> None:
    """The expected e-value after any number of rows is exactly 1."""
    k = np.arange(n + 1)
    weights = np.exp(
        -np.log(n + 1) - betaln(k + 1, n - k + 1) + k * log(p0) + (n - k) * log(1 - p0)
    )

    assert (weights * np.exp(betabinomial_e(k, n, p0=p0))).sum() == pytest.approx(1)
    assert (
        weights * np.exp(multinomial_bayes_factor(np.stack([k, n - k], -1), shares=[p0, 1 - p0]))
    ).sum() == pytest.approx(1)


def test_two_groups_are_the_betabinomial_case() -> None:
    a, b = 100 * 0.3, 100 * 0.7

    assert multinomial_bayes_factor([40, 60], shares=[0.3, 0.7]) == pytest.approx(
        betabinomial_e(40, 100, p0=0.3, a=a, b=b)
    )


@given(bits, st.floats(0.1, 0.9))
def test_capital_mirrors_with_its_rows(rows: list[int], mean: float) -> None:
    there, back = hedged_capital(rows, mean=mean), hedged_capital(1 - np.array(rows), mean=1 - mean)

    assert there == pytest.approx(back)


@given(st.lists(st.floats(0, 1), min_size=1, max_size=40))
def test_betting_intervals_stay_within_the_bounds(rows: list[float]) -> None:
    interval = betting_interval(rows, grid=100)

    assert 0 <= interval.low < interval.high <= 1


def test_capital_can_be_asked_for_the_bounds_themselves() -> None:
    assert hedged_capital([0, 0, 0], mean=0.0) == pytest.approx([log(0.5)] * 3)
    assert hedged_capital([1, 1, 1], mean=1.0) == pytest.approx([log(0.5)] * 3)
    assert hedged_capital([1] * 10, mean=0.0)[-1] > 5


def test_always_valid_p_values_only_fall() -> None:
    p = always_valid_p(msprt([1, 9, 3], [10, 20, 30], variance=0.25, mixing_variance=0.1))

    assert (np.diff(p) <= 0).all()
    assert p[0] == 1.0
    assert p[2] == p[1] < 1.0


def test_a_lost_share_of_traffic_is_noticed() -> None:
    assert multinomial_bayes_factor([5000, 95_000], shares=[0.05, 0.95]) < 0
    assert multinomial_bayes_factor([4500, 95_500], shares=[0.05, 0.95]) > log(20)


def test_a_mean_that_moves_leaves_no_interval() -> None:
    with pytest.raises(UndefinedMeasure) as refusal:
        betting_interval([0.0] * 300 + [1.0] * 600)

    assert str(refusal.value) == (
        "no one mean fits all these rows, so it has moved; judge a shorter window"
    )


@pytest.mark.parametrize(
    ("call", "message"),
    [
        (
            lambda: betabinomial_e(1, 2, p0=0),
            "expected p0 within 0..1 and a, b above 0, got p0=0, a=1.0, b=1.0",
        ),
        (
            lambda: betabinomial_e(3, 2, p0=0.5),
            "expected between 0 and n successes; are the two counts swapped?",
        ),
        (
            lambda: msprt(1, 2, variance=0, mixing_variance=1),
            "a variance is above 0; wait until the rows differ",
        ),
        (
            lambda: hedged_capital([2.0], mean=0.5),
            "betting needs rows within 0..1; scale them by their known bounds",
        ),
        (
            lambda: hedged_capital([1.0], mean=2),
            "the mean of rows within 0..1 is within 0..1, got 2",
        ),
        (
            lambda: hedged_capital([1.0], mean=0.5, alpha=5),
            "alpha is the chance of being wrong, between 0 and 1 (0.05), got 5",
        ),
        (
            lambda: hedged_capital([], mean=0.5),
            "there are no rows to measure; wait for the first one",
        ),
        (lambda: always_valid_p([]), "there are no rows to measure; wait for the first one"),
        (
            lambda: multinomial_bayes_factor([1, 2, 3], shares=[0.5, 0.5]),
            "each group needs a count and a share, got shapes (3,) and (2,)",
        ),
        (
            lambda: multinomial_bayes_factor([1, 2], shares=[0.5, 0.6]),
            "shares are above 0 and together 1, got [0.5, 0.6]",
        ),
        (
            lambda: multinomial_bayes_factor([1, -2], shares=[0.5, 0.5]),
            "a count of rows is 0 or more",
        ),
    ],
)
def test_arguments_out_of_range_are_refused(call: Callable[[], object], message: str) -> None:
    with pytest.raises(ValueError, match=exactly(message)):
        call()
