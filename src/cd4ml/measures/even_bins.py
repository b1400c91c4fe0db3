"""A histogram as people draw it: bars of equal width, told from bins of any width."""

from __future__ import annotations

import numpy as np
from numpy.typing import ArrayLike, NDArray


def even_bins(
    counts: ArrayLike,
    edges: ArrayLike,
    *,
    minimum: float,
    maximum: float,
    bins: int = 20,
) -> NDArray[np.float64]:
    """About how many rows lie in each of some equally wide bins, for the eye only.

    Args:
        counts: Rows in each bin, without the missing ones, shape (edges + 1,).
        edges: Increasing inner edges, shape (edges,).
        minimum: The smallest value.
        maximum: The largest value.
        bins: Bars wanted between the smallest and the largest value.

    Returns:
        Rows, shape (bins,); their sum is that of the counts, up to rounding.

    Raises:
        ValueError: If counts and edges do not fit.

    Source:
        Linear interpolation of the cumulative counts.

    Examples:
        >>> even_bins([2, 2], [1.0], minimum=0.0, maximum=4.0, bins=4)
        array([2.   , 0.667, 0.667, 0.667])
    """
    rows, cuts = np.asarray(counts, dtype=np.float64), np.asarray(edges, dtype=np.float64)
    if rows.shape != (cuts.size + 1,):
        raise ValueError(f"expected {cuts.size + 1} counts for {cuts.size} edges, got {rows.size}")
    limits = np.clip(np.concatenate([[minimum], cuts, [maximum]]), minimum, maximum)
    if minimum == maximum:
        return np.append(rows.sum(), np.zeros(bins - 1))
    # halves: the width of two huge values of different sign is no float
    places = (limits / 2 - minimum / 2) / (maximum / 2 - minimum / 2) * bins
    return np.diff(_until(np.arange(bins + 1.0), places, np.append(0.0, np.cumsum(rows))))


def _until(
    at: NDArray[np.float64], places: NDArray[np.float64], until: NDArray[np.float64]
) -> NDArray[np.float64]:
    """Rows up to each place; where a bin has no width, its rows belong to the place itself."""
    places, last = np.unique(places[::-1], return_index=True)
    found = np.interp(at, places, until[::-1][last])
    found[0] = 0.0  # rows at the very smallest value are in the first bar
    return np.asarray(found)
