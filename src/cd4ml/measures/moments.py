"""Power sums of a stream: what lasts of its rows when only mean, spread and tails are asked."""

from __future__ import annotations

from typing import Any, NamedTuple

import numpy as np
from numpy.typing import ArrayLike, NDArray

from cd4ml.measures.estimate import UndefinedMeasure, finite_rows

_POWERS = (1, 2, 3, 4)
_SMALLEST_VARIANCE = 1e-150


class Moments(NamedTuple):
    """Count and power sums of a stream: all a confidence sequence needs, and mergeable.

    Scalars for a stream as it stands, or arrays with one entry a moment of time. Meant for
    losses of a common size: raw powers of huge numbers lose their digits.
    """

    n: NDArray[Any]
    total: NDArray[Any]
    squares: NDArray[Any]
    cubes: NDArray[Any]
    fourths: NDArray[Any]


class Shape(NamedTuple):
    """What the moments say about one row."""

    mean: NDArray[np.float64]
    variance: NDArray[np.float64]  # divisor n
    effective: NDArray[np.float64]  # n / kurtosis: how many rows the variance really rests on


def moments(values: ArrayLike) -> Moments:
    """Power sums of all rows together.

    Args:
        values: Finite numbers, shape (rows,).

    Returns:
        Moments of shape ().

    Raises:
        UndefinedMeasure: If there are no rows.
        ValueError: If the values are not one finite number a row.

    Source:
        Definition.

    Examples:
        >>> moments([1.0, 2.0]).squares
        array(5.)
    """
    rows = finite_rows(values)
    return Moments(np.asarray(rows.size), *(np.asarray((rows**power).sum()) for power in _POWERS))


def running_moments(values: ArrayLike) -> Moments:
    """Power sums after each row, for a band over time.

    Args:
        values: Numbers, shape (..., rows); leading axes are separate streams.

    Returns:
        Moments of the same shape.

    Raises:
        UndefinedMeasure: If there are no rows.

    Source:
        Definition.

    Examples:
        >>> running_moments([1.0, 2.0]).total
        array([1., 3.])
    """
    rows = np.asarray(values, dtype=np.float64)
    if rows.size == 0:
        raise UndefinedMeasure("there are no rows to measure; wait for the first one")
    n = np.broadcast_to(np.arange(1, rows.shape[-1] + 1), rows.shape)
    return Moments(n, *(np.cumsum(rows**power, axis=-1) for power in _POWERS))


def merged(first: Moments, second: Moments) -> Moments:
    """Moments of two parts of one stream together (`+` would join the tuples).

    Args:
        first: Moments of one part.
        second: Moments of the other part, same shape.

    Returns:
        Moments of all rows.

    Raises:
        ValueError: If the shapes do not fit.

    Source:
        Definition.

    Examples:
        >>> merged(moments([1.0]), moments([2.0, 3.0])).total
        array(6.)
    """
    return Moments(*(np.asarray(a + b) for a, b in zip(first, second, strict=True)))


def shape_of(stream: Moments) -> Shape:
    """Mean, variance and effective rows of a stream, at each of its moments in time.

    Args:
        stream: Power sums, of any shape.

    Returns:
        The same shape. Effective rows are n divided by the kurtosis: a third of normal rows,
        about the number of events for rare 0/1 rows, 0 where all rows are equal or there are
        none. A stream without rows has a mean of 0.

    Raises:
        ValueError: If the fields of the moments do not fit each other.

    Source:
        Definition of the central moments.

    Examples:
        >>> shape_of(moments([0.0, 1.0] * 50)).effective
        array(100.)
        >>> shape_of(moments([1.0] * 3 + [0.0] * 97)).effective.round(1).item()
        3.2
    """
    n = np.maximum(stream.n, 1)
    mean, second, third, fourth = (np.asarray(power / n) for power in stream[1:])
    variance = np.maximum(second - mean**2, 0.0)
    tails = fourth - 4 * mean * third + 6 * mean**2 * second - 3 * mean**4
    # Rows that are all equal leave rounding noise instead of 0; it must not pass for spread.
    # Nor may a variance whose square is too small for a float.
    has_spread = variance > np.maximum(1e-12 * second, _SMALLEST_VARIANCE)
    # A kurtosis is at least 1; rounding can bring the tails below that.
    tails = np.where(has_spread, np.maximum(tails, variance**2), 1.0)
    effective = np.where(has_spread, n * variance**2 / tails, 0.0)
    return Shape(mean, np.asarray(variance), effective)
