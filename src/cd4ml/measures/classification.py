"""Two-class measures at a threshold, and the guard that all measures of labelled rows share."""

from __future__ import annotations

from math import sqrt
from typing import NamedTuple

import numpy as np
from numpy.typing import ArrayLike, NDArray

from cd4ml.measures.estimate import (
    Estimate,
    UndefinedMeasure,
    finite_rows,
    two_sided_z,
    wilson,
)


class LabelledScores(NamedTuple):
    """Rows whose outcome is known; a higher score says "positive" more strongly."""

    y_true: NDArray[np.bool_]
    score: NDArray[np.float64]


def labelled_scores(y_true: ArrayLike, score: ArrayLike) -> LabelledScores:
    """Labels and scores of the same rows, refused unless each row has both.

    Args:
        y_true: 0 or 1 (or booleans), shape (rows,).
        score: Finite numbers, shape (rows,).

    Returns:
        Booleans and floats, both of shape (rows,).

    Raises:
        UndefinedMeasure: If there are no rows.
        ValueError: If the shapes differ, a label is not 0 or 1, or a score is not finite.

    Source:
        None: a guard.

    Examples:
        >>> labelled_scores([0, 1], [0.2, 0.9]).y_true
        array([False,  True])
    """
    labels, scores = finite_rows(y_true), finite_rows(score)
    if labels.shape != scores.shape:
        msg = f"each row needs a label and a score, got {labels.size} labels, {scores.size} scores"
        raise ValueError(msg)
    is_label = (labels == 0) | (labels == 1)
    if not is_label.all():
        at = int(np.flatnonzero(~is_label)[0])
        raise ValueError(f"a label is 0 or 1, got {labels[at]:g} in row {at}; encode it before")
    return LabelledScores(labels == 1, scores)


def accuracy(
    y_true: ArrayLike, score: ArrayLike, *, threshold: float = 0.5, confidence: float = 0.95
) -> Estimate:
    """Share of rows answered correctly when a score of at least `threshold` says "positive".

    Args:
        y_true: 0 or 1, shape (rows,).
        score: Finite numbers, shape (rows,).
        threshold: Smallest score that counts as a positive answer.
        confidence: Coverage of the Wilson interval.

    Returns:
        The share in 0..1.

    Raises:
        UndefinedMeasure: If there are no rows.
        ValueError: If labels and scores do not fit (see `labelled_scores`).

    Source:
        Interval as in `wilson`.

    Examples:
        >>> accuracy([0, 0, 1, 1], [0.1, 0.6, 0.7, 0.9])
        Estimate(value=0.75, low=0.301, high=0.954, n=4)
    """
    return _share(correct_answers(y_true, score, threshold=threshold) == 1, confidence)


def accuracy_difference(
    y_true: ArrayLike,
    score_a: ArrayLike,
    score_b: ArrayLike,
    *,
    threshold: float = 0.5,
    confidence: float = 0.95,
) -> Estimate:
    """Accuracy of `score_a` minus that of `score_b` on the same rows, paired.

    Args:
        y_true: 0 or 1, shape (rows,).
        score_a: Scores of one model, shape (rows,).
        score_b: Scores of the other model, shape (rows,).
        threshold: Smallest score that counts as a positive answer, the same for both.
        confidence: Coverage of the interval.

    Returns:
        The difference in -1..1, positive where a is right more often.

    Raises:
        UndefinedMeasure: If there are no rows.
        ValueError: If labels and scores do not fit (see `labelled_scores`).

    Source:
        A. Agresti, Y. Min, "Simple improved confidence intervals for comparing matched
        proportions", Statistics in Medicine 24(5), 2005: half a row is added to each of the
        four cells, so that models which never differed yet are not taken for equal.

    Examples:
        >>> accuracy_difference([0, 1, 1], [0.2, 0.8, 0.9], [0.2, 0.8, 0.1])
        Estimate(value=0.333, low=-0.325, high=0.725, n=3)
    """
    z = two_sided_z(confidence)
    a = correct_answers(y_true, score_a, threshold=threshold)
    b = correct_answers(y_true, score_b, threshold=threshold)
    n, surplus, differing = a.size, float((a - b).sum()), float((a != b).sum())
    centre = surplus / (n + 2)
    half = z * sqrt((differing + 1) - surplus**2 / (n + 2)) / (n + 2)
    value, low, high = surplus / n, max(-1.0, centre - half), min(1.0, centre + half)
    return Estimate(value, min(low, value), max(high, value), n)


def correct_answers(
    y_true: ArrayLike, score: ArrayLike, *, threshold: float = 0.5
) -> NDArray[np.float64]:
    """1 for each row answered correctly, else 0; their mean is the accuracy.

    Args:
        y_true: 0 or 1, shape (rows,).
        score: Finite numbers, shape (rows,).
        threshold: Smallest score that counts as a positive answer.

    Returns:
        0.0 or 1.0 a row, shape (rows,).

    Raises:
        UndefinedMeasure: If there are no rows.
        ValueError: If labels and scores do not fit (see `labelled_scores`).

    Source:
        Definition.

    Examples:
        >>> correct_answers([0, 1], [0.2, 0.1])
        array([1., 0.])
    """
    labels, scores = labelled_scores(y_true, score)
    return np.asarray((scores >= threshold) == labels, dtype=np.float64)


def recall(
    y_true: ArrayLike, score: ArrayLike, *, threshold: float = 0.5, confidence: float = 0.95
) -> Estimate:
    """Share of the positive rows that are answered "positive" (true positive rate).

    Args:
        y_true: 0 or 1, shape (rows,).
        score: Finite numbers, shape (rows,).
        threshold: Smallest score that counts as a positive answer.
        confidence: Coverage of the Wilson interval.

    Returns:
        The share in 0..1; `n` counts the positive rows.

    Raises:
        UndefinedMeasure: If no row is positive.
        ValueError: If labels and scores do not fit (see `labelled_scores`).

    Source:
        Interval as in `wilson`.

    Examples:
        >>> recall([0, 1, 1, 1], [0.9, 0.8, 0.7, 0.2])
        Estimate(value=0.667, low=0.208, high=0.939, n=3)
    """
    labels, scores = labelled_scores(y_true, score)
    if not labels.any():
        msg = f"recall needs positive rows, got none among {labels.size}; widen the window"
        raise UndefinedMeasure(msg)
    return _share(scores[labels] >= threshold, confidence)


def precision(
    y_true: ArrayLike, score: ArrayLike, *, threshold: float = 0.5, confidence: float = 0.95
) -> Estimate:
    """Share of the rows answered "positive" that are positive (positive predictive value).

    Args:
        y_true: 0 or 1, shape (rows,).
        score: Finite numbers, shape (rows,).
        threshold: Smallest score that counts as a positive answer.
        confidence: Coverage of the Wilson interval.

    Returns:
        The share in 0..1; `n` counts the rows answered "positive".

    Raises:
        UndefinedMeasure: If no score reaches the threshold.
        ValueError: If labels and scores do not fit (see `labelled_scores`).

    Source:
        Interval as in `wilson`.

    Examples:
        >>> precision([0, 1, 1, 1], [0.9, 0.8, 0.7, 0.2])
        Estimate(value=0.667, low=0.208, high=0.939, n=3)
    """
    labels, scores = labelled_scores(y_true, score)
    answered = scores >= threshold
    if not answered.any():
        msg = (
            f"precision needs positive answers, got no score of at least {threshold:g} "
            f"among {labels.size}; lower the threshold"
        )
        raise UndefinedMeasure(msg)
    return _share(labels[answered], confidence)


def false_positive_rate(
    y_true: ArrayLike, score: ArrayLike, *, threshold: float = 0.5, confidence: float = 0.95
) -> Estimate:
    """Share of the negative rows that are answered "positive".

    Args:
        y_true: 0 or 1, shape (rows,).
        score: Finite numbers, shape (rows,).
        threshold: Smallest score that counts as a positive answer.
        confidence: Coverage of the Wilson interval.

    Returns:
        The share in 0..1; `n` counts the negative rows.

    Raises:
        UndefinedMeasure: If no row is negative.
        ValueError: If labels and scores do not fit (see `labelled_scores`).

    Source:
        Interval as in `wilson`.

    Examples:
        >>> false_positive_rate([0, 0, 0, 1], [0.9, 0.3, 0.1, 0.8])
        Estimate(value=0.333, low=0.0615, high=0.792, n=3)
    """
    labels, scores = labelled_scores(y_true, score)
    if labels.all():
        msg = (
            f"a false positive rate needs negative rows, got none among {labels.size}; "
            "widen the window"
        )
        raise UndefinedMeasure(msg)
    return _share(scores[~labels] >= threshold, confidence)


def selection_rate(
    score: ArrayLike, *, threshold: float = 0.5, confidence: float = 0.95
) -> Estimate:
    """Share of all rows that are answered "positive"; needs no labels.

    Args:
        score: Finite numbers, shape (rows,).
        threshold: Smallest score that counts as a positive answer.
        confidence: Coverage of the Wilson interval.

    Returns:
        The share in 0..1.

    Raises:
        UndefinedMeasure: If there are no rows.
        ValueError: If a score is not finite.

    Source:
        Interval as in `wilson`.

    Examples:
        >>> selection_rate([0.9, 0.3, 0.1, 0.8])
        Estimate(value=0.5, low=0.150, high=0.850, n=4)
    """
    return _share(finite_rows(score) >= threshold, confidence)


def trivial_score(y_train: ArrayLike) -> float:
    """The score of a model that has learnt nothing but how common positives are.

    Args:
        y_train: 0 or 1, shape (rows,): the rows a model is trained on, not those it is judged on.

    Returns:
        The base rate in 0..1, to be answered for every row.

    Raises:
        UndefinedMeasure: If there are no rows.
        ValueError: If a label is not 0 or 1.

    Source:
        The constant that minimises both Brier score and log loss on the training rows.

    Examples:
        >>> trivial_score([0, 0, 0, 1])
        0.25
    """
    return float(labelled_scores(y_train, y_train).score.mean())


def _share(is_counted: NDArray[np.bool_], confidence: float) -> Estimate:
    """Share of rows that count, with Wilson's interval."""
    return wilson(int(is_counted.sum()), is_counted.size, confidence=confidence)
