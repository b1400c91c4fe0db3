"""Each rule is looked at after every row of 2,000 streams in which nothing is wrong.

A rule may be wrong in 5 % of them, plus three standard errors of the simulation. An ordinary
test, looked at as often, is wrong in more than half.
"""

from __future__ import annotations

from collections.abc import Callable
from math import log, sqrt

import numpy as np
import pytest
from numpy.typing import NDArray

from cd4ml.measures.evidence import (
    always_valid_p,
    betabinomial_e,
    hedged_capital,
    msprt,
    multinomial_bayes_factor,
)
from cd4ml.measures.moments import Moments, running_moments
from cd4ml.measures.sequential import (
    Band,
    asymptotic_sequence,
    difference_sequence,
    normal_mixture_radius,
    normal_mixture_rho,
    paired_difference_sequence,
)

STREAMS = 2000
LIMIT = 0.05 + 3 * sqrt(0.05 * 0.95 / STREAMS)
Floats = NDArray[np.float64]


def ever(is_wrong: NDArray[np.bool_]) -> float:
    """Share of streams in which the rule was wrong at least once."""
    return float(is_wrong.any(axis=-1).mean())


def misses(band: Band, truth: float) -> NDArray[np.bool_]:
    return (band.low > truth) | (band.high < truth)


def events(p: float, *, n: int, seed: int) -> Floats:
    return (np.random.default_rng(seed).random((STREAMS, n)) < p).astype(float)


def brier_losses(n: int, *, seed: int) -> Floats:
    rng = np.random.default_rng(seed)
    said = rng.beta(2, 6, (STREAMS, n))
    return np.square(said - (rng.random((STREAMS, n)) < said))


def in_arm(losses: Floats, is_in: NDArray[np.bool_]) -> Moments:
    """Moments of the rows of one arm, over time; rows of the other arm count for nothing."""
    sums = running_moments(np.where(is_in, losses, 0.0))
    return sums._replace(n=is_in.cumsum(axis=-1))


def test_an_ordinary_test_that_is_looked_at_after_every_row_is_mostly_wrong() -> None:
    n = np.arange(1, 5001)
    share = events(0.5, n=5000, seed=0).cumsum(axis=1) / n
    z = np.abs(share - 0.5) / np.sqrt(np.maximum(share * (1 - share), 1e-9) / n)

    assert ever((z > 1.96)[:, 19:]) > 0.4
    assert (z[:, -1] > 1.96).mean() < LIMIT


@pytest.mark.parametrize(("p", "a", "b"), [(0.5, 1, 1), (0.05, 1, 19), (0.01, 0.2, 19.8)])
def test_betabinomial_evidence(p: float, a: float, b: float) -> None:
    successes = events(p, n=1000, seed=1).cumsum(axis=1)

    evidence = betabinomial_e(successes, np.arange(1, 1001), p0=p, a=a, b=b)

    assert ever(evidence >= log(20)) <= LIMIT


@pytest.mark.parametrize("p", [0.5, 0.05])
def test_hedged_bets_on_events(p: float) -> None:
    assert ever(hedged_capital(events(p, n=1000, seed=2), mean=p) >= log(20)) <= LIMIT


def test_hedged_bets_on_bounded_losses() -> None:
    rows = np.random.default_rng(3).beta(2, 8, (STREAMS, 1000))

    assert ever(hedged_capital(rows, mean=0.2) >= log(20)) <= LIMIT


@pytest.mark.parametrize("tuned_for", [100, 1000])
def test_a_normal_mixture_of_bounded_rows(tuned_for: int) -> None:
    n = np.arange(1, 2001)
    gap = np.abs(events(0.5, n=2000, seed=4).cumsum(axis=1) / n - 0.5)

    radius = normal_mixture_radius(n, variance=0.25, rho=normal_mixture_rho(tuned_for / 4))

    assert ever(gap > radius) <= LIMIT


def test_msprt_of_two_arms_with_estimated_variance() -> None:
    n = np.arange(1, 1001)
    a, b = (events(0.1, n=1000, seed=seed).cumsum(axis=1) for seed in (5, 6))
    spread = (a / n) * (1 - a / n) + (b / n) * (1 - b / n)

    evidence = msprt(a - b, n, variance=np.maximum(spread, 1e-9), mixing_variance=0.0005)

    assert ever(always_valid_p(evidence[:, 50:]) <= 0.05) <= LIMIT


@pytest.mark.parametrize("shares", [[0.05, 0.95], [0.1, 0.3, 0.6]])
def test_multinomial_evidence_of_a_traffic_split(shares: list[float]) -> None:
    drawn = np.random.default_rng(7).choice(len(shares), p=shares, size=(STREAMS, 600))
    counts = (drawn[..., None] == np.arange(len(shares))).cumsum(axis=1)

    assert ever(multinomial_bayes_factor(counts, shares=shares) >= log(20)) <= LIMIT


@pytest.mark.parametrize("tuned_for", [100, 1000])
@pytest.mark.parametrize("p", [0.5, 0.05])
def test_an_asymptotic_sequence_of_events(p: float, tuned_for: int) -> None:
    band = asymptotic_sequence(running_moments(events(p, n=1000, seed=8)), tuned_for=tuned_for)

    assert ever(misses(band, p)) <= LIMIT


@pytest.mark.parametrize("tuned_for", [100, 1000])
def test_an_asymptotic_sequence_of_skewed_losses(tuned_for: int) -> None:
    rows = np.random.default_rng(9).exponential(1.0, (STREAMS, 1000))

    band = asymptotic_sequence(running_moments(rows), tuned_for=tuned_for)

    assert ever(misses(band, 1.0)) <= LIMIT


@pytest.mark.parametrize("weight", [0.05, 0.25, 0.5])
@pytest.mark.parametrize("losses", [brier_losses, lambda n, seed: events(0.05, n=n, seed=seed)])
def test_a_canary_that_is_as_good_as_the_champion(
    losses: Callable[..., Floats], weight: float
) -> None:
    is_canary = events(weight, n=1500, seed=10) == 1
    rows = losses(n=1500, seed=11)

    band = difference_sequence(in_arm(rows, is_canary), in_arm(rows, ~is_canary))

    assert ever(misses(band, 0.0)) <= LIMIT
    assert ever(band.low > 0.0) <= LIMIT / 2  # worse, for sure: rolled back


def test_a_shadow_that_is_as_good_as_the_champion() -> None:
    band = paired_difference_sequence(brier_losses(1000, seed=12), brier_losses(1000, seed=13))

    assert ever(misses(band, 0.0)) <= LIMIT


def test_a_canary_that_is_worse_is_found_in_nearly_all_streams() -> None:
    is_canary = events(0.25, n=1500, seed=14) == 1
    rows = brier_losses(1500, seed=15) + 0.1 * is_canary

    band = difference_sequence(in_arm(rows, is_canary), in_arm(rows, ~is_canary))

    assert ever(band.low > 0.01) > 0.95
