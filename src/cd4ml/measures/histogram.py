"""Bins pinned to a reference window, and the counts of any window in them.

Counts over pinned bins are exact, can be added over hours and days, and are all that the
measures of `cd4ml.measures.divergence` need.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import NamedTuple

import numpy as np
from numpy.typing import ArrayLike, NDArray

from cd4ml.measures.estimate import UndefinedMeasure


class Quantile(NamedTuple):
    """A quantile told from a histogram; the exact one is within `low` and `high`."""

    value: float
    low: float
    high: float


def edges(reference: ArrayLike, bins: int = 10) -> NDArray[np.float64]:
    """Inner edges that cut the reference into bins of about equally many rows.

    Args:
        reference: Numbers of the baseline window, shape (rows,); missing ones (nan) are left out.
        bins: Bins wanted; repeated values can make them fewer.

    Returns:
        Increasing edges, shape (at most bins,). A bin holds its upper edge, not its lower one;
        the first and last are open-ended. Where many rows share the smallest value, it gets
        a bin of its own, so that a value never seen below or above it does not hide there.

    Raises:
        UndefinedMeasure: If no value is present.
        ValueError: If the shape is another, a value is infinite or `bins` is below 2.

    Source:
        Quantiles of the reference alone, as scikit-learn's and NumPy's default (Hyndman and
        Fan's type 7); equal widths would hide drift of skewed columns in one bin.

    Examples:
        >>> edges([1, 2, 3, 4, 5], bins=4)
        array([2., 3., 4.])
        >>> histogram([3, 3, 4, 5], edges([4, 4, 4, 4]))
        array([2, 1, 1, 0])
    """
    values = _numbers(reference)
    return edges_of_sorted(np.sort(values[~np.isnan(values)]), bins)


def edges_of_sorted(
    present: NDArray[np.float64], bins: int = 10, *, tails: Sequence[float] = ()
) -> NDArray[np.float64]:
    """What `edges` gives, from values that are sorted already: nothing is sorted twice.

    Args:
        present: Finite numbers in ascending order, shape (rows,).
        bins: Bins wanted, as for `edges`.
        tails: Shares of the rows at which there are edges besides, each within 0..1.

    Returns:
        Increasing edges, as `edges`.

    Raises:
        UndefinedMeasure: If no value is present.
        ValueError: If a value is infinite or `bins` is below 2.

    Source:
        As `edges`.

    Examples:
        >>> edges_of_sorted(np.array([1.0, 2.0, 3.0, 4.0, 5.0]), bins=4)
        array([2., 3., 4.])
    """
    if bins < 2:
        raise ValueError(f"expected at least 2 bins, got {bins}")
    if present.size == 0:
        raise UndefinedMeasure("a column without any value has no quantiles; leave it out")
    smallest = present[0]
    if np.isinf(smallest) or np.isinf(present[-1]):
        raise ValueError("quantiles need finite values, got infinite ones; clean the reference")
    shares = np.sort([*np.arange(1, bins) / bins, *tails])
    cuts = np.unique(quantiles_of_sorted(present, shares))
    return np.append(np.nextafter(smallest, -np.inf), cuts) if cuts[0] == smallest else cuts


def histogram(values: ArrayLike, edges: ArrayLike) -> NDArray[np.int64]:
    """Rows in each bin and, last, the rows without a value.

    Args:
        values: Numbers, shape (rows,); nan (or None) is a missing value, infinities are values.
        edges: Increasing inner edges from `edges`, shape (edges,).

    Returns:
        Counts, shape (edges + 2,): the bins in order, then the missing ones.

    Raises:
        ValueError: If a shape is another or the edges do not increase.

    Source:
        Definition.

    Examples:
        >>> histogram([1, 2, 3, 9, float("nan")], [2.0, 5.0])
        array([2, 1, 1, 1])
    """
    rows, cuts = _numbers(values), _increasing(edges)
    is_missing = np.isnan(rows)
    which = np.searchsorted(cuts, rows, side="left")
    which[is_missing] = cuts.size + 1
    return np.bincount(which, minlength=cuts.size + 2).astype(np.int64)


def quantiles_of_sorted(present: NDArray[np.float64], shares: ArrayLike) -> NDArray[np.float64]:
    """Exact quantiles of values that are sorted already.

    Args:
        present: Numbers in ascending order, shape (rows,), at least one.
        shares: Which quantiles, each within 0..1, shape (quantiles,).

    Returns:
        The quantiles, shape (quantiles,).

    Source:
        Hyndman and Fan's type 7, as NumPy's default.

    Examples:
        >>> quantiles_of_sorted(np.array([1.0, 2.0, 4.0]), [0.25, 0.5])
        array([1.5, 2. ])
    """
    ranks = np.asarray(shares) * (present.size - 1)
    below = np.floor(ranks).astype(np.int64)
    low, high = present[below], present[np.minimum(below + 1, present.size - 1)]
    # a weighted mean cannot overflow, as low + (high - low) could
    part = ranks - below
    return np.asarray(np.where(low == high, low, low * (1 - part) + high * part))


def histogram_of_sorted(
    present: NDArray[np.float64], edges: ArrayLike, *, n_missing: int = 0
) -> NDArray[np.int64]:
    """What `histogram` gives, from sorted values: one look-up an edge instead of one a row.

    Args:
        present: Numbers in ascending order, shape (rows,).
        edges: Increasing inner edges, shape (edges,).
        n_missing: Rows without a value.

    Returns:
        Counts, shape (edges + 2,): the bins in order, then the missing ones.

    Raises:
        ValueError: If the edges do not increase.

    Source:
        Definition.

    Examples:
        >>> histogram_of_sorted(np.array([1.0, 2.0, 3.0, 9.0]), [2.0, 5.0], n_missing=1)
        array([2, 1, 1, 1])
    """
    cuts = _increasing(edges)
    below = np.searchsorted(present, cuts, side="right")
    counts = np.diff(below, prepend=0, append=present.size)
    return np.append(counts, n_missing).astype(np.int64)


def quantile(
    counts: ArrayLike, edges: ArrayLike, share: float, *, minimum: float, maximum: float
) -> Quantile:
    """A quantile as far as a histogram knows it: a value, and limits that hold the exact one.

    Args:
        counts: Rows in each bin and, last, the missing ones, shape (edges + 2,).
        edges: Increasing inner edges, shape (edges,).
        share: Which quantile, 0 to 1; 0.5 is the median.
        minimum: The smallest value.
        maximum: The largest value.

    Returns:
        The value, placed in its bin as if the rows lay evenly there; and the limits of the
        bins that hold the two rows next to it.

    Raises:
        UndefinedMeasure: If no value is present.
        ValueError: If the share is not within 0..1 or counts and edges do not fit.

    Source:
        The quantile meant is Hyndman and Fan's type 7, as in `edges`.

    Examples:
        >>> quantile([2, 2, 0], [5.0], 0.5, minimum=1.0, maximum=9.0)
        Quantile(value=5.0, low=1.0, high=9.0)
    """
    if not 0 <= share <= 1:
        raise ValueError(f"expected a share within 0..1, got {share}")
    rows, cuts = np.asarray(counts)[:-1], _increasing(edges)
    if rows.size != cuts.size + 1:
        raise ValueError(
            f"expected {cuts.size + 2} counts for {cuts.size} edges, got {rows.size + 1}"
        )
    n = int(rows.sum())
    if n == 0:
        raise UndefinedMeasure("a column without any value has no quantiles; leave it out")
    limits = np.clip(np.concatenate([[minimum], cuts, [maximum]]), minimum, maximum)
    until = np.cumsum(rows)
    rank = share * (n - 1)
    first, last = (
        int(np.searchsorted(until, at, side="right")) for at in (int(rank), -int(-rank // 1))
    )
    inside = (share * n - (until[first] - rows[first])) / rows[first]
    low, high = float(limits[first]), float(limits[last + 1])
    value = limits[first] + min(max(inside, 0.0), 1.0) * (limits[first + 1] - limits[first])
    return Quantile(float(value), low, high)


def groups(reference: ArrayLike, bins: int = 20) -> NDArray[np.int64]:
    """Which neighbouring bins to join, so that about `bins` remain with equally many rows.

    Fine bins serve quantiles; divergences are steadier over fewer ones.

    Args:
        reference: Counts per bin in the baseline, without the missing ones, shape (fine,).
        bins: Bins wanted.

    Returns:
        The first fine bin of each group, increasing from 0, shape (at most bins + 2,); to be
        used as `numpy.add.reduceat(counts, groups)`. Bins below and above all rows of the
        reference stay apart, so that values never seen there do not hide among others.

    Raises:
        ValueError: If `bins` is below 2.

    Source:
        Definition.

    Examples:
        >>> groups([10, 10, 10, 10], bins=2)
        array([0, 2])
        >>> groups([0, 10, 10, 0], bins=2)
        array([0, 1, 2, 3])
    """
    if bins < 2:
        raise ValueError(f"expected at least 2 bins, got {bins}")
    rows = np.asarray(reference, dtype=np.float64)
    until = np.cumsum(rows)
    which = np.floor((until - rows) / max(rows.sum(), 1.0) * bins + 1e-9)
    which[until == 0] = -1.0
    return np.flatnonzero(np.diff(which, prepend=-2.0)).astype(np.int64)


def _increasing(edges: ArrayLike) -> NDArray[np.float64]:
    cuts = _numbers(edges)
    if not (cuts[1:] > cuts[:-1]).all():
        raise ValueError(f"edges of bins increase, got {cuts.tolist()}")
    return cuts


def _numbers(values: ArrayLike) -> NDArray[np.float64]:
    """One float a row; None becomes nan."""
    rows = np.asarray(values, dtype=np.float64)
    if rows.ndim != 1:
        raise ValueError(f"expected one value a row, got shape {rows.shape}")
    return rows
