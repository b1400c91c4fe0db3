from __future__ import annotations

from math import inf, log, sqrt

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from cd4ml.measures.moments import Moments, moments, running_moments
from cd4ml.measures.sequential import (
    asymptotic_sequence,
    difference_sequence,
    normal_mixture_boundary,
    normal_mixture_radius,
    normal_mixture_rho,
    paired_difference_sequence,
    require_alpha,
)
from tests.measures.messages import exactly

mixed = st.lists(st.floats(0, 1), min_size=50, max_size=80).filter(lambda rows: np.std(rows) > 0.05)


def losses(n: int, *, mean: float, seed: int) -> np.ndarray:
    return np.random.default_rng(seed).beta(8 * mean, 8 * (1 - mean), n)


def test_known_answers() -> None:
    rho = normal_mixture_rho(100)

    assert rho == pytest.approx(12.60, abs=0.005)
    assert normal_mixture_boundary([10, 100, 1000, 10_000], rho=rho) == pytest.approx(
        [12.1908, 30.3521, 102.5123, 356.1641], abs=1e-4
    )
    assert normal_mixture_radius(100, variance=0.25, rho=1) == pytest.approx(0.1550769, abs=1e-7)


@given(st.integers(50, 10**6), st.integers(100, 10**6), st.floats(0.001, 0.5))
def test_the_asymptotic_radius_is_the_one_of_the_paper(
    n: int, tuned_for: int, alpha: float
) -> None:
    rho = 1 / sqrt(normal_mixture_rho(tuned_for, alpha=alpha))
    half_ones = Moments(*(np.array(part) for part in (n, n / 2, n / 2, n / 2, n / 2)))
    wide = n * rho**2 + 1
    expected = 0.5 * sqrt(2 * wide / (n**2 * rho**2) * log(sqrt(wide) / alpha))

    estimate = asymptotic_sequence(half_ones, alpha=alpha, tuned_for=tuned_for).last()

    assert estimate.value == 0.5
    assert estimate.high - 0.5 == pytest.approx(expected)
    assert 0.5 - estimate.low == pytest.approx(expected)


def test_a_band_is_narrowest_near_the_rows_it_is_tuned_for() -> None:
    def width(n: int, tuned_for: int) -> float:
        radius = normal_mixture_radius(n, variance=1, rho=normal_mixture_rho(tuned_for))
        return float(radius)

    assert width(1000, 1000) < width(1000, 50) < width(1000, 3)
    assert width(1000, 1000) < width(1000, 20_000)


@given(mixed, st.floats(-5, 5), st.floats(0.1, 10))
def test_a_band_follows_shift_and_scale(rows: list[float], shift: float, scale: float) -> None:
    plain = asymptotic_sequence(moments(rows)).last()
    moved = asymptotic_sequence(moments(np.array(rows) * scale + shift)).last()

    assert moved.value == pytest.approx(plain.value * scale + shift)
    assert moved.high == pytest.approx(plain.high * scale + shift)


@given(mixed, mixed)
def test_a_difference_changes_its_sign_with_the_arms(
    first: list[float], second: list[float]
) -> None:
    there = difference_sequence(moments(first), moments(second)).last()
    back = difference_sequence(moments(second), moments(first)).last()

    assert there.value == pytest.approx(-back.value)
    assert there.low == pytest.approx(-back.high)
    assert there.n == len(first) + len(second)


@given(mixed)
def test_a_band_over_time_ends_where_all_rows_are(rows: list[float]) -> None:
    over_time = asymptotic_sequence(running_moments(rows)).last()

    assert over_time == pytest.approx(asymptotic_sequence(moments(rows)).last())


def test_a_canary_that_is_worse_by_more_than_the_margin_is_found() -> None:
    worse = moments(losses(400, mean=0.25, seed=1))
    same = moments(losses(4000, mean=0.16, seed=2))
    champion = moments(losses(20_000, mean=0.16, seed=3))

    assert difference_sequence(worse, champion).last().low > 0.02
    assert difference_sequence(same, champion).last().high < 0.02


def test_a_shadow_needs_fewer_rows_than_a_canary_for_the_same_answer() -> None:
    hard = losses(1000, mean=0.2, seed=4)
    new, champion = hard + 0.02 + losses(1000, mean=0.1, seed=5) / 10, hard

    paired = paired_difference_sequence(new, champion).last()
    apart = difference_sequence(moments(new), moments(champion)).last()

    assert paired.low > 0.02
    assert apart.low < 0.02
    assert paired.value == pytest.approx(apart.value)


def test_rows_that_say_nothing_yet_leave_everything_open() -> None:
    rare = [0.0] * 500 + [1.0] * 5
    many = losses(500, mean=0.2, seed=6)
    nothing = Moments(*(np.zeros(()) for _ in range(5)))

    assert asymptotic_sequence(moments(rare)).last()[1:3] == (-inf, inf)
    assert asymptotic_sequence(moments(many[:5])).last()[1:3] == (-inf, inf)
    assert difference_sequence(moments(many[:5]), moments(many)).last()[1:3] == (-inf, inf)
    assert difference_sequence(nothing, moments(many)).last()[1:3] == (-inf, inf)
    assert paired_difference_sequence(many, many).last() == (0, -inf, inf, 500)


def test_settings_out_of_range_are_refused() -> None:
    with pytest.raises(
        ValueError,
        match=exactly("alpha is the chance of being wrong, between 0 and 1 (0.05), got 0"),
    ):
        require_alpha(0)
    with pytest.raises(ValueError, match=exactly("a variance is above 0, got 0")):
        asymptotic_sequence(moments([0.1]), tuned_for=0)
    with pytest.raises(
        ValueError, match=exactly("rho is above 0, got 0; normal_mixture_rho gives a good one")
    ):
        normal_mixture_radius(10, variance=1, rho=0)
    with pytest.raises(
        ValueError, match=exactly("a pair needs both losses in each row, got (2,) and (1,)")
    ):
        paired_difference_sequence([0.1, 0.2], [0.1])
