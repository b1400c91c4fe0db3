"""Whether a short series of values goes down: rank test, slope, and a limit for the next value."""

from __future__ import annotations

from math import factorial, sqrt
from typing import NamedTuple

import numpy as np
from numpy.typing import ArrayLike

from cd4ml.measures.estimate import UndefinedMeasure, finite_rows


class MannKendall(NamedTuple):
    """How many pairs of values rise rather than fall, and how likely so few are by chance."""

    s: int  # pairs that rise minus pairs that fall
    p_falling: float


def mann_kendall(values: ArrayLike) -> MannKendall:
    """Exact one-sided test of a fall, for as few as four values.

    Only the order counts: no distribution is assumed, no spread is estimated, and one gross
    value cannot make a trend. If nothing changes every order is as likely as any other.

    Args:
        values: Oldest first, shape (values,).

    Returns:
        S, and the chance that it is as low as this when nothing changes. Pairs of equal values
        neither rise nor fall; then the chance given is an upper bound.

    Raises:
        UndefinedMeasure: If there are no values.
        ValueError: If a value is not finite.

    Source:
        H. B. Mann, "Nonparametric tests against trend", Econometrica 13(3), 1945; M. G. Kendall,
        "Rank correlation methods", 1948, for the exact distribution: permutations by inversions.

    Examples:
        >>> mann_kendall([0.71, 0.70, 0.69, 0.68, 0.67])
        MannKendall(s=-10, p_falling=0.00833)
    """
    series = finite_rows(values)
    n = series.size
    rising = np.sign(series[None, :] - series[:, None])
    s = int(np.triu(rising, k=1).sum())
    n_falling = (n * (n - 1) // 2 - s) // 2  # rounded down with ties: an upper bound of p
    counts = _permutations_by_inversions(n)
    return MannKendall(s, sum(counts[n_falling:]) / factorial(n))


def sen_slope(values: ArrayLike) -> float:
    """The median of all slopes between two values: the change per step.

    Args:
        values: Oldest first, shape (values,), at least two.

    Returns:
        Change per step in the unit of the values; one gross value does not move it.

    Raises:
        UndefinedMeasure: If there are fewer than two values.
        ValueError: If a value is not finite.

    Source:
        P. K. Sen, "Estimates of the regression coefficient based on Kendall's tau", J. American
        Statistical Association 63(324), 1968.

    Examples:
        >>> sen_slope([1.0, 2.0, 30.0, 4.0, 5.0])
        1.0
    """
    series = finite_rows(values)
    if series.size < 2:
        raise UndefinedMeasure(f"a slope needs two values, got {series.size}")
    first, second = np.triu_indices(series.size, k=1)
    return float(np.median((series[second] - series[first]) / (second - first)))


def lower_limit(values: ArrayLike, *, false_alarms: float, least_spread: float = 0.0) -> float:
    """The value below which the next one is not likely to be one more of the same.

    A control chart with 3-sigma limits takes the spread as known; from a handful of values it
    is not, and the chart raises false alarms several times as often as it says. This limit is
    exact for normal values, however few.

    Args:
        values: What came before, shape (values,), at least two.
        false_alarms: How often the next value may lie below by chance, between 0 and 0.5.
        least_spread: Standard deviation that is known to be there at least (that of measuring).

    Returns:
        The limit in the unit of the values.

    Raises:
        UndefinedMeasure: If there are fewer than two values.
        ValueError: If a value is not finite, or `false_alarms` is not between 0 and 0.5.

    Source:
        C. P. Quesenberry, "SPC Q charts for start-up processes and short or long runs", J. Quality
        Technology 23(3), 1991, case of unknown mean and variance; equally the prediction limit of
        G. J. Hahn, "Additional factors for calculating prediction intervals for samples from a
        normal distribution", J. American Statistical Association 65(332), 1970.

    Examples:
        >>> lower_limit([0.70, 0.71, 0.69, 0.70], false_alarms=0.025)
        0.671
    """
    from scipy.stats import t

    series = finite_rows(values)
    n = series.size
    if n < 2:
        raise UndefinedMeasure(f"a limit needs two values, got {n}")
    if not 0 < false_alarms < 0.5:
        raise ValueError(f"a share of false alarms is between 0 and 0.5, got {false_alarms}")
    spread = max(float(series.std(ddof=1)), least_spread)
    return float(series.mean()) - float(t.isf(false_alarms, n - 1)) * spread * sqrt(1 + 1 / n)


def _permutations_by_inversions(n: int) -> list[int]:
    """How many orders of n things have 0, 1, 2, ... pairs in the wrong order."""
    counts = [1]
    for size in range(2, n + 1):
        longer = [0] * (len(counts) + size - 1)
        for inversions, count in enumerate(counts):
            for more in range(size):
                longer[inversions + more] += count
        counts = longer
    return counts
