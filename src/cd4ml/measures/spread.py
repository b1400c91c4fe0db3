"""Mean and spread of a column, kept so that parts of it can be put together."""

from __future__ import annotations

from math import sqrt
from typing import NamedTuple

import numpy as np
from numpy.typing import ArrayLike


class Spread(NamedTuple):
    """Rows, their mean, and the sum of squared deviations from it.

    Unlike power sums it keeps its digits where the mean is large beside the spread (times,
    identifiers). Merging rounds as any sum of floats does: to about 15 digits.
    """

    n: int
    mean: float
    squares: float


EMPTY = Spread(0, 0.0, 0.0)


def spread(values: ArrayLike) -> Spread:
    """The spread of finite numbers; values too large for a float's square give infinity.

    Args:
        values: Finite numbers, shape (rows,).

    Returns:
        `EMPTY` where there are no rows.

    Raises:
        ValueError: If the values are not one number a row.

    Source:
        Definition, in two passes.

    Examples:
        >>> spread([1.0, 2.0, 3.0])
        Spread(n=3, mean=2.0, squares=2.0)
    """
    rows = np.asarray(values, dtype=np.float64)
    if rows.ndim != 1:
        raise ValueError(f"expected one value a row, got shape {rows.shape}")
    if rows.size == 0:
        return EMPTY
    with np.errstate(over="ignore", invalid="ignore"):
        mean = float(rows.mean())
        away = rows - mean
        return Spread(rows.size, mean, float(np.dot(away, away)))


def together(first: Spread, second: Spread) -> Spread:
    """The spread of two parts as one.

    Args:
        first: Of one part.
        second: Of the other part.

    Returns:
        What `spread` gives for all rows, up to rounding.

    Source:
        T. F. Chan, G. H. Golub, R. J. LeVeque, "Updating formulae and a pairwise algorithm for
        computing sample variances", COMPSTAT 1982.

    Examples:
        >>> together(spread([1.0]), spread([2.0, 3.0]))
        Spread(n=3, mean=2.0, squares=2.0)
    """
    if first.n == 0 or second.n == 0:
        return first if second.n == 0 else second
    n, gap = first.n + second.n, second.mean - first.mean
    mean = first.mean * (first.n / n) + second.mean * (second.n / n)
    between = gap * (first.n / n) * gap * second.n
    return Spread(n, mean, first.squares + second.squares + between)


def deviation(of: Spread) -> float:
    """The standard deviation, divisor n - 1; 0 for a row alone.

    Args:
        of: A spread.

    Returns:
        In the unit of the values.

    Source:
        Definition.

    Examples:
        >>> deviation(spread([1.0, 2.0, 3.0]))
        1.0
    """
    return sqrt(of.squares / (of.n - 1)) if of.n > 1 else 0.0
