"""An estimate with its interval, and the plain means and shares most measures come down to."""

from __future__ import annotations

from math import inf, sqrt
from statistics import NormalDist
from typing import NamedTuple

import numpy as np
from numpy.typing import ArrayLike, NDArray


class Estimate(NamedTuple):
    """A value and the interval that holds the truth at the confidence asked for.

    `low` and `high` are infinite where the rows allow a value but say nothing of its error.
    """

    value: float
    low: float
    high: float
    n: int  # rows the value was computed from


class UndefinedMeasure(ValueError):
    """These rows cannot define this measure: one class only, nothing selected, no rows."""


def wilson(successes: int, n: int, *, confidence: float = 0.95) -> Estimate:
    """A share of rows with its Wilson score interval, good for small `n` and rare events too.

    Args:
        successes: Rows that count, 0 to `n`.
        n: All rows.
        confidence: Coverage of the interval, between 0 and 1.

    Returns:
        The share in 0..1; its interval never leaves 0..1.

    Raises:
        UndefinedMeasure: If there are no rows.
        ValueError: If `successes` is not within 0..n or `confidence` not within 0..1.

    Source:
        E. B. Wilson, "Probable inference, the law of succession, and statistical inference",
        J. American Statistical Association 22(158), 1927.

    Examples:
        >>> wilson(8, 10)
        Estimate(value=0.8, low=0.490, high=0.943, n=10)
    """
    if n == 0:
        raise UndefinedMeasure(
            "a share of no rows is undefined; widen the window or skip the check"
        )
    if not 0 <= successes <= n:
        raise ValueError(f"expected 0 to {n} successes among {n} rows, got {successes}")
    z = two_sided_z(confidence)
    share, spread = successes / n, z * z / n
    centre = (share + spread / 2) / (1 + spread)
    half = z * sqrt(share * (1 - share) / n + spread / (4 * n)) / (1 + spread)
    low, high = max(0.0, centre - half), min(1.0, centre + half)
    # Rounding must not leave the value itself outside (shares of exactly 0 and 1).
    return Estimate(share, min(low, share), max(high, share), n)


def mean(values: ArrayLike, *, confidence: float = 0.95) -> Estimate:
    """Mean of independent values with its normal interval.

    Args:
        values: Finite numbers, shape (rows,).
        confidence: Coverage of the interval, between 0 and 1.

    Returns:
        The mean in the unit of the values; one row alone has an infinite interval.

    Raises:
        UndefinedMeasure: If there are no rows.
        ValueError: If the values are not one finite number a row.

    Source:
        Central limit theorem with the sample variance (divisor n - 1).

    Examples:
        >>> mean([1.0, 2.0, 3.0, 4.0])
        Estimate(value=2.5, low=1.235, high=3.765, n=4)
        >>> mean([7.0])
        Estimate(value=7.0, low=-inf, high=inf, n=1)
    """
    rows = finite_rows(values)
    z = two_sided_z(confidence)
    value = float(rows.mean())
    if rows.size == 1:
        return Estimate(value, -inf, inf, 1)
    half = z * float(rows.std(ddof=1)) / sqrt(rows.size)
    return Estimate(value, value - half, value + half, rows.size)


def paired_mean_difference(a: ArrayLike, b: ArrayLike, *, confidence: float = 0.95) -> Estimate:
    """Mean of `a - b` over the same rows; far narrower than two intervals side by side.

    Args:
        a: Finite numbers, shape (rows,).
        b: Finite numbers of the same rows in the same order, shape (rows,).
        confidence: Coverage of the interval, between 0 and 1.

    Returns:
        The mean difference, positive where `a` is larger.

    Raises:
        UndefinedMeasure: If there are no rows.
        ValueError: If the shapes differ or a value is not finite.

    Source:
        The paired t-test's statistic, with normal quantiles.

    Examples:
        >>> paired_mean_difference([3.0, 5.0, 4.0], [2.0, 3.0, 3.0])
        Estimate(value=1.333, low=0.680, high=1.987, n=3)
    """
    rows_a, rows_b = finite_rows(a), finite_rows(b)
    if rows_a.shape != rows_b.shape:
        msg = f"a pair needs both values in each row, got {rows_a.size} and {rows_b.size} rows"
        raise ValueError(msg)
    return mean(rows_a - rows_b, confidence=confidence)


def two_sided_z(confidence: float) -> float:
    """Half-width, in standard errors, of a two-sided normal interval.

    Args:
        confidence: Coverage of the interval, between 0 and 1.

    Returns:
        The quantile of the standard normal at (1 + confidence) / 2.

    Raises:
        ValueError: If `confidence` is not strictly between 0 and 1.

    Source:
        Wichura's algorithm AS 241, as the standard library has it.

    Examples:
        >>> two_sided_z(0.95)
        1.95996
    """
    if not 0 < confidence < 1:
        raise ValueError(f"a confidence is between 0 and 1, for example 0.95, got {confidence}")
    return NormalDist().inv_cdf((1 + confidence) / 2)


def finite_rows(values: ArrayLike) -> NDArray[np.float64]:
    """The values as one float a row, refused unless every one of them is a number.

    Args:
        values: Numbers, shape (rows,).

    Returns:
        The same values as float64, shape (rows,).

    Raises:
        UndefinedMeasure: If there are no rows.
        ValueError: If the shape is another or a value is missing or infinite.

    Source:
        None: a guard.

    Examples:
        >>> finite_rows([1, 2])
        array([1., 2.])
    """
    rows = np.asarray(values, dtype=np.float64)
    if rows.ndim != 1:
        raise ValueError(f"expected one value a row, got shape {rows.shape}")
    if rows.size == 0:
        raise UndefinedMeasure("there are no rows to measure; widen the window or skip the check")
    if not np.isfinite(rows).all():
        at = int(np.flatnonzero(~np.isfinite(rows))[0])
        msg = f"expected finite numbers, got {rows[at]} in row {at}; leave such rows out knowingly"
        raise ValueError(msg)
    return rows
