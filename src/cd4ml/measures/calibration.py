"""Whether probabilities mean what they say."""

from __future__ import annotations

from typing import NamedTuple

import numpy as np
from numpy.typing import ArrayLike

from cd4ml.measures.estimate import Estimate, paired_mean_difference, wilson
from cd4ml.measures.scoring import labelled_probabilities


class ReliabilityBin(NamedTuple):
    """Rows with about the same probability: what was said and what happened."""

    low: float
    high: float
    mean_score: float
    observed: Estimate  # share of positive rows, Wilson interval


def calibration_in_the_large(
    y_true: ArrayLike, score: ArrayLike, *, confidence: float = 0.95
) -> Estimate:
    """Mean probability minus mean outcome: are all rows together said too high or too low.

    Args:
        y_true: 0 or 1, shape (rows,).
        score: Probabilities of a positive outcome in 0..1, shape (rows,).
        confidence: Coverage of the normal interval.

    Returns:
        The difference in -1..1; positive where the model says too much.

    Raises:
        UndefinedMeasure: If there are no rows.
        ValueError: If labels and probabilities do not fit.

    Source:
        B. Van Calster et al., "Calibration: the Achilles heel of predictive analytics", BMC
        Medicine 17:230, 2019 ("mean calibration"), as a difference.

    Examples:
        >>> calibration_in_the_large([0, 0, 1, 1], [0.2, 0.4, 0.6, 0.8])
        Estimate(value=0.0, low=-0.358, high=0.358, n=4)
    """
    labels, probabilities = labelled_probabilities(y_true, score)
    return paired_mean_difference(probabilities, labels, confidence=confidence)


def reliability(
    y_true: ArrayLike, score: ArrayLike, *, bins: int = 10, confidence: float = 0.95
) -> list[ReliabilityBin]:
    """What was said against what happened, over bins of equal width in probability.

    Args:
        y_true: 0 or 1, shape (rows,).
        score: Probabilities of a positive outcome in 0..1, shape (rows,).
        bins: Number of bins between 0 and 1; each holds its lower edge, the last one both.
        confidence: Coverage of the Wilson intervals.

    Returns:
        The bins that hold rows, from low to high.

    Raises:
        UndefinedMeasure: If there are no rows.
        ValueError: If labels and probabilities do not fit or `bins` is below 1.

    Source:
        A. Niculescu-Mizil, R. Caruana, "Predicting good probabilities with supervised
        learning", ICML 2005.

    Examples:
        >>> table = reliability([0, 1, 1], [0.1, 0.7, 0.9], bins=2)
        >>> [(row.low, row.high, row.mean_score, row.observed.value) for row in table]
        [(0.0, 0.5, 0.1, 0.0), (0.5, 1.0, 0.8, 1.0)]
    """
    if bins < 1:
        raise ValueError(f"expected at least 1 bin, got {bins}")
    labels, probabilities = labelled_probabilities(y_true, score)
    edges = np.linspace(0, 1, bins + 1)
    which = np.searchsorted(edges[1:-1], probabilities, side="right")
    n = np.bincount(which, minlength=bins)
    said = np.bincount(which, weights=probabilities, minlength=bins)
    happened = np.bincount(which, weights=labels, minlength=bins)
    return [
        ReliabilityBin(
            low=float(edges[i]),
            high=float(edges[i + 1]),
            mean_score=float(said[i] / n[i]),
            observed=wilson(round(happened[i]), int(n[i]), confidence=confidence),
        )
        for i in np.flatnonzero(n)
    ]


def expected_calibration_error(y_true: ArrayLike, score: ArrayLike, *, bins: int = 10) -> float:
    """Mean gap between what was said and what happened, over bins weighted by their rows.

    Chance alone makes it positive: with few rows a bin it overstates. Compare it between
    models on the same rows, or read `reliability` with its intervals.

    Args:
        y_true: 0 or 1, shape (rows,).
        score: Probabilities of a positive outcome in 0..1, shape (rows,).
        bins: Number of bins of equal width between 0 and 1.

    Returns:
        The error in 0..1; 0 is perfect.

    Raises:
        UndefinedMeasure: If there are no rows.
        ValueError: If labels and probabilities do not fit or `bins` is below 1.

    Source:
        M. P. Naeini, G. F. Cooper, M. Hauskrecht, "Obtaining well calibrated probabilities
        using Bayesian binning", AAAI 2015.

    Examples:
        >>> expected_calibration_error([0, 1, 1], [0.1, 0.7, 0.9], bins=2)
        0.1667
    """
    table = reliability(y_true, score, bins=bins)
    gaps = [row.observed.n * abs(row.mean_score - row.observed.value) for row in table]
    return sum(gaps) / sum(row.observed.n for row in table)
