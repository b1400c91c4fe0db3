"""Pairs of models on the same rows, and the best of many."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from cd4ml.measures.estimate import UndefinedMeasure, paired_mean_difference
from cd4ml.measures.paired import best_of_many, mcnemar, paired_bootstrap

flags = st.lists(st.tuples(st.integers(0, 1), st.integers(0, 1)), min_size=1, max_size=60)


def mean_of(_: np.ndarray, score: np.ndarray) -> float:
    return float(score.mean())


def test_mcnemar_of_the_published_table() -> None:
    """Agresti, Categorical data analysis (2013), table 11.1: 150 and 86 changed their mind."""
    a = [1] * 150 + [0] * 86 + [1] * 794 + [0] * 570
    b = [0] * 150 + [1] * 86 + [1] * 794 + [0] * 570

    found = mcnemar(a, b)

    assert (found.only_a, found.only_b) == (150, 86)
    assert found.p_value == pytest.approx(3.7e-5, rel=0.05)


@given(flags)
def test_mcnemar_is_symmetric_and_a_probability(rows: list[tuple[int, int]]) -> None:
    a, b = zip(*rows, strict=True)

    there, back = mcnemar(a, b), mcnemar(b, a)

    assert there.p_value == pytest.approx(back.p_value)
    assert (there.only_a, there.only_b) == (back.only_b, back.only_a)
    assert 0 <= there.p_value <= 1
    assert mcnemar(a, a).p_value == 1.0


def test_by_chance_mcnemar_is_small_as_seldom_as_it_says() -> None:
    chance = np.random.default_rng(0)
    pairs = chance.integers(0, 2, (400, 2, 200))

    small = np.mean([mcnemar(a, b).p_value < 0.05 for a, b in pairs])

    assert small <= 0.07


def test_the_bootstrap_of_a_mean_is_near_the_paired_interval() -> None:
    chance = np.random.default_rng(1)
    a, b = chance.normal(0.3, 1, 300), chance.normal(0, 1, 300)

    found = paired_bootstrap(np.zeros(300), a, b, mean_of)
    normal = paired_mean_difference(a, b)

    assert found.value == pytest.approx(normal.value)
    assert (found.low, found.high) == pytest.approx((normal.low, normal.high), abs=0.03)
    assert found == paired_bootstrap(np.zeros(300), a, b, mean_of)


@settings(max_examples=20, deadline=None)
@given(st.lists(st.floats(-100, 100), min_size=1, max_size=20))
def test_a_model_does_not_differ_from_itself(rows: list[float]) -> None:
    found = paired_bootstrap(rows, rows, rows, mean_of)

    assert (found.value, found.low, found.high) == (0.0, 0.0, 0.0)


def test_the_best_of_equals_is_no_better_than_they_are() -> None:
    chance = np.random.default_rng(2)
    seen, corrected = [], []
    for _ in range(30):
        rows = chance.normal(0.0, 1.0, (40, 60))
        found = best_of_many(rows)
        assert found.seen == rows.mean(axis=1).max()
        seen.append(found.seen)
        corrected.append(found.corrected.value)

    assert np.mean(seen) > 0.25  # looks better than all of them are
    assert np.mean(corrected) == pytest.approx(0.0, abs=0.06)


def test_of_one_that_is_far_better_nothing_is_taken() -> None:
    chance = np.random.default_rng(3)
    rows = chance.normal(0.0, 0.1, (20, 200))
    rows[7] += 1.0

    found = best_of_many(rows)

    assert found.best == 7
    assert found.corrected.value == pytest.approx(found.seen, abs=0.01)
    assert found.corrected.low < found.seen < found.corrected.high


@pytest.mark.parametrize(
    ("rows", "kind", "message"),
    [
        ([[1.0]], UndefinedMeasure, "expected a trial and two rows at least, got 1 and 1"),
        ([1.0, 2.0], ValueError, r"expected one value a trial and row, got shape \(2,\)"),
        ([[1.0, np.nan]], ValueError, "expected finite numbers"),
    ],
)
def test_what_has_no_best(rows: list[object], kind: type[Exception], message: str) -> None:
    with pytest.raises(kind, match=message):
        best_of_many(rows)


def test_pairs_are_pairs() -> None:
    with pytest.raises(ValueError, match="a pair needs both values in each row, got 2 and 1 rows"):
        mcnemar([1, 0], [1])
    with pytest.raises(ValueError, match="an answer is right"):
        mcnemar([0.5], [1])
