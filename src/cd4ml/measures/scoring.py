"""How good probabilities are: proper scoring rules, row by row and as means."""

from __future__ import annotations

import numpy as np
from numpy.typing import ArrayLike, NDArray

from cd4ml.measures.classification import LabelledScores, labelled_scores
from cd4ml.measures.estimate import Estimate, mean, paired_mean_difference


def brier(y_true: ArrayLike, score: ArrayLike, *, confidence: float = 0.95) -> Estimate:
    """Mean squared error of probabilities: 0 is perfect, .25 is what saying .5 always earns.

    Args:
        y_true: 0 or 1, shape (rows,).
        score: Probabilities of a positive outcome in 0..1, shape (rows,).
        confidence: Coverage of the normal interval.

    Returns:
        The Brier score; lower is better.

    Raises:
        UndefinedMeasure: If there are no rows.
        ValueError: If labels and probabilities do not fit (see `labelled_probabilities`).

    Source:
        G. W. Brier, "Verification of forecasts expressed in terms of probability", Monthly
        Weather Review 78(1), 1950, in the one-column form that halves the original.

    Examples:
        >>> brier([0, 1, 1], [0.1, 0.8, 0.6])
        Estimate(value=0.07, low=-0.0198, high=0.160, n=3)
    """
    return mean(squared_errors(y_true, score), confidence=confidence)


def brier_difference(
    y_true: ArrayLike, score_a: ArrayLike, score_b: ArrayLike, *, confidence: float = 0.95
) -> Estimate:
    """Brier score of `score_a` minus that of `score_b` on the same rows, paired.

    Args:
        y_true: 0 or 1, shape (rows,).
        score_a: Probabilities of one model, shape (rows,).
        score_b: Probabilities of the other model, shape (rows,).
        confidence: Coverage of the normal interval.

    Returns:
        The difference, negative where a is better.

    Raises:
        UndefinedMeasure: If there are no rows.
        ValueError: If labels and probabilities do not fit (see `labelled_probabilities`).

    Source:
        F. X. Diebold, R. S. Mariano, "Comparing predictive accuracy", J. Business & Economic
        Statistics 13(3), 1995, for rows that are independent.

    Examples:
        >>> brier_difference([0, 1, 1], [0.1, 0.8, 0.6], [0.2, 0.7, 0.6]).value
        -0.0267
    """
    return paired_mean_difference(
        squared_errors(y_true, score_a), squared_errors(y_true, score_b), confidence=confidence
    )


def log_loss(y_true: ArrayLike, score: ArrayLike, *, confidence: float = 0.95) -> Estimate:
    """Mean of -log(probability given to what happened), in nats; 0 is perfect.

    Args:
        y_true: 0 or 1, shape (rows,).
        score: Probabilities of a positive outcome in 0..1, shape (rows,).
        confidence: Coverage of the normal interval.

    Returns:
        The log loss; lower is better.

    Raises:
        UndefinedMeasure: If there are no rows.
        ValueError: If labels and probabilities do not fit (see `labelled_probabilities`).

    Source:
        I. J. Good, "Rational decisions", J. Royal Statistical Society B 14(1), 1952.

    Examples:
        >>> log_loss([0, 1, 1], [0.1, 0.8, 0.6])
        Estimate(value=0.280, low=0.0437, high=0.516, n=3)
    """
    return mean(log_losses(y_true, score), confidence=confidence)


def log_loss_difference(
    y_true: ArrayLike, score_a: ArrayLike, score_b: ArrayLike, *, confidence: float = 0.95
) -> Estimate:
    """Log loss of `score_a` minus that of `score_b` on the same rows, paired, in nats.

    Args:
        y_true: 0 or 1, shape (rows,).
        score_a: Probabilities of one model, shape (rows,).
        score_b: Probabilities of the other model, shape (rows,).
        confidence: Coverage of the normal interval.

    Returns:
        The difference, negative where a is better.

    Raises:
        UndefinedMeasure: If there are no rows.
        ValueError: If labels and probabilities do not fit (see `labelled_probabilities`).

    Source:
        As `brier_difference`.

    Examples:
        >>> log_loss_difference([0, 1, 1], [0.1, 0.8, 0.6], [0.2, 0.7, 0.6]).value
        -0.0838
    """
    return paired_mean_difference(
        log_losses(y_true, score_a), log_losses(y_true, score_b), confidence=confidence
    )


def squared_errors(y_true: ArrayLike, score: ArrayLike) -> NDArray[np.float64]:
    """Squared error of each row's probability; their mean is the Brier score.

    Args:
        y_true: 0 or 1, shape (rows,).
        score: Probabilities of a positive outcome in 0..1, shape (rows,).

    Returns:
        Losses in 0..1, shape (rows,).

    Raises:
        UndefinedMeasure: If there are no rows.
        ValueError: If labels and probabilities do not fit (see `labelled_probabilities`).

    Source:
        As `brier`.

    Examples:
        >>> squared_errors([0, 1], [0.1, 0.8])
        array([0.01, 0.04])
    """
    labels, probabilities = labelled_probabilities(y_true, score)
    return np.square(probabilities - labels)


def log_losses(y_true: ArrayLike, score: ArrayLike) -> NDArray[np.float64]:
    """-log(probability given to what happened) of each row, in nats.

    Args:
        y_true: 0 or 1, shape (rows,).
        score: Probabilities of a positive outcome in 0..1, shape (rows,).

    Returns:
        Losses of 0 or more, at most 36.04: probabilities are kept 2.2e-16 away from 0 and 1,
        so that one row that was ruled out costs much but not everything.

    Raises:
        UndefinedMeasure: If there are no rows.
        ValueError: If labels and probabilities do not fit (see `labelled_probabilities`).

    Source:
        As `log_loss`; the limit is scikit-learn's.

    Examples:
        >>> log_losses([0, 1], [0.1, 0.8])
        array([0.105, 0.223])
    """
    labels, probabilities = labelled_probabilities(y_true, score)
    smallest = float(np.finfo(np.float64).eps)
    of_what_happened = np.where(labels, probabilities, 1 - probabilities)
    return np.asarray(-np.log(np.clip(of_what_happened, smallest, 1 - smallest)))


def labelled_probabilities(y_true: ArrayLike, score: ArrayLike) -> LabelledScores:
    """Labels and probabilities of the same rows, refused unless each row has both.

    Args:
        y_true: 0 or 1 (or booleans), shape (rows,).
        score: Probabilities in 0..1, shape (rows,).

    Returns:
        Booleans and floats, both of shape (rows,).

    Raises:
        UndefinedMeasure: If there are no rows.
        ValueError: If labels and scores do not fit or a score is not within 0..1.

    Source:
        None: a guard.

    Examples:
        >>> labelled_probabilities([1], [1.5])
        Traceback (most recent call last):
        ValueError: a probability is between 0 and 1, got 1.5 in row 0; calibrate the score before
    """
    rows = labelled_scores(y_true, score)
    outside = (rows.score < 0) | (rows.score > 1)
    if outside.any():
        at = int(np.flatnonzero(outside)[0])
        msg = (
            f"a probability is between 0 and 1, got {rows.score[at]:g} in row {at}; "
            "calibrate the score before"
        )
        raise ValueError(msg)
    return rows
