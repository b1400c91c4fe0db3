"""A quantile of a sample, with an interval that assumes nothing of its distribution."""

from __future__ import annotations

from math import inf

import numpy as np
from numpy.typing import ArrayLike

from cd4ml.measures.estimate import Estimate, finite_rows, two_sided_z


def quantile(values: ArrayLike, share: float, *, confidence: float = 0.95) -> Estimate:
    """The value below which a share of the rows lie, such as the 99th percentile of a latency.

    The interval lies between two of the values: how many rows fall below the true quantile is
    binomial, whatever the distribution. Its upper end is infinite where the sample is too small to
    have one (the 99th percentile of fewer than 368 rows), and so is the lower one.

    Args:
        values: Finite numbers, shape (rows,).
        share: Between 0 and 1, for instance 0.99.
        confidence: Coverage of the interval, between 0 and 1; it covers at least as much.

    Returns:
        The smallest value that at least this share of the rows do not exceed, in their unit.

    Raises:
        UndefinedMeasure: If there are no rows.
        ValueError: If a value is not finite, or `share` or `confidence` not strictly within 0..1.

    Source:
        W. J. Conover, "Practical Nonparametric Statistics", 3rd ed. 1999, section 3.2.

    Examples:
        >>> quantile(range(1, 1001), 0.99)
        Estimate(value=990.0, low=983.0, high=997.0, n=1000)
    """
    from scipy.stats import binom

    two_sided_z(confidence)  # refuses what is no confidence
    if not 0 < share < 1:
        raise ValueError(f"a quantile's share is between 0 and 1, for example 0.99, got {share}")
    rows = np.sort(finite_rows(values))
    n, tail = rows.size, (1 - confidence) / 2
    below = int(binom.ppf(tail, n, share))  # order statistics, counted from 1
    above = int(binom.ppf(1 - tail, n, share)) + 1
    value = float(np.quantile(rows, share, method="inverted_cdf"))
    low = float(rows[below - 1]) if below >= 1 else -inf
    high = float(rows[above - 1]) if above <= n else inf
    return Estimate(value, low, high, n)
