"""Differences and ratios of shares: published examples, exact coverage, and what is refused."""

from math import inf

import pytest
from hypothesis import given
from hypothesis import strategies as st
from scipy.stats import binom
from scipy.stats.contingency import relative_risk

from cd4ml.measures.estimate import Estimate, UndefinedMeasure, wilson
from cd4ml.measures.proportions import difference, ratio_of_shares
from tests.measures.messages import exactly

shares = st.integers(1, 60).flatmap(lambda n: st.tuples(st.integers(0, n), st.just(n)))


@pytest.mark.parametrize(
    ("counts", "low", "high"),
    [  # Newcombe 1998, table II, method 10
        ((56, 70, 48, 80), 0.0524, 0.3339),
        ((9, 10, 3, 10), 0.1705, 0.8090),
        ((5, 56, 0, 29), -0.0381, 0.1926),
        ((0, 10, 0, 20), -0.1611, 0.2775),
        ((10, 10, 0, 20), 0.6791, 1.0),
        ((10, 10, 0, 10), 0.6075, 1.0),
    ],
)
def test_differences_are_those_of_newcombe_s_table(
    counts: tuple[int, int, int, int], low: float, high: float
) -> None:
    found = difference(wilson(*counts[:2]), wilson(*counts[2:]))

    assert (found.low, found.high) == pytest.approx((low, high), abs=5e-5)


def test_a_ratio_is_that_of_koopman_s_example() -> None:
    found = ratio_of_shares(36, 40, 16, 80)

    assert found == pytest.approx(Estimate(4.5, 2.94, 7.15, 120), abs=5e-3)


def test_with_many_rows_a_ratio_is_that_of_scipy() -> None:
    usual = relative_risk(30_000, 100_000, 42_000, 100_000)

    found = ratio_of_shares(30_000, 100_000, 42_000, 100_000)

    assert found.value == pytest.approx(usual.relative_risk, abs=1e-9)
    assert (found.low, found.high) == pytest.approx(usual.confidence_interval(0.95), rel=1e-4)


@given(shares, shares)
def test_a_difference_turned_round_has_the_other_sign(
    one: tuple[int, int], other: tuple[int, int]
) -> None:
    there, back = difference(wilson(*one), wilson(*other)), difference(wilson(*other), wilson(*one))

    assert -1 - 1e-12 <= there.low <= there.value <= there.high <= 1 + 1e-12
    assert (back.low, back.value, back.high) == (-there.high, -there.value, -there.low)


@given(shares, shares)
def test_a_ratio_turned_round_is_its_inverse(one: tuple[int, int], other: tuple[int, int]) -> None:
    if one[0] == other[0] == 0:
        return
    there, back = ratio_of_shares(*one, *other), ratio_of_shares(*other, *one)

    assert 0 <= there.low <= there.value <= there.high
    for end, turned in ((there.low, back.high), (there.value, back.value)):
        assert turned == (inf if end == 0 else pytest.approx(1 / end, rel=1e-9))


@given(shares, shares)
def test_a_ratio_reaches_1_where_the_difference_reaches_0_or_nearly(
    one: tuple[int, int], other: tuple[int, int]
) -> None:
    """The two methods differ by little: both never say that the same side is larger, for sure."""
    if one[0] == other[0] == 0:
        return
    ratio, gap = ratio_of_shares(*one, *other), difference(wilson(*one), wilson(*other))

    assert not (ratio.low > 1 and gap.high < 0)
    assert not (ratio.high < 1 and gap.low > 0)


@pytest.mark.parametrize("share", [0.05, 0.3, 0.9])
@pytest.mark.parametrize("ratio", [0.8, 1.0])
def test_the_interval_of_a_small_group_holds_the_truth_as_often_as_it_says(
    share: float, ratio: float
) -> None:
    """Exactly, over everything that 15 and 60 rows can show; a log interval has no end at 0."""
    n, other_n, covered, possible = 15, 60, 0.0, 0.0
    for x in range(n + 1):
        for y in range(other_n + 1):
            weight = binom.pmf(x, n, share * ratio) * binom.pmf(y, other_n, share)
            if weight < 1e-9 or x == y == 0:
                continue
            found = ratio_of_shares(x, n, y, other_n)
            covered += weight * (found.low <= ratio <= found.high)
            possible += weight

    assert 0.93 < covered / possible <= 1


def test_no_row_that_counts_leaves_one_end_open() -> None:
    nobody, everybody = ratio_of_shares(0, 12, 30, 40), ratio_of_shares(30, 40, 0, 12)

    assert (nobody.value, nobody.low) == (0.0, 0.0)
    assert 0 < nobody.high < 0.5
    assert (everybody.value, everybody.high) == (inf, inf)
    assert everybody.low == pytest.approx(1 / nobody.high)


def test_a_wider_interval_is_surer() -> None:
    usual, surer = ratio_of_shares(5, 10, 30, 40), ratio_of_shares(5, 10, 30, 40, confidence=0.99)

    assert surer.low < usual.low
    assert usual.high < surer.high


def test_what_defines_no_ratio_is_said() -> None:
    message = "a ratio of 0 of 3 rows to 0 of 5 rows is undefined; wait for more rows"
    with pytest.raises(UndefinedMeasure, match=exactly(message)):
        ratio_of_shares(0, 3, 0, 5)
    with pytest.raises(UndefinedMeasure, match="a share of no rows is undefined"):
        ratio_of_shares(0, 0, 1, 5)
    with pytest.raises(ValueError, match="expected 0 to 5 successes among 5 rows, got 6"):
        ratio_of_shares(1, 3, 6, 5)
    message = "a value lies within its interval, got 0.5 (0.6 to 0.7)"
    with pytest.raises(ValueError, match=exactly(message)):
        difference(Estimate(0.5, 0.6, 0.7, 9), wilson(1, 3))
