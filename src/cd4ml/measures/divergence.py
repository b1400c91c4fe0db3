"""How far two windows of one column are apart, told from their histograms over the same bins."""

from __future__ import annotations

from typing import Literal, NamedTuple

import numpy as np
from numpy.typing import ArrayLike, NDArray

from cd4ml.measures.estimate import UndefinedMeasure, finite_rows


class ChiSquare(NamedTuple):
    """A two-sample test: small p-values say the windows differ, not by how much."""

    statistic: float
    degrees: int  # of freedom: filled bins - 1
    p_value: float


class StabilityIndex(NamedTuple):
    """A population stability index beside what chance alone gives windows of this size.

    `alarm`: it is above `threshold`. `insufficient`: too few rows a bin to say.
    """

    value: float
    corrected: float  # value minus its mean under no change; may be below 0
    noise_floor: float  # what no change exceeds only once in a while
    threshold: float  # the larger of the effect that matters and the noise floor
    bins: int  # compared, after pooling sparse ones
    outcome: Literal["quiet", "alarm", "insufficient"]


def jensen_shannon(reference: ArrayLike, current: ArrayLike) -> float:
    """Jensen-Shannon divergence: how well one row tells which of two windows it came from.

    Args:
        reference: Counts per bin in the baseline window, shape (bins,).
        current: Counts per bin in the window under test, shape (bins,).

    Returns:
        Divergence in bits, 0 for equal shares and 1 for windows with no bin in common.

    Raises:
        UndefinedMeasure: If a window holds no rows.
        ValueError: If the shapes differ or a count is negative.

    Source:
        J. Lin, "Divergence measures based on the Shannon entropy", IEEE Transactions on
        Information Theory 37(1), 1991, with equal weights.

    Examples:
        >>> jensen_shannon([50, 50], [90, 10])
        0.147
    """
    p, q = (counts / counts.sum() for counts in same_bins(reference, current))
    shared = _entropy((p + q) / 2) - (_entropy(p) + _entropy(q)) / 2
    return min(1.0, max(0.0, shared))  # rounding


def kolmogorov_smirnov(reference: ArrayLike, current: ArrayLike) -> float:
    """Largest gap between two cumulative shares, for bins that have an order.

    Args:
        reference: Counts per bin in the baseline window, shape (bins,). A last bin of missing
            values counts as beyond the largest value.
        current: Counts per bin in the window under test, shape (bins,).

    Returns:
        The distance in 0..1; never above that of the raw values, and near it with 20 bins.

    Raises:
        UndefinedMeasure: If a window holds no rows.
        ValueError: If the shapes differ or a count is negative.

    Source:
        A. Kolmogorov 1933, N. Smirnov 1939, on binned data.

    Examples:
        >>> kolmogorov_smirnov([50, 50], [90, 10])
        0.4
    """
    p, q = (counts.cumsum() / counts.sum() for counts in same_bins(reference, current))
    return float(np.abs(p - q).max())


def chi_square(reference: ArrayLike, current: ArrayLike) -> ChiSquare:
    """Test that two windows are samples of one distribution; the reference is a sample too.

    Args:
        reference: Counts per bin in the baseline window, shape (bins,).
        current: Counts per bin in the window under test, shape (bins,).

    Returns:
        The statistic and its p-value; 0 and 1 if all rows are in one bin.

    Raises:
        UndefinedMeasure: If a window holds no rows.
        ValueError: If the shapes differ or a count is negative.

    Source:
        K. Pearson, 1900, for a table of two rows (homogeneity); bins empty in both are left out.

    Examples:
        >>> chi_square([50, 50], [60, 40])
        ChiSquare(statistic=2.02, degrees=1, p_value=0.155)
    """
    from scipy.special import chdtrc

    a, b = same_bins(reference, current)
    filled = (a + b) > 0
    a, b = a[filled], b[filled]
    share = (a + b) / (a.sum() + b.sum())
    statistic = sum(float(((w - w.sum() * share) ** 2 / (w.sum() * share)).sum()) for w in (a, b))
    degrees = a.size - 1
    return ChiSquare(statistic, degrees, float(chdtrc(degrees, statistic)) if degrees else 1.0)


def stability_index(
    reference: ArrayLike,
    current: ArrayLike,
    *,
    effect: float = 0.2,
    quantile: float = 0.999,
    min_expected: float = 20.0,
) -> StabilityIndex:
    """Population stability index (PSI) that does not take the smallness of a window for drift.

    The folk limits .1 and .2 raise a false alarm in 40 % of windows of 100 rows. Here the
    alarm needs the effect that matters *and* more than chance gives.

    Args:
        reference: Counts per bin in the baseline window, shape (bins,).
        current: Counts per bin in the window under test, shape (bins,).
        effect: Smallest PSI that matters, 0 or more.
        quantile: Share of unchanged windows that stay below the noise floor.
        min_expected: Rows a bin needs by its share in either window, were both as small as
            the smaller one. Sparser ones are pooled; if no two bins remain although several
            held rows, the outcome is `insufficient`.

    Returns:
        The index with its correction, floor, threshold and outcome. A bin empty in one window
        counts as half a row there, so that the index stays finite.

    Raises:
        UndefinedMeasure: If a window holds no rows.
        ValueError: If the shapes differ, a count is negative or a setting is out of range.

    Source:
        The PSI is S. Kullback's symmetric divergence ("Information theory and statistics",
        1959); that it behaves as chi-squared times (1/n + 1/m) without a change is in
        B. Yurdakul, J. Naranjo, "Statistical properties of the population stability index",
        J. Risk Model Validation 14(4), 2020.

    Examples:
        >>> stability_index([10_000, 10_000], [200, 300])
        StabilityIndex(value=0.0405, corrected=0.0385, noise_floor=0.0222, threshold=0.2,
            bins=2, outcome='quiet')
        >>> stability_index([10_000, 10_000], [200, 800]).outcome
        'alarm'
        >>> stability_index([10_000, 10_000], [2, 8]).outcome
        'insufficient'
    """
    from scipy.special import chdtri

    if not (effect >= 0 and 0 < quantile < 1):
        msg = (
            f"expected an effect of 0 or more and a quantile within 0..1, got {effect}, {quantile}"
        )
        raise ValueError(msg)
    counts = same_bins(reference, current)
    a, b = _without_sparse_bins(*counts, min_expected=min_expected)
    per_row = 1 / float(a.sum()) + 1 / float(b.sum())
    degrees = a.size - 1
    floor = float(chdtri(degrees, 1 - quantile)) * per_row if degrees else 0.0
    value, threshold = _symmetric_divergence(a, b), max(effect, floor)
    n_filled = int((counts[0] + counts[1] > 0).sum())
    is_enough = a.size > 1 or (n_filled == 1 and min(a.sum(), b.sum()) >= min_expected)
    return StabilityIndex(
        value=value,
        corrected=value - degrees * per_row,
        noise_floor=floor,
        threshold=threshold,
        bins=a.size,
        outcome=("alarm" if value > threshold else "quiet") if is_enough else "insufficient",
    )


def benjamini_hochberg(p_values: ArrayLike, rate: float) -> NDArray[np.bool_]:
    """Which of many tests to believe so that at most a share `rate` of them are false alarms.

    Args:
        p_values: One p-value a test, within 0..1, shape (tests,).
        rate: Expected share of false alarms among the alarms, between 0 and 1.

    Returns:
        True for each test that raises an alarm, shape (tests,).

    Raises:
        UndefinedMeasure: If there are no tests.
        ValueError: If a p-value or the rate is out of range.

    Source:
        Y. Benjamini, Y. Hochberg, "Controlling the false discovery rate: a practical and
        powerful approach to multiple testing", J. Royal Statistical Society B 57(1), 1995.

    Examples:
        >>> benjamini_hochberg([0.001, 0.04, 0.03, 0.9], 0.05)
        array([ True, False, False, False])
    """
    p = finite_rows(p_values)
    if not (0 < rate < 1 and (p >= 0).all() and (p <= 1).all()):
        raise ValueError(f"expected p-values within 0..1 and a rate between them, got {rate=}")
    limits = rate * np.arange(1, p.size + 1) / p.size
    below = np.flatnonzero(np.sort(p) <= limits)
    largest = limits[below[-1]] if below.size else -1.0
    return np.asarray(p <= largest)


def same_bins(
    reference: ArrayLike, current: ArrayLike
) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
    """Two histograms that can be compared, refused unless both have rows in the same bins.

    Args:
        reference: Counts per bin in the baseline window, shape (bins,).
        current: Counts per bin in the window under test, shape (bins,).

    Returns:
        Both as float64, shape (bins,).

    Raises:
        UndefinedMeasure: If a window holds no rows.
        ValueError: If the shapes differ or a count is negative.

    Source:
        None: a guard.

    Examples:
        >>> same_bins([1, 2], [0, 0])
        Traceback (most recent call last):
        cd4ml.measures.estimate.UndefinedMeasure: a window without rows has no distribution; widen the window or skip the check
    """
    a, b = np.asarray(reference, dtype=np.float64), np.asarray(current, dtype=np.float64)
    if a.ndim != 1 or a.shape != b.shape:
        msg = f"the two histograms need the same bins, got shapes {a.shape} and {b.shape}"
        raise ValueError(msg)
    if not ((a >= 0).all() and (b >= 0).all() and np.isfinite(a + b).all()):
        raise ValueError("a count of rows is 0 or more; pass counts, not differences")
    if a.sum() == 0 or b.sum() == 0:
        msg = "a window without rows has no distribution; widen the window or skip the check"
        raise UndefinedMeasure(msg)
    return a, b


def _entropy(shares: NDArray[np.float64]) -> float:
    """Shannon entropy in bits; empty bins add nothing (0 log 0 = 0)."""
    filled = shares[shares > 0]
    return float(-(filled * np.log2(filled)).sum())


def _symmetric_divergence(a: NDArray[np.float64], b: NDArray[np.float64]) -> float:
    """PSI of two histograms; half a row in a bin that only one of them fills."""
    p, q = (np.maximum(counts, 0.5) / np.maximum(counts, 0.5).sum() for counts in (a, b))
    return float(((q - p) * np.log(q / p)).sum())


def _without_sparse_bins(
    a: NDArray[np.float64], b: NDArray[np.float64], *, min_expected: float
) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
    """Bins with enough rows to expect, and one more that pools all the others.

    A pool that is still too small joins the smallest bin: rare nulls or categories must not
    make a whole column impossible to judge.
    """
    filled = (a + b) > 0
    both = np.stack([a[filled], b[filled]])
    n = both.sum(axis=1, keepdims=True)
    rows = both * (n.min() / n)  # as if both windows were as small as the smaller one
    largest = rows.max(axis=0)
    order = np.argsort(largest, kind="stable")
    n_sparse = int((largest < min_expected).sum())
    while 0 < n_sparse < order.size and rows[:, order[:n_sparse]].sum(axis=1).max() < min_expected:
        n_sparse += 1
    pool, kept = both[:, order[:n_sparse]], both[:, order[n_sparse:]]
    joined = np.column_stack([kept, pool.sum(axis=1)]) if n_sparse else kept
    return joined[0], joined[1]
