"""How well scores order rows: the area under the ROC curve and DeLong's intervals."""

from __future__ import annotations

from math import sqrt
from typing import NamedTuple

import numpy as np
from numpy.typing import ArrayLike, NDArray

from cd4ml.measures.classification import labelled_scores
from cd4ml.measures.estimate import Estimate, UndefinedMeasure, two_sided_z, wilson


class Placements(NamedTuple):
    """DeLong's structural components: how each row stands among the rows of the other class."""

    positives: NDArray[np.float64]  # share of the negatives ranked below; a tie counts half
    negatives: NDArray[np.float64]  # share of the positives ranked above; a tie counts half


def auc(y_true: ArrayLike, score: ArrayLike, *, confidence: float = 0.95) -> Estimate:
    """Chance that a positive row scores higher than a negative one, ties counting half.

    Args:
        y_true: 0 or 1, shape (rows,).
        score: Finite numbers, any monotone scale, shape (rows,).
        confidence: Coverage of the interval.

    Returns:
        The area under the ROC curve with DeLong's interval, cut to 0..1. Where every pair is
        ordered alike DeLong's variance is 0 and says nothing; then the interval is Wilson's
        over as many disjoint pairs as the rarer class allows. One row of a class alone: 0..1.

    Raises:
        UndefinedMeasure: If the rows are all of one class.
        ValueError: If labels and scores do not fit (see `labelled_scores`).

    Source:
        E. R. DeLong, D. M. DeLong, D. L. Clarke-Pearson, "Comparing the areas under two or more
        correlated receiver operating characteristic curves", Biometrics 44(3), 1988; computed
        in O(n log n) as in X. Sun, W. Xu, "Fast implementation of DeLong's algorithm for
        comparing the areas under correlated ROC curves", IEEE Signal Processing Letters 21(11),
        2014.

    Examples:
        >>> auc([0, 0, 1, 1], [0.1, 0.4, 0.35, 0.8])
        Estimate(value=0.75, low=0.057, high=1.0, n=4)
        >>> auc([0, 0, 1, 1], [0.1, 0.2, 0.3, 0.4])
        Estimate(value=1.0, low=0.342, high=1.0, n=4)
    """
    placements = _placements(y_true, score)
    value = float(placements.positives.mean())
    half = two_sided_z(confidence) * _standard_error(placements)
    n_positives, n_negatives = placements.positives.size, placements.negatives.size
    n, n_pairs = n_positives + n_negatives, min(n_positives, n_negatives)
    if n_pairs == 1:
        return Estimate(value, 0.0, 1.0, n)
    if value in (0.0, 1.0):
        half = _unseen(n_pairs, confidence)
    return Estimate(value, max(0.0, value - half), min(1.0, value + half), n)


def auc_difference(
    y_true: ArrayLike, score_a: ArrayLike, score_b: ArrayLike, *, confidence: float = 0.95
) -> Estimate:
    """AUC of `score_a` minus that of `score_b` on the same rows, paired.

    Args:
        y_true: 0 or 1, shape (rows,).
        score_a: Scores of one model, shape (rows,).
        score_b: Scores of the other model, any scale of its own, shape (rows,).
        confidence: Coverage of the interval.

    Returns:
        The difference in -1..1 with DeLong's interval, cut to -1..1. Where both order every
        pair alike, or one row of a class is alone, the width is found as in `auc`.

    Raises:
        UndefinedMeasure: If the rows are all of one class.
        ValueError: If labels and scores do not fit (see `labelled_scores`).

    Source:
        As `auc`: the variance of a difference is that of the differences of the components.

    Examples:
        >>> auc_difference([0, 0, 1, 1], [0.1, 0.4, 0.35, 0.8], [0.1, 0.9, 0.35, 0.8])
        Estimate(value=0.25, low=-0.443, high=0.943, n=4)
    """
    a, b = _placements(y_true, score_a), _placements(y_true, score_b)
    placements = Placements(a.positives - b.positives, a.negatives - b.negatives)
    value = float(placements.positives.mean())
    half = two_sided_z(confidence) * _standard_error(placements)
    n_positives, n_negatives = placements.positives.size, placements.negatives.size
    n, n_pairs = n_positives + n_negatives, min(n_positives, n_negatives)
    if n_pairs == 1:
        return Estimate(value, -1.0, 1.0, n)
    if a.positives.mean() in (0.0, 1.0) and b.positives.mean() in (0.0, 1.0):
        half = _unseen(n_pairs, confidence)
    return Estimate(value, max(-1.0, value - half), min(1.0, value + half), n)


def _placements(y_true: ArrayLike, score: ArrayLike) -> Placements:
    """Structural components from three rankings instead of all pairs (Sun & Xu)."""
    labels, scores = labelled_scores(y_true, score)
    positives, negatives = scores[labels], scores[~labels]
    if positives.size == 0 or negatives.size == 0:
        msg = (
            f"auc compares positive with negative rows, got {positives.size} positive and "
            f"{negatives.size} negative; widen the window"
        )
        raise UndefinedMeasure(msg)
    ranks = _midranks(scores)
    below = ranks[labels] - _midranks(positives)
    above = positives.size - (ranks[~labels] - _midranks(negatives))
    return Placements(below / negatives.size, above / positives.size)


def _midranks(values: NDArray[np.float64]) -> NDArray[np.float64]:
    """Ranks from 1; equal values share the mean of their ranks."""
    _, at, counts = np.unique(values, return_inverse=True, return_counts=True)
    middle: NDArray[np.float64] = counts.cumsum() - (counts - 1) / 2
    return middle[at]


def _unseen(n_pairs: int, confidence: float) -> float:
    """Share of badly ordered pairs that may exist though none of so many disjoint ones was."""
    return wilson(0, n_pairs, confidence=confidence).high


def _standard_error(placements: Placements) -> float:
    """DeLong's standard error; 0 where a class has one row and so no spread to see."""
    parts = [rows.var(ddof=1) / rows.size for rows in placements if rows.size > 1]
    return sqrt(float(sum(parts)))
