"""A column that alone tells the target is seen, whatever its values are."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from numpy.typing import NDArray
from sklearn.metrics import r2_score, roc_auc_score

from cd4ml.measures.alone import UNKNOWN, predicts_alone
from cd4ml.measures.estimate import UndefinedMeasure

rng = np.random.default_rng(0)
CODES = rng.integers(0, 6, 400)
ASKED = rng.integers(0, 6, 300)
LATE = (rng.random(400) < CODES / 6).astype(float)
ASKED_LATE = (rng.random(300) < ASKED / 6).astype(float)
MINUTES, ASKED_MINUTES = CODES * 10 + rng.normal(size=400), ASKED * 10 + rng.normal(size=300)


def means(target: NDArray[np.float64]) -> NDArray[np.float64]:
    return np.array([target[code == CODES].mean() for code in range(6)])[ASKED]


def test_it_is_the_auc_of_the_means() -> None:
    found = predicts_alone(CODES, LATE, ASKED, ASKED_LATE)

    assert found.value == pytest.approx(roc_auc_score(ASKED_LATE, means(LATE)), abs=1e-12)
    assert found.low < found.value < found.high


def test_of_a_number_it_is_the_variance_that_the_means_explain() -> None:
    found = predicts_alone(CODES, MINUTES, ASKED, ASKED_MINUTES)

    assert found.value == pytest.approx(r2_score(ASKED_MINUTES, means(MINUTES)), abs=1e-12)


def test_a_name_of_each_row_says_nothing() -> None:
    found = predicts_alone(np.arange(400), LATE, np.full(300, UNKNOWN), ASKED_LATE)

    assert found.value == 0.5


def test_what_is_missing_only_in_one_class_gives_it_away() -> None:
    """A cancelled flight has no arrival: the missing value is the target."""
    missing = LATE.astype(int)

    assert predicts_alone(missing, LATE, ASKED_LATE.astype(int), ASKED_LATE).value == 1.0


@pytest.mark.parametrize(
    ("arguments", "error", "message"),
    [
        (([], [], [], []), UndefinedMeasure, "there are no rows to learn from, or none to judge"),
        (([0], [1.0], [0, 1], [1.0]), ValueError, "a code and a target a row are needed"),
        (([0], [np.nan], [0], [1.0]), ValueError, "a target is missing, or no finite number"),
        (
            ([0, 1], [2.0, 5.0], [0, 1], [3.0, 3.0]),
            UndefinedMeasure,
            "all rows have the target 3: nothing to explain",
        ),
    ],
)
def test_what_cannot_be_said_is_said(
    arguments: tuple[object, ...], error: type[Exception], message: str
) -> None:
    with pytest.raises(error) as refused:
        predicts_alone(*arguments)  # type: ignore[arg-type]
    assert str(refused.value) == message


targets = st.lists(st.sampled_from([0.0, 1.0]), min_size=4, max_size=30).filter(
    lambda values: len(set(values)) == 2
)


@given(target=targets, seed=st.integers(0, 99))
@settings(max_examples=60, deadline=None)
def test_other_names_for_the_values_change_nothing(target: list[float], seed: int) -> None:
    chance = np.random.default_rng(seed)
    codes = chance.integers(0, 4, len(target))
    renamed = chance.permutation(4)[codes]

    before = predicts_alone(codes, target, codes, target)
    assert predicts_alone(renamed, target, renamed, target).value == pytest.approx(before.value)
    assert 0.5 <= before.value <= 1.0 + 1e-12  # on the rows that it was learned from
