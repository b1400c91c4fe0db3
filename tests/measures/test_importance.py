"""Importance of parameters: known functions, and what cannot be told."""

import numpy as np
import pytest

from cd4ml.measures.estimate import UndefinedMeasure
from cd4ml.measures.importance import importance


def tried(n: int, d: int, seed: int = 0) -> np.ndarray:
    return np.random.default_rng(seed).uniform(size=(n, d))


def test_of_a_sum_each_part_has_the_share_of_its_variance() -> None:
    """Var(3x) : Var(x) = 9 : 1, and what does not enter has none."""
    places = tried(400, 3)

    found = importance(places, 3 * places[:, 0] + places[:, 1])

    assert found.shares == pytest.approx([0.9, 0.1, 0.0], abs=0.04)
    assert found.together == pytest.approx(0.0, abs=0.04)
    assert found.explained > 0.95


def test_of_a_product_of_centred_parts_nothing_is_due_to_one_alone() -> None:
    places = tried(2000, 2)

    found = importance(places, (places[:, 0] - 0.5) * (places[:, 1] - 0.5))

    assert found.together > 0.8
    assert max(found.shares) < 0.1


def test_what_a_sampler_tried_most_does_not_count_more() -> None:
    """TPE crowds around its best: the space counts, not how often a place was tried."""
    places = np.vstack([tried(300, 2), 0.9 + 0.05 * tried(600, 2, seed=1)])

    found = importance(places, 3 * places[:, 0] + places[:, 1])

    assert found.shares == pytest.approx([0.9, 0.1], abs=0.06)


def test_the_order_of_parameters_and_the_scale_of_the_metric_change_nothing() -> None:
    places = tried(200, 2)
    metric = places[:, 0] ** 2 + 0.2 * places[:, 1]

    found = importance(places, metric)
    turned = importance(places[:, ::-1], 100 * metric - 7)

    assert turned.shares[::-1] == pytest.approx(found.shares, abs=0.03)


def test_shares_are_shares() -> None:
    for seed in range(5):
        chance = np.random.default_rng(seed)
        found = importance(tried(20, 4, seed), chance.normal(size=20), seed=seed)

        assert (found.shares >= 0).all()
        assert float(found.shares.sum()) + found.together == pytest.approx(1.0)
        assert found.explained < 0.5  # and it says itself that it has learned nothing


def test_the_same_seed_says_the_same() -> None:
    places = tried(50, 2)

    first, second = (importance(places, places[:, 0], seed=3) for _ in range(2))

    assert (first.shares == second.shares).all()


@pytest.mark.parametrize(
    ("places", "values", "kind", "message"),
    [
        (tried(9, 2), np.arange(9), UndefinedMeasure,
         "importance needs 10 trials at least, got 9"),
        (tried(10, 2), np.ones(10), UndefinedMeasure,
         "all trials have the same value; no parameter can be told apart"),
        (tried(10, 2), np.arange(11), ValueError,
         r"each trial needs its places and a value, got shapes \(10, 2\), \(11,\)"),
        (2 * tried(10, 2), np.arange(10), ValueError,
         "a place is within 0..1; scale the parameters by their space"),
    ],
)  # fmt: skip
def test_what_cannot_be_told(
    places: np.ndarray, values: np.ndarray, kind: type[Exception], message: str
) -> None:
    with pytest.raises(kind, match=message):
        importance(places, values)
