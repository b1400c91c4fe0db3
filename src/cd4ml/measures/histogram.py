"""Bins pinned to a reference window, and the counts of any window in them.

Counts over pinned bins are exact, can be added over hours and days, and are all that the
measures of `cd4ml.measures.divergence` need.
"""

from __future__ import annotations

import numpy as np
from numpy.typing import ArrayLike, NDArray

from cd4ml.measures.estimate import UndefinedMeasure


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
    if bins < 2:
        raise ValueError(f"expected at least 2 bins, got {bins}")
    values = _numbers(reference)
    present = values[~np.isnan(values)]
    if present.size == 0:
        raise UndefinedMeasure("a column without any value has no quantiles; leave it out")
    if np.isinf(present).any():
        raise ValueError("quantiles need finite values, got infinite ones; clean the reference")
    cuts = np.unique(np.quantile(present, np.arange(1, bins) / bins))
    smallest = present.min()
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
    rows, cuts = _numbers(values), _numbers(edges)
    if not (np.diff(cuts) > 0).all():
        raise ValueError(f"edges of bins increase, got {cuts.tolist()}")
    is_missing = np.isnan(rows)
    which = np.searchsorted(cuts, rows, side="left")
    which[is_missing] = cuts.size + 1
    return np.bincount(which, minlength=cuts.size + 2).astype(np.int64)


def _numbers(values: ArrayLike) -> NDArray[np.float64]:
    """One float a row; None becomes nan."""
    rows = np.asarray(values, dtype=np.float64)
    if rows.ndim != 1:
        raise ValueError(f"expected one value a row, got shape {rows.shape}")
    return rows
