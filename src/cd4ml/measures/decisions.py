"""Two-class answers at a threshold, compared between models: recall, precision, F1, false alarms."""

from __future__ import annotations

from typing import NamedTuple

import numpy as np
from numpy.typing import ArrayLike, NDArray

from cd4ml.measures.classification import accuracy_difference, labelled_scores
from cd4ml.measures.estimate import Estimate, UndefinedMeasure, mean, wilson


class _Answers(NamedTuple):
    """1 for each row that is a hit (answered "positive" and so), a false alarm, a miss; else 0."""

    hit: NDArray[np.float64]
    alarm: NDArray[np.float64]
    miss: NDArray[np.float64]


def recall_difference(
    y_true: ArrayLike,
    score_a: ArrayLike,
    score_b: ArrayLike,
    *,
    threshold: float = 0.5,
    confidence: float = 0.95,
) -> Estimate:
    """Recall of `score_a` minus that of `score_b` on the same positive rows, paired.

    Args:
        y_true: 0 or 1, shape (rows,).
        score_a: Scores of one model, shape (rows,).
        score_b: Scores of the other model, shape (rows,).
        threshold: Smallest score that counts as a positive answer, the same for both.
        confidence: Coverage of the interval.

    Returns:
        The difference in -1..1; `n` counts the positive rows.

    Raises:
        UndefinedMeasure: If no row is positive.
        ValueError: If labels and scores do not fit (see `labelled_scores`).

    Source:
        As `accuracy_difference`, on the positive rows: there to be right is to be found.

    Examples:
        >>> recall_difference([0, 1, 1], [0.9, 0.8, 0.9], [0.9, 0.8, 0.1]).value
        0.5
    """
    return _on_class(y_true, score_a, score_b, True, threshold, confidence)


def false_positive_rate_difference(
    y_true: ArrayLike,
    score_a: ArrayLike,
    score_b: ArrayLike,
    *,
    threshold: float = 0.5,
    confidence: float = 0.95,
) -> Estimate:
    """False-positive rate of `score_a` minus that of `score_b` on the same rows, paired.

    Args:
        y_true: 0 or 1, shape (rows,).
        score_a: Scores of one model, shape (rows,).
        score_b: Scores of the other model, shape (rows,).
        threshold: Smallest score that counts as a positive answer, the same for both.
        confidence: Coverage of the interval.

    Returns:
        The difference in -1..1, negative where a is better; `n` counts the negative rows.

    Raises:
        UndefinedMeasure: If no row is negative.
        ValueError: If labels and scores do not fit (see `labelled_scores`).

    Source:
        As `accuracy_difference`, on the negative rows, with its sign turned.

    Examples:
        >>> false_positive_rate_difference([0, 0, 1], [0.9, 0.1, 0.9], [0.1, 0.1, 0.9]).value
        0.5
    """
    value, low, high, n = _on_class(y_true, score_a, score_b, False, threshold, confidence)
    return Estimate(-value, -high, -low, n)


def f1(
    y_true: ArrayLike, score: ArrayLike, *, threshold: float = 0.5, confidence: float = 0.95
) -> Estimate:
    """Harmonic mean of precision and recall.

    Args:
        y_true: 0 or 1, shape (rows,).
        score: Finite numbers, shape (rows,).
        threshold: Smallest score that counts as a positive answer.
        confidence: Coverage of the interval.

    Returns:
        2 hits / (2 hits + false alarms + misses) in 0..1; `n` counts the rows that are any of
        the three.

    Raises:
        UndefinedMeasure: If no row is positive, and none is answered so.
        ValueError: If labels and scores do not fit (see `labelled_scores`).

    Source:
        F1 grows with the share of hits among these rows (Jaccard's index), F1 = 2 J / (1 + J);
        so the ends of its interval are those of the share's, by `wilson`.

    Examples:
        >>> f1([0, 1, 1, 1], [0.9, 0.8, 0.7, 0.2])
        Estimate(value=0.667, low=0.261, high=0.919, n=4)
    """
    hit, alarm, miss = _answers(y_true, score, threshold)
    n = int((hit + alarm + miss).sum())
    if n == 0:
        raise UndefinedMeasure(
            f"f1 needs positive rows or answers, got none among {hit.size}; widen the window"
        )
    value, low, high, _ = wilson(int(hit.sum()), n, confidence=confidence)
    return Estimate(2 * value / (1 + value), 2 * low / (1 + low), 2 * high / (1 + high), n)


def f1_difference(
    y_true: ArrayLike,
    score_a: ArrayLike,
    score_b: ArrayLike,
    *,
    threshold: float = 0.5,
    confidence: float = 0.95,
) -> Estimate:
    """F1 of `score_a` minus that of `score_b` on the same rows, paired.

    Args:
        y_true: 0 or 1, shape (rows,).
        score_a: Scores of one model, shape (rows,).
        score_b: Scores of the other model, shape (rows,).
        threshold: Smallest score that counts as a positive answer, the same for both.
        confidence: Coverage of the interval.

    Returns:
        The difference in -1..1, positive where a is better.

    Raises:
        UndefinedMeasure: If no row is positive, and none is answered so.
        ValueError: If labels and scores do not fit (see `labelled_scores`).

    Source:
        Interval by the delta method for a ratio of sums: W. G. Cochran, "Sampling techniques",
        3rd ed., 1977, 2.11. Where no row differs, the share of rows that may differ unseen is
        Wilson's.

    Examples:
        >>> f1_difference([0, 1, 1, 1], [0.1, 0.8, 0.7, 0.2], [0.9, 0.8, 0.7, 0.2]).value
        0.133
    """

    def parts(score: ArrayLike) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
        hit, alarm, miss = _answers(y_true, score, threshold)
        return 2 * hit, 2 * hit + alarm + miss

    return _of_ratios(parts(score_a), parts(score_b), "positive rows or answers", confidence)


def precision_difference(
    y_true: ArrayLike,
    score_a: ArrayLike,
    score_b: ArrayLike,
    *,
    threshold: float = 0.5,
    confidence: float = 0.95,
) -> Estimate:
    """Precision of `score_a` minus that of `score_b` on the same rows, paired.

    Args:
        y_true: 0 or 1, shape (rows,).
        score_a: Scores of one model, shape (rows,).
        score_b: Scores of the other model, shape (rows,).
        threshold: Smallest score that counts as a positive answer, the same for both.
        confidence: Coverage of the interval.

    Returns:
        The difference in -1..1, positive where a is better.

    Raises:
        UndefinedMeasure: If a model answers no row "positive".
        ValueError: If labels and scores do not fit (see `labelled_scores`).

    Source:
        As `f1_difference`.

    Examples:
        >>> precision_difference([0, 1, 1], [0.2, 0.8, 0.9], [0.9, 0.8, 0.1]).value
        0.5
    """

    def parts(score: ArrayLike) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
        hit, alarm, _ = _answers(y_true, score, threshold)
        return hit, hit + alarm

    return _of_ratios(parts(score_a), parts(score_b), "positive answers", confidence)


def _answers(y_true: ArrayLike, score: ArrayLike, threshold: float) -> _Answers:
    labels, scores = labelled_scores(y_true, score)
    said = scores >= threshold
    kinds = (labels & said, ~labels & said, labels & ~said)
    return _Answers(*(rows.astype(np.float64) for rows in kinds))


def _on_class(
    y_true: ArrayLike,
    score_a: ArrayLike,
    score_b: ArrayLike,
    label: bool,
    threshold: float,
    confidence: float,
) -> Estimate:
    labels, a = labelled_scores(y_true, score_a)
    _, b = labelled_scores(y_true, score_b)
    of_class = labels == label
    if not of_class.any():
        word = "positive" if label else "negative"
        raise UndefinedMeasure(f"there are no {word} rows among {labels.size}; widen the window")
    return accuracy_difference(
        labels[of_class], a[of_class], b[of_class], threshold=threshold, confidence=confidence
    )


def _of_ratios(
    a: tuple[NDArray[np.float64], NDArray[np.float64]],
    b: tuple[NDArray[np.float64], NDArray[np.float64]],
    needed: str,
    confidence: float,
) -> Estimate:
    """Difference of two ratios of sums over the same rows, by what each row adds to it."""
    ratios, influences = [], []
    for above, below in (a, b):
        if not below.any():
            raise UndefinedMeasure(f"there are no {needed} among {below.size} rows")
        ratio = float(above.sum() / below.sum())
        ratios.append(ratio)
        influences.append((above - ratio * below) / below.mean())
    value, influence = ratios[0] - ratios[1], influences[0] - influences[1]
    n, spread = influence.size, mean(influence, confidence=confidence)
    half = spread.high - spread.value
    if not influence.any():  # they never differed yet
        half = wilson(0, n, confidence=confidence).high * n / float(a[1].sum())
    return Estimate(value, max(-1.0, value - half), min(1.0, value + half), n)
