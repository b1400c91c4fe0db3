from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from numpy.typing import NDArray
from sklearn.metrics import roc_auc_score

from cd4ml.measures.estimate import UndefinedMeasure, two_sided_z
from cd4ml.measures.ranking import auc, auc_difference

both_classes = st.lists(
    st.tuples(st.booleans(), st.integers(-5, 5), st.integers(-5, 5)), min_size=4, max_size=60
).filter(lambda rows: 2 <= sum(row[0] for row in rows) <= len(rows) - 2)

Rows = list[tuple[bool, int, int]]


def columns(rows: Rows) -> tuple[NDArray[np.bool_], NDArray[np.float64], NDArray[np.float64]]:
    labels, a, b = zip(*rows, strict=True)
    return np.array(labels), np.array(a, dtype=float), np.array(b, dtype=float)


def rows_of(n: int, *, seed: int, gap: float = 0.8) -> Rows:
    """Two scores with ties that see the same noise, so that they are correlated."""
    rng = np.random.default_rng(seed)
    labels = rng.random(n) < 0.3
    shared = rng.normal(size=n) + gap * labels
    a, b = (np.round(shared + rng.normal(0, 0.5, n), 1) for _ in range(2))
    return list(zip(labels.tolist(), a.tolist(), b.tolist(), strict=True))


def all_pairs(labels: NDArray[np.bool_], score: NDArray[np.float64]) -> NDArray[np.float64]:
    """DeLong's kernel over all pairs: 1 ordered well, 1/2 tied; shape (positives, negatives)."""
    gap = score[labels][:, None] - score[~labels][None, :]
    return (gap > 0) + 0.5 * (gap == 0)


def slow_half_width(pairs: NDArray[np.float64]) -> float:
    """DeLong, DeLong and Clarke-Pearson as printed: structural components by averaging pairs."""
    by_positive, by_negative = pairs.mean(axis=1), pairs.mean(axis=0)
    variance = by_positive.var(ddof=1) / by_positive.size
    variance += by_negative.var(ddof=1) / by_negative.size
    return two_sided_z(0.95) * float(np.sqrt(variance))


@given(both_classes)
def test_auc_is_scikit_learns_and_its_interval_delongs_over_all_pairs(rows: Rows) -> None:
    labels, score, _ = columns(rows)
    half = slow_half_width(all_pairs(labels, score))

    area = auc(labels, score)

    assert area.value == pytest.approx(roc_auc_score(labels, score))
    if 0 < area.value < 1:
        assert area.low == pytest.approx(max(0, area.value - half))
        assert area.high == pytest.approx(min(1, area.value + half))


@given(both_classes)
def test_a_difference_of_aucs_has_delongs_paired_interval(rows: Rows) -> None:
    labels, a, b = columns(rows)
    pairs = all_pairs(labels, a) - all_pairs(labels, b)
    half = slow_half_width(pairs)

    difference = auc_difference(labels, a, b)

    assert difference.value == pytest.approx(auc(labels, a).value - auc(labels, b).value)
    if 0 < auc(labels, a).value < 1:
        assert difference.low == pytest.approx(max(-1, difference.value - half))
        assert difference.high == pytest.approx(min(1, difference.value + half))


@given(both_classes)
def test_only_the_order_of_scores_counts(rows: Rows) -> None:
    labels, score, _ = columns(rows)

    assert auc(labels, np.exp(score)) == pytest.approx(auc(labels, score))
    assert auc(labels, -score).value == pytest.approx(1 - auc(labels, score).value)
    assert auc(~labels, -score).value == pytest.approx(auc(labels, score).value)


@given(both_classes)
def test_an_interval_holds_its_value_within_bounds(rows: Rows) -> None:
    labels, a, b = columns(rows)
    area, there, back = auc(labels, a), auc_difference(labels, a, b), auc_difference(labels, b, a)

    assert 0 <= area.low <= area.value <= area.high <= 1
    assert -1 <= there.low <= there.value <= there.high <= 1
    assert there.low == pytest.approx(-back.high)


def test_large_samples_take_no_pairs() -> None:
    labels, a, b = columns(rows_of(300_000, seed=4))

    area, difference = auc(labels, a), auc_difference(labels, a, b)

    assert area.high - area.low < 0.01
    assert area.n == difference.n == 300_000


def test_delongs_intervals_cover_the_truth() -> None:
    truth = auc(*columns(rows_of(400_000, seed=0))[:2]).value
    held_area, held_difference = [], []
    for seed in range(400):
        labels, a, b = columns(rows_of(200, seed=seed + 1))
        area, difference = auc(labels, a), auc_difference(labels, a, b)
        held_area.append(area.low <= truth <= area.high)
        held_difference.append(difference.low <= 0 <= difference.high)

    assert np.mean(held_area) == pytest.approx(0.95, abs=0.035)
    assert np.mean(held_difference) == pytest.approx(0.95, abs=0.035)


def test_a_perfect_order_of_few_rows_is_not_taken_for_certain() -> None:
    few, many = auc([0, 0, 1, 1], [1, 2, 3, 4]), auc([0] * 99 + [1] * 99, range(198))

    assert (few.value, few.high) == (1.0, 1.0)
    assert few.low < 0.35
    assert 0.96 < many.low < 1.0
    assert auc([0, 0, 1, 1], [4, 3, 2, 1]).high > 0.65
    assert auc_difference([0, 0, 1, 1], [1, 2, 3, 4], [1, 2, 3, 5]).low < -0.65


def test_the_same_order_differs_by_nothing() -> None:
    assert auc_difference([0, 1, 0, 1], [1, 2, 3, 4], [10, 20, 30, 40]) == (0, 0, 0, 4)


def test_one_row_of_a_class_has_no_spread_to_see() -> None:
    assert auc([0, 0, 1], [1, 3, 2]) == (0.5, 0, 1, 3)
    assert auc_difference([0, 0, 1], [1, 3, 2], [1, 2, 3]) == (-0.5, -1, 1, 3)


def test_one_class_alone_is_refused() -> None:
    with pytest.raises(UndefinedMeasure) as refusal:
        auc([1, 1, 1], [0.1, 0.2, 0.3])

    assert str(refusal.value) == (
        "auc compares positive with negative rows, got 3 positive and 0 negative; widen the window"
    )
