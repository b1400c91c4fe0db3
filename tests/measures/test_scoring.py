from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from sklearn import metrics

from cd4ml.measures.scoring import (
    brier,
    brier_difference,
    labelled_probabilities,
    log_loss,
    log_loss_difference,
    log_losses,
    squared_errors,
)
from tests.measures.messages import exactly

rng = np.random.default_rng(3)
SAID = rng.beta(2, 5, 400)
LABELS = rng.random(400) < SAID

forecasts = st.lists(st.tuples(st.booleans(), st.floats(0, 1)), min_size=2, max_size=50)


def test_scores_are_scikit_learns() -> None:
    assert brier(LABELS, SAID).value == pytest.approx(metrics.brier_score_loss(LABELS, SAID))
    assert log_loss(LABELS, SAID).value == pytest.approx(metrics.log_loss(LABELS, SAID))


def test_a_certain_mistake_costs_as_much_as_scikit_learn_says() -> None:
    labels, said = [0, 1, 1], [0.0, 1.0, 0.0]

    assert log_loss(labels, said).value == pytest.approx(metrics.log_loss(labels, said))


@given(forecasts)
def test_losses_are_bounded_and_best_for_the_truth(rows: list[tuple[bool, float]]) -> None:
    labels, said = (np.array(column) for column in zip(*rows, strict=True))

    assert 0 <= brier(labels, said).value <= 1
    assert 0 <= log_loss(labels, said).value < 36.05
    assert brier(labels, labels).value == 0
    assert log_loss(labels, labels).value == pytest.approx(0)


@given(forecasts)
def test_swapping_the_classes_changes_nothing(rows: list[tuple[bool, float]]) -> None:
    labels, said = (np.array(column) for column in zip(*rows, strict=True))

    assert brier(~labels, 1 - said).value == pytest.approx(brier(labels, said).value)
    # 1 - said keeps few digits of a tiny probability: floats near 1 lie 1e-16 apart
    turned = log_loss(~labels, 1 - said).value
    assert turned == pytest.approx(log_loss(labels, said).value, rel=0.02)


@given(forecasts)
def test_differences_are_differences_of_the_scores(rows: list[tuple[bool, float]]) -> None:
    labels, said = (np.array(column) for column in zip(*rows, strict=True))
    other = np.full(len(rows), 0.5)

    by_brier = brier_difference(labels, said, other)
    by_log_loss = log_loss_difference(labels, said, other)

    assert by_brier.value == pytest.approx(brier(labels, said).value - 0.25)
    assert by_log_loss.value == pytest.approx(log_loss(labels, said).value - np.log(2))
    assert by_brier.low <= by_brier.value <= by_brier.high


def test_the_honest_forecast_beats_a_bent_one_for_sure() -> None:
    bent = np.clip(SAID * 1.8, 0, 1)

    assert brier_difference(LABELS, SAID, bent).high < 0
    assert log_loss_difference(LABELS, SAID, bent).high < 0


def test_rows_average_to_the_score() -> None:
    assert squared_errors(LABELS, SAID).mean() == pytest.approx(brier(LABELS, SAID).value)
    assert log_losses(LABELS, SAID).mean() == pytest.approx(log_loss(LABELS, SAID).value)


def test_a_score_that_is_no_probability_is_refused() -> None:
    with pytest.raises(
        ValueError,
        match=exactly(
            "a probability is between 0 and 1, got -0.1 in row 1; calibrate the score before"
        ),
    ):
        labelled_probabilities([0, 1], [0.5, -0.1])
