"""How far answers are from amounts: absolute, squared, relative, and as a share of the variance."""

from __future__ import annotations

from math import inf, sqrt

import numpy as np
from numpy.typing import ArrayLike, NDArray

from cd4ml.measures.estimate import (
    Estimate,
    UndefinedMeasure,
    finite_rows,
    mean,
    paired_mean_difference,
    two_sided_z,
)
from cd4ml.measures.paired import paired_bootstrap
from cd4ml.measures.row_errors import absolute_errors, relative_errors, signed_errors


def mae(y_true: ArrayLike, score: ArrayLike, *, confidence: float = 0.95) -> Estimate:
    """Mean absolute error, in the unit of the target.

    Args:
        y_true: What came true, shape (rows,).
        score: What was answered, shape (rows,).
        confidence: Coverage of the normal interval.

    Returns:
        The mean of |answer - truth|; 0 is perfect.

    Raises:
        UndefinedMeasure: If there are no rows.
        ValueError: If the shapes differ or a value is not finite.

    Source:
        Definition; the interval is that of a mean.

    Examples:
        >>> mae([3.0, 5.0, 4.0], [2.0, 5.0, 6.0])
        Estimate(value=1.0, low=-0.132, high=2.132, n=3)
    """
    return mean(absolute_errors(y_true, score), confidence=confidence)


def mae_difference(
    y_true: ArrayLike, score_a: ArrayLike, score_b: ArrayLike, *, confidence: float = 0.95
) -> Estimate:
    """Mean absolute error of `score_a` minus that of `score_b` on the same rows, paired.

    Args:
        y_true: What came true, shape (rows,).
        score_a: Answers of one model, shape (rows,).
        score_b: Answers of the other model, shape (rows,).
        confidence: Coverage of the normal interval.

    Returns:
        The difference in the unit of the target, negative where a is better.

    Raises:
        UndefinedMeasure: If there are no rows.
        ValueError: If the shapes differ or a value is not finite.

    Source:
        F. X. Diebold, R. S. Mariano, "Comparing predictive accuracy", J. Business & Economic
        Statistics 13(3), 1995, for rows that are independent.

    Examples:
        >>> mae_difference([3.0, 5.0, 4.0], [3.0, 5.0, 5.0], [2.0, 5.0, 6.0]).value
        -0.667
    """
    a, b = absolute_errors(y_true, score_a), absolute_errors(y_true, score_b)
    return paired_mean_difference(a, b, confidence=confidence)


def rmse(y_true: ArrayLike, score: ArrayLike, *, confidence: float = 0.95) -> Estimate:
    """Root of the mean squared error, in the unit of the target; large errors weigh more.

    Args:
        y_true: What came true, shape (rows,).
        score: What was answered, shape (rows,).
        confidence: Coverage of the interval.

    Returns:
        The root; 0 is perfect. One row alone has an infinite interval.

    Raises:
        UndefinedMeasure: If there are no rows.
        ValueError: If the shapes differ or a value is not finite.

    Source:
        Interval by the delta method: the standard error of the root is that of the mean squared
        error over twice the root. A. W. van der Vaart, "Asymptotic statistics", 1998, chapter 3.

    Examples:
        >>> rmse([3.0, 5.0, 4.0], [2.0, 5.0, 6.0])
        Estimate(value=1.291, low=0.379, high=2.203, n=3)
    """
    squares = np.square(signed_errors(y_true, score))
    value = sqrt(float(squares.mean()))
    return _from_zero(_delta(value, _of_root(squares), confidence))


def rmse_difference(
    y_true: ArrayLike, score_a: ArrayLike, score_b: ArrayLike, *, confidence: float = 0.95
) -> Estimate:
    """RMSE of `score_a` minus that of `score_b` on the same rows, paired.

    Args:
        y_true: What came true, shape (rows,).
        score_a: Answers of one model, shape (rows,).
        score_b: Answers of the other model, shape (rows,).
        confidence: Coverage of the interval.

    Returns:
        The difference in the unit of the target, negative where a is better.

    Raises:
        UndefinedMeasure: If there are no rows.
        ValueError: If the shapes differ or a value is not finite.

    Source:
        As `rmse`, row by row: what a row adds to one root less what it adds to the other.

    Examples:
        >>> rmse_difference([3.0, 5.0, 4.0], [3.0, 5.0, 5.0], [2.0, 5.0, 6.0]).value
        -0.714
    """
    a, b = np.square(signed_errors(y_true, score_a)), np.square(signed_errors(y_true, score_b))
    value = sqrt(float(a.mean())) - sqrt(float(b.mean()))
    return _delta(value, _of_root(a) - _of_root(b), confidence)


def r2(y_true: ArrayLike, score: ArrayLike, *, confidence: float = 0.95) -> Estimate:
    """Share of the target's variance that the answers explain: 1 is perfect, 0 is its mean.

    Args:
        y_true: What came true, shape (rows,).
        score: What was answered, shape (rows,).
        confidence: Coverage of the interval.

    Returns:
        The coefficient of determination; below 0 for answers that are worse than the mean.

    Raises:
        UndefinedMeasure: If there are no rows, or all have the same target.
        ValueError: If the shapes differ or a value is not finite.

    Source:
        Interval by the delta method on 1 - (mean squared error) / (variance), as in `rmse`.

    Examples:
        >>> r2([1.0, 2.0, 3.0, 4.0], [1.1, 2.1, 2.9, 3.7])
        Estimate(value=0.976, low=0.950, high=1.0, n=4)
    """
    squares, spread = np.square(signed_errors(y_true, score)), _spread(y_true)
    value, parts = _of_share(squares, spread)
    found = _delta(value, parts, confidence)
    return found._replace(high=min(1.0, found.high))


def r2_difference(
    y_true: ArrayLike, score_a: ArrayLike, score_b: ArrayLike, *, confidence: float = 0.95
) -> Estimate:
    """R squared of `score_a` minus that of `score_b` on the same rows, paired.

    Args:
        y_true: What came true, shape (rows,).
        score_a: Answers of one model, shape (rows,).
        score_b: Answers of the other model, shape (rows,).
        confidence: Coverage of the interval.

    Returns:
        The difference, positive where a explains more.

    Raises:
        UndefinedMeasure: If there are no rows, or all have the same target.
        ValueError: If the shapes differ or a value is not finite.

    Source:
        As `r2`.

    Examples:
        >>> r2_difference([1.0, 2.0, 3.0], [1.0, 2.0, 3.0], [1.0, 2.0, 2.0]).value
        0.5
    """
    spread = _spread(y_true)
    a, of_a = _of_share(np.square(signed_errors(y_true, score_a)), spread)
    b, of_b = _of_share(np.square(signed_errors(y_true, score_b)), spread)
    return _delta(a - b, of_a - of_b, confidence)


def mape(y_true: ArrayLike, score: ArrayLike, *, confidence: float = 0.95) -> Estimate:
    """Mean absolute error as a share of what came true.

    Args:
        y_true: What came true, none of it 0, shape (rows,).
        score: What was answered, shape (rows,).
        confidence: Coverage of the normal interval.

    Returns:
        The mean of |answer - truth| / |truth|: 0.1 is a tenth off.

    Raises:
        UndefinedMeasure: If there are no rows, or a target is 0.
        ValueError: If the shapes differ or a value is not finite.

    Source:
        Definition; the interval is that of a mean.

    Examples:
        >>> mape([100.0, 200.0], [90.0, 240.0]).value
        0.15
    """
    return mean(relative_errors(y_true, score), confidence=confidence)


def mape_difference(
    y_true: ArrayLike, score_a: ArrayLike, score_b: ArrayLike, *, confidence: float = 0.95
) -> Estimate:
    """Relative error of `score_a` minus that of `score_b` on the same rows, paired.

    Args:
        y_true: What came true, none of it 0, shape (rows,).
        score_a: Answers of one model, shape (rows,).
        score_b: Answers of the other model, shape (rows,).
        confidence: Coverage of the normal interval.

    Returns:
        The difference, negative where a is better.

    Raises:
        UndefinedMeasure: If there are no rows, or a target is 0.
        ValueError: If the shapes differ or a value is not finite.

    Source:
        As `mae_difference`.

    Examples:
        >>> mape_difference([100.0, 200.0], [100.0, 240.0], [90.0, 240.0]).value
        -0.05
    """
    a, b = relative_errors(y_true, score_a), relative_errors(y_true, score_b)
    return paired_mean_difference(a, b, confidence=confidence)


def median_absolute_error(
    y_true: ArrayLike, score: ArrayLike, *, confidence: float = 0.95
) -> Estimate:
    """The absolute error that half of the rows stay below; a few gross ones do not move it.

    Args:
        y_true: What came true, shape (rows,).
        score: What was answered, shape (rows,).
        confidence: Coverage of the interval, which is at least that.

    Returns:
        The median of |answer - truth|, in the unit of the target. Below 6 rows the interval at
        95 % has no upper end.

    Raises:
        UndefinedMeasure: If there are no rows.
        ValueError: If the shapes differ or a value is not finite.

    Source:
        Interval between order statistics, by the binomial distribution of how many rows lie
        below the median: W. J. Conover, "Practical nonparametric statistics", 3rd ed., 1999, 3.2.

    Examples:
        >>> median_absolute_error([0.0] * 7, [1.0, 2.0, 3.0, 4.0, 5.0, 6.0, 7.0])
        Estimate(value=4.0, low=1.0, high=7.0, n=7)
    """
    from scipy.stats import binom

    two_sided_z(confidence)  # refuses what is no share
    errors = np.sort(absolute_errors(y_true, score))
    n, value = errors.size, float(np.median(errors))
    beyond = int(binom.ppf((1 - confidence) / 2, n, 0.5))
    if beyond == 0:
        return Estimate(value, 0.0, inf, n)
    return Estimate(value, float(errors[beyond - 1]), float(errors[n - beyond]), n)


def median_absolute_error_difference(
    y_true: ArrayLike, score_a: ArrayLike, score_b: ArrayLike, *, confidence: float = 0.95
) -> Estimate:
    """Median absolute error of `score_a` minus that of `score_b` on the same rows.

    Args:
        y_true: What came true, shape (rows,).
        score_a: Answers of one model, shape (rows,).
        score_b: Answers of the other model, shape (rows,).
        confidence: Coverage of the interval.

    Returns:
        The difference in the unit of the target, negative where a is better.

    Raises:
        UndefinedMeasure: If there are no rows.
        ValueError: If the shapes differ or a value is not finite.

    Source:
        As `paired_bootstrap`.

    Examples:
        >>> median_absolute_error_difference([1.0, 2.0], [1.0, 2.0], [2.0, 3.0]).value
        -1.0
    """

    def middle(truth: NDArray[np.float64], answer: NDArray[np.float64]) -> float:
        return float(np.median(np.abs(answer - truth)))

    return paired_bootstrap(y_true, score_a, score_b, middle, confidence=confidence)


def _spread(y_true: ArrayLike) -> NDArray[np.float64]:
    """Squared distance of each target from their mean."""
    truth = finite_rows(y_true)
    if (truth == truth[0]).all():
        msg = f"all {truth.size} rows have the target {truth[0]:g}: no variance to explain"
        raise UndefinedMeasure(msg)
    return np.asarray(np.square(truth - truth.mean()))


def _of_root(squares: NDArray[np.float64]) -> NDArray[np.float64]:
    """What each row adds to the root of the mean, but for a constant (its influence)."""
    root = sqrt(float(squares.mean()))
    return squares / (2 * root) if root > 0 else squares


def _of_share(
    squares: NDArray[np.float64], spread: NDArray[np.float64]
) -> tuple[float, NDArray[np.float64]]:
    """R squared, and what each row adds to it, but for a constant."""
    error, variance = float(squares.mean()), float(spread.mean())
    return 1 - error / variance, -squares / variance + spread * (error / variance**2)


def _delta(value: float, influence: NDArray[np.float64], confidence: float) -> Estimate:
    """A value with the normal interval of what its rows add to it."""
    found = mean(influence, confidence=confidence)
    half = found.high - found.value
    return Estimate(value, value - half, value + half, found.n)


def _from_zero(found: Estimate) -> Estimate:
    return found._replace(low=max(0.0, found.low))
