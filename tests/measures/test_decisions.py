from __future__ import annotations

from collections.abc import Callable

import numpy as np
import pytest
from hypothesis import assume, given
from hypothesis import strategies as st
from sklearn import metrics

from cd4ml.measures.classification import false_positive_rate, precision, recall
from cd4ml.measures.decisions import (
    f1,
    f1_difference,
    false_positive_rate_difference,
    precision_difference,
    recall_difference,
)
from cd4ml.measures.estimate import Estimate, UndefinedMeasure
from tests.measures.messages import exactly

rng = np.random.default_rng(4)
SAID = rng.beta(2, 3, 500)
LABELS = rng.random(500) < SAID
OTHER = np.clip(SAID + rng.normal(0, 0.3, 500), 0, 1)

DIFFERENCES: dict[Callable[..., Estimate], Callable[..., Estimate]] = {
    recall_difference: recall,
    false_positive_rate_difference: false_positive_rate,
    f1_difference: f1,
    precision_difference: precision,
}
rows_of_two = st.lists(
    st.tuples(st.booleans(), st.floats(0, 1), st.floats(0, 1)), min_size=4, max_size=60
)


def test_f1_is_scikit_learns() -> None:
    assert f1(LABELS, SAID).value == pytest.approx(metrics.f1_score(LABELS, SAID >= 0.5), abs=1e-9)
    assert f1(LABELS, SAID, threshold=0.3).value == pytest.approx(
        metrics.f1_score(LABELS, SAID >= 0.3), abs=1e-9
    )


@pytest.mark.parametrize("difference", DIFFERENCES, ids=lambda each: each.__name__)
def test_a_difference_is_that_of_the_values(difference: Callable[..., Estimate]) -> None:
    measure = DIFFERENCES[difference]

    found = difference(LABELS, SAID, OTHER)

    assert found.value == pytest.approx(
        measure(LABELS, SAID).value - measure(LABELS, OTHER).value, abs=1e-12
    )
    assert found.low < found.value < found.high


@given(rows_of_two)
def test_differences_turn_their_sign_and_stay_within_one(
    rows: list[tuple[bool, float, float]],
) -> None:
    labels, a, b = (np.array(column) for column in zip(*rows, strict=True))
    for difference in DIFFERENCES:
        try:
            there, back = difference(labels, a, b), difference(labels, b, a)
        except UndefinedMeasure:
            continue
        assert there.value == pytest.approx(-back.value)
        assert -1 <= there.low <= there.value <= there.high <= 1


@given(rows_of_two)
def test_the_interval_of_f1_holds_its_value(rows: list[tuple[bool, float, float]]) -> None:
    labels, said, _ = (np.array(column) for column in zip(*rows, strict=True))
    assume(labels.any())

    found = f1(labels, said)

    assert 0 <= found.low <= found.value <= found.high <= 1


def test_models_that_never_differed_are_not_surely_equal() -> None:
    few, many = (
        precision_difference([0, 1] * 10, [0.9] * 20, [0.9] * 20),
        f1_difference(LABELS, SAID, SAID),
    )

    assert few.low < -0.05 < 0.05 < few.high
    assert few.high > many.high > 0


@pytest.mark.parametrize(
    ("difference", "labels", "score", "message"),
    [
        (recall_difference, [0, 0], 0.9, "there are no positive rows among 2; widen the window"),
        (
            false_positive_rate_difference,
            [1, 1],
            0.9,
            "there are no negative rows among 2; widen the window",
        ),
        (precision_difference, [0, 1], 0.1, "there are no positive answers among 2 rows"),
        (f1_difference, [0, 0], 0.1, "there are no positive rows or answers among 2 rows"),
    ],
)
def test_rows_that_do_not_define_it_are_refused(
    difference: Callable[..., Estimate], labels: list[int], score: float, message: str
) -> None:
    with pytest.raises(UndefinedMeasure, match=exactly(message)):
        difference(labels, [score, score], [score, score])


def test_f1_of_nothing_is_undefined() -> None:
    message = "f1 needs positive rows or answers, got none among 2; widen the window"
    with pytest.raises(UndefinedMeasure, match=exactly(message)):
        f1([0, 0], [0.1, 0.1])
