from __future__ import annotations

from math import inf

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from scipy import stats

from cd4ml.measures.estimate import (
    UndefinedMeasure,
    finite_rows,
    mean,
    paired_mean_difference,
    two_sided_z,
    wilson,
)
from tests.measures.messages import exactly

losses = st.lists(st.floats(-1e6, 1e6), min_size=2, max_size=50)


@pytest.mark.parametrize(("successes", "n"), [(0, 10), (1, 3), (8, 10), (500, 1000), (7, 7)])
@pytest.mark.parametrize("confidence", [0.8, 0.95, 0.999])
def test_a_wilson_interval_is_scipys(successes: int, n: int, confidence: float) -> None:
    oracle = stats.binomtest(successes, n).proportion_ci(confidence, method="wilson")

    share = wilson(successes, n, confidence=confidence)

    assert share == pytest.approx((successes / n, oracle.low, oracle.high, n))


@given(st.integers(1, 10_000), st.data())
def test_a_wilson_interval_holds_its_share_and_stays_within_0_and_1(
    n: int, data: st.DataObject
) -> None:
    successes = data.draw(st.integers(0, n))

    share, mirrored = wilson(successes, n), wilson(n - successes, n)

    assert 0.0 <= share.low <= share.value <= share.high <= 1.0
    assert share.low < share.high
    assert share.low == pytest.approx(1 - mirrored.high)


def test_the_mean_interval_is_the_normal_one() -> None:
    rows = np.random.default_rng(5).gamma(2.0, size=300)
    low, high = stats.norm.interval(0.9, rows.mean(), stats.sem(rows))

    assert mean(rows, confidence=0.9) == pytest.approx((rows.mean(), low, high, 300))


@given(losses, st.floats(-100, 100), st.floats(0.1, 10))
def test_a_mean_follows_shift_and_scale(rows: list[float], shift: float, scale: float) -> None:
    plain, moved = mean(rows), mean(np.array(rows) * scale + shift)

    close = pytest.approx([part * scale + shift for part in plain[:3]], rel=1e-6, abs=1e-6)
    assert list(moved[:3]) == close


@given(losses, st.randoms())
def test_a_paired_difference_changes_its_sign_with_the_order(
    rows: list[float], rng: object
) -> None:
    a, b = np.array(rows), np.array(rows[::-1]) * 0.5

    there, back = paired_mean_difference(a, b), paired_mean_difference(b, a)

    assert there.value == pytest.approx(-back.value)
    assert there.low == pytest.approx(-back.high)


def test_pairs_are_narrower_than_two_means() -> None:
    rng = np.random.default_rng(1)
    hard = rng.normal(size=400)
    a, b = hard + rng.normal(0.1, 0.1, 400), hard

    difference = paired_mean_difference(a, b)

    assert difference.low > 0
    assert mean(a).low < mean(b).high


def test_one_row_has_a_mean_and_no_idea_of_its_error() -> None:
    assert mean([3.0]) == (3.0, -inf, inf, 1)


def test_95_percent_intervals_hold_the_truth_in_95_percent_of_samples() -> None:
    rng = np.random.default_rng(11)
    counts = rng.binomial(100, 0.2, 4000)

    held = [wilson(int(k), 100).low <= 0.2 <= wilson(int(k), 100).high for k in counts]

    assert np.mean(held) == pytest.approx(0.95, abs=0.015)


@pytest.mark.parametrize(
    ("rows", "message"),
    [
        ([[1.0]], "expected one value a row, got shape (1, 1)"),
        (
            [1.0, np.nan],
            "expected finite numbers, got nan in row 1; leave such rows out knowingly",
        ),
        ([np.inf], "expected finite numbers, got inf in row 0; leave such rows out knowingly"),
    ],
)
def test_rows_that_are_no_numbers_are_refused(rows: list[float], message: str) -> None:
    with pytest.raises(ValueError, match=exactly(message)):
        finite_rows(rows)


def test_no_rows_define_no_measure() -> None:
    with pytest.raises(UndefinedMeasure) as empty:
        mean([])
    with pytest.raises(UndefinedMeasure) as nothing:
        wilson(0, 0)

    assert str(empty.value) == ("there are no rows to measure; widen the window or skip the check")
    assert str(nothing.value) == (
        "a share of no rows is undefined; widen the window or skip the check"
    )


def test_impossible_arguments_are_refused() -> None:
    with pytest.raises(
        ValueError, match=exactly("expected 0 to 10 successes among 10 rows, got 11")
    ):
        wilson(11, 10)
    with pytest.raises(
        ValueError, match=exactly("a confidence is between 0 and 1, for example 0.95, got 95")
    ):
        two_sided_z(95)
    with pytest.raises(
        ValueError, match=exactly("a pair needs both values in each row, got 2 and 1 rows")
    ):
        paired_mean_difference([1.0, 2.0], [1.0])
