from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from scipy import stats

from cd4ml.measures.catalog import MEASURES
from cd4ml.measures.estimate import UndefinedMeasure
from cd4ml.measures.weakest import Coded, find_weakest, p_worse


def columns(n: int, n_columns: int = 6, seed: int = 0) -> dict[str, Coded]:
    """Columns of four values each, independent of each other."""
    chance = np.random.default_rng(seed)
    return {
        f"c{i}": Coded([f"c{i}={v}" for v in range(4)], chance.integers(0, 4, n))
        for i in range(n_columns)
    }


def calibrated(n: int, seed: int = 1) -> tuple[np.ndarray, np.ndarray]:
    chance = np.random.default_rng(seed)
    said = chance.beta(2, 4, n)
    return (chance.random(n) < said).astype(float), said


@pytest.mark.parametrize("metric", ["auc", "accuracy", "log_loss"])
def test_a_combination_that_was_spoilt_is_found(metric: str) -> None:
    of = columns(6000)
    truth, said = calibrated(6000)
    spoilt = (of["c1"].codes == 2) & (of["c4"].codes == 0)
    said = np.where(spoilt, 1 - said, said)

    found = find_weakest(MEASURES[metric], truth, said, of)

    assert found.weakest[0].name == "c1=2 & c4=0"
    assert np.array_equal(found.weakest[0].rows, np.flatnonzero(spoilt))
    assert found.n_searched == 6 * 4 + 15 * 16
    assert found.level == pytest.approx(MEASURES[metric].function(truth, said).value)


def test_a_whole_value_is_told_once_and_not_again_in_its_combinations() -> None:
    of = columns(6000)
    amounts = np.random.default_rng(3).normal(50, 10, 6000)
    off = np.where(of["c2"].codes == 1, 9.0, 3.0)
    answers = amounts + np.random.default_rng(4).normal(0, off)

    found = find_weakest(MEASURES["mae"], amounts, answers, of, most=10)

    assert "c2=1" in [weak.name for weak in found.weakest]
    for i, weak in enumerate(found.weakest):
        for other in found.weakest[:i]:
            shared = np.intersect1d(weak.rows, other.rows).size
            assert shared < 0.5 * np.union1d(weak.rows, other.rows).size


def test_where_nothing_is_weak_next_to_nothing_is_found() -> None:
    n_found = 0
    for seed in range(12):
        truth, said = calibrated(3000, seed=seed)
        n_found += bool(
            find_weakest(MEASURES["auc"], truth, said, columns(3000, seed=seed)).weakest
        )

    assert n_found <= 3  # 264 slices each time: without a correction each search would find some


def test_small_slices_are_not_looked_at() -> None:
    truth, said = calibrated(500)

    found = find_weakest(MEASURES["auc"], truth, said, columns(500), min_rows=100)

    assert found.n_searched <= 6 * 4
    assert find_weakest(MEASURES["auc"], truth, said, columns(500), min_rows=501).n_searched == 0


def test_without_columns_nothing_is_found() -> None:
    assert find_weakest(MEASURES["auc"], *calibrated(200), {}).weakest == []


def test_rows_of_one_class_have_no_weakest_slice() -> None:
    with pytest.raises(UndefinedMeasure):
        find_weakest(MEASURES["auc"], np.ones(200), np.ones(200), columns(200))


@given(st.integers(0, 60), st.floats(0.05, 0.95))
def test_the_p_value_of_a_share_is_that_of_the_exact_binomial_test(
    n_right: int, limit: float
) -> None:
    positive, answers = np.ones(60), np.where(np.arange(60) < n_right, 0.9, 0.1)

    right = p_worse(MEASURES["accuracy"], positive, answers, limit)
    alarms = p_worse(MEASURES["false_positive_rate"], 1 - positive, answers, limit)

    fewer = stats.binomtest(n_right, 60, limit, alternative="less").pvalue
    more = stats.binomtest(n_right, 60, limit, alternative="greater").pvalue
    assert right == pytest.approx(fewer if n_right / 60 < limit else 1.0, abs=1e-9)
    assert alarms == pytest.approx(more if n_right / 60 > limit else 1.0, abs=1e-9)


def test_the_p_value_of_f1_is_that_of_its_hits_among_hits_alarms_and_misses() -> None:
    truth, said = calibrated(300)
    hits = int(((truth == 1) & (said >= 0.5)).sum())
    n = int(((truth == 1) | (said >= 0.5)).sum())

    found = p_worse(MEASURES["f1"], truth, said, 0.6)

    assert found == pytest.approx(
        stats.binomtest(hits, n, 0.6 / 1.4, alternative="less").pvalue, abs=1e-9
    )


def test_a_few_mistakes_in_small_slices_are_chance() -> None:
    n_found = 0
    for seed in range(20):
        right = np.random.default_rng(seed).random(2000) < 0.98
        found = find_weakest(
            MEASURES["accuracy"], np.ones(2000), right.astype(float), columns(2000, seed=seed),
            min_rows=10,
        )  # fmt: skip
        n_found += bool(found.weakest)

    assert n_found <= 3


def test_p_values_that_do_not_matter_are_given_as_1() -> None:
    truth, said = calibrated(400)
    level = MEASURES["auc"].function(truth, said).value

    exact = p_worse(MEASURES["auc"], truth, said, level + 0.05)

    assert p_worse(MEASURES["auc"], truth, said, level + 0.05, at_most=exact / 2) == 1.0
    assert p_worse(MEASURES["auc"], truth, said, level + 0.05, at_most=2 * exact) == exact


def test_the_p_value_of_a_mean_is_that_of_the_t_test() -> None:
    errors = np.random.default_rng(0).gamma(2, 2, 80)

    found = p_worse(MEASURES["mae"], np.zeros(80), errors, 3.5)

    oracle = stats.ttest_1samp(errors, 3.5, alternative="greater")
    assert found == pytest.approx(oracle.pvalue, abs=1e-9)
