from __future__ import annotations

from collections.abc import Callable

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from sklearn import metrics

from cd4ml.measures.classification import (
    accuracy,
    accuracy_difference,
    correct_answers,
    false_positive_rate,
    labelled_scores,
    precision,
    recall,
    selection_rate,
    trivial_score,
)
from cd4ml.measures.estimate import Estimate, UndefinedMeasure
from tests.measures.messages import exactly

rng = np.random.default_rng(2)
LABELS = (rng.random(500) < 0.3).astype(int)
SCORES = np.clip(rng.normal(0.35 + 0.2 * LABELS, 0.2), 0, 1)

labelled = st.lists(st.tuples(st.booleans(), st.floats(0, 1)), min_size=1, max_size=60)


@pytest.mark.parametrize("threshold", [0.3, 0.5, 0.7])
def test_shares_at_a_threshold_are_scikit_learns(threshold: float) -> None:
    said = threshold <= SCORES

    assert accuracy(LABELS, SCORES, threshold=threshold).value == pytest.approx(
        metrics.accuracy_score(LABELS, said)
    )
    assert recall(LABELS, SCORES, threshold=threshold).value == pytest.approx(
        metrics.recall_score(LABELS, said)
    )
    assert precision(LABELS, SCORES, threshold=threshold).value == pytest.approx(
        metrics.precision_score(LABELS, said)
    )
    assert false_positive_rate(LABELS, SCORES, threshold=threshold).value == pytest.approx(
        1 - metrics.recall_score(1 - LABELS, ~said)
    )
    assert selection_rate(SCORES, threshold=threshold).value == pytest.approx(said.mean())


def test_each_share_counts_the_rows_it_is_a_share_of() -> None:
    labels, scores = [0, 0, 0, 1, 1], [0.9, 0.1, 0.2, 0.8, 0.3]

    assert accuracy(labels, scores).n == 5
    assert recall(labels, scores).n == 2
    assert precision(labels, scores).n == 2
    assert false_positive_rate(labels, scores).n == 3
    assert selection_rate(scores).n == 5


@given(labelled)
def test_accuracy_is_the_mean_of_correct_answers(rows: list[tuple[bool, float]]) -> None:
    labels, scores = zip(*rows, strict=True)

    share = accuracy(labels, scores)

    assert share.value == pytest.approx(correct_answers(labels, scores).mean())
    assert 0 <= share.low <= share.value <= share.high <= 1


@given(labelled, st.integers(0, 2**32 - 1))
def test_the_order_of_rows_is_of_no_importance(rows: list[tuple[bool, float]], seed: int) -> None:
    order = np.random.default_rng(seed).permutation(len(rows))
    labels, scores = (np.array(column) for column in zip(*rows, strict=True))

    assert accuracy(labels, scores) == accuracy(labels[order], scores[order])


@given(labelled)
def test_an_accuracy_difference_changes_its_sign_with_the_order(
    rows: list[tuple[bool, float]],
) -> None:
    labels, scores = (np.array(column) for column in zip(*rows, strict=True))

    there = accuracy_difference(labels, scores, 1 - scores)
    back = accuracy_difference(labels, 1 - scores, scores)

    assert there.value == pytest.approx(-back.value)
    assert there.low == pytest.approx(-back.high)
    assert -1 <= there.low <= there.value <= there.high <= 1


def test_accuracy_differences_cover_the_truth_and_two_that_never_differed_keep_a_doubt() -> None:
    world = np.random.default_rng(8)
    held = []
    for _ in range(1000):
        labels = np.ones(80)
        a, b = world.random(80) < 0.9, world.random(80) < 0.8
        difference = accuracy_difference(labels, a, b)
        held.append(difference.low <= 0.1 <= difference.high)

    same = accuracy_difference([0, 1, 1], [0.1, 0.9, 0.8], [0.2, 0.7, 0.6])

    assert np.mean(held) == pytest.approx(0.95, abs=0.025)
    assert same.value == 0
    assert same.low == pytest.approx(-same.high)
    assert same.high > 0.3


def test_the_trivial_model_answers_the_base_rate_of_its_training_rows() -> None:
    assert trivial_score(LABELS) == pytest.approx(LABELS.mean())
    assert trivial_score([True, False]) == 0.5


@pytest.mark.parametrize(
    ("measure", "labels", "scores", "message"),
    [
        (
            recall,
            [0, 0],
            [0.1, 0.9],
            "recall needs positive rows, got none among 2; widen the window",
        ),
        (
            false_positive_rate,
            [1, 1],
            [0.1, 0.9],
            "a false positive rate needs negative rows, got none among 2; widen the window",
        ),
        (
            precision,
            [0, 1],
            [0.1, 0.2],
            "precision needs positive answers, got no score of at least 0.5 among 2; "
            "lower the threshold",
        ),
    ],
)
def test_rows_that_cannot_define_a_share_say_so(
    measure: Callable[..., Estimate], labels: list[int], scores: list[float], message: str
) -> None:
    with pytest.raises(UndefinedMeasure) as refusal:
        measure(labels, scores)

    assert str(refusal.value) == message


@pytest.mark.parametrize(
    ("labels", "scores", "message"),
    [
        ([0, 1], [0.5], "each row needs a label and a score, got 2 labels, 1 scores"),
        ([0, 2], [0.5, 0.5], "a label is 0 or 1, got 2 in row 1; encode it before"),
        (
            [0, 1],
            [0.5, np.nan],
            "expected finite numbers, got nan in row 1; leave such rows out knowingly",
        ),
        ([], [], "there are no rows to measure; widen the window or skip the check"),
    ],
)
def test_labels_and_scores_that_do_not_fit_are_refused(
    labels: list[int], scores: list[float], message: str
) -> None:
    with pytest.raises(ValueError, match=exactly(message)):
        labelled_scores(labels, scores)
