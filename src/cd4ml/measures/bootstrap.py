"""Intervals by drawing rows anew: for any measure, and for rows that share a fate."""

from __future__ import annotations

from collections.abc import Callable, Iterator

import numpy as np
from numpy.typing import ArrayLike, NDArray

from cd4ml.measures.estimate import Estimate, UndefinedMeasure, finite_rows, two_sided_z

_RESAMPLED = 1000
_LEAST_DEFINED = 0.9  # of the draws: with fewer, the interval would be that of other samples


def bootstrap(
    function: Callable[..., float],
    y_true: ArrayLike,
    *scores: ArrayLike,
    together: ArrayLike | None = None,
    confidence: float = 0.95,
    seed: int = 0,
) -> Estimate:
    """Any measure of some rows, with rows drawn anew a thousand times.

    Args:
        function: Takes (y_true, *scores) of the rows drawn.
        y_true: What came true, shape (rows,).
        *scores: Answers to the same rows, of one model or of several, each of shape (rows,).
        together: What a row belongs to (a day, a patient), shape (rows,). Rows of one are drawn
            together; without it rows are taken as independent.
        confidence: Coverage of the interval.
        seed: The same one draws the same rows.

    Returns:
        The measure, with the interval between the quantiles of what was drawn; `n` counts the
        rows.

    Raises:
        UndefinedMeasure: If there are no rows, or fewer than 2 groups, or if more than a tenth of
            the draws do not define the measure (one class only).
        ValueError: If the shapes differ, a value is not finite, or `confidence` is no share.

    Source:
        B. Efron, R. Tibshirani, "An introduction to the bootstrap", 1993, chapter 13; for groups
        A. C. Davison, D. V. Hinkley, "Bootstrap methods and their application", 1997, 3.8.

    Examples:
        >>> def share(y):
        ...     return float(y.mean())
        >>> bootstrap(share, [0.0, 1.0] * 50)
        Estimate(value=0.5, low=0.41, high=0.6, n=100)
        >>> bootstrap(share, [0.0] * 50 + [1.0] * 50, together=[1] * 50 + [2] * 50)
        Estimate(value=0.5, low=0.0, high=1.0, n=100)
    """
    two_sided_z(confidence)  # refuses what is no share
    columns = [finite_rows(each) for each in (y_true, *scores)]
    if len({column.shape for column in columns}) > 1:
        sizes = " and ".join(str(column.size) for column in columns)
        raise ValueError(f"each row needs a value in every column, got {sizes} rows")
    value = function(*columns)
    found: list[float] = []
    for rows in _drawn(columns[0].size, together, np.random.default_rng(seed)):
        try:
            found.append(function(*(column[rows] for column in columns)))
        except UndefinedMeasure:
            continue
    if len(found) < _LEAST_DEFINED * _RESAMPLED:
        msg = f"{_RESAMPLED - len(found)} of {_RESAMPLED} draws of the rows do not define it"
        raise UndefinedMeasure(f"{msg}; more rows are needed")
    low, high = np.quantile(found, [(1 - confidence) / 2, (1 + confidence) / 2])
    return Estimate(value, min(float(low), value), max(float(high), value), columns[0].size)


def _drawn(
    n: int, together: ArrayLike | None, chance: np.random.Generator
) -> Iterator[NDArray[np.int64]]:
    """The rows of each draw."""
    if together is None:
        for _ in range(_RESAMPLED):
            yield chance.integers(0, n, n)
        return
    _, which = np.unique(np.asarray(together).astype(np.str_), return_inverse=True)
    if which.size != n:
        raise ValueError(f"each row belongs to one group, got {which.size} for {n} rows")
    groups = np.split(np.argsort(which, kind="stable"), np.cumsum(np.bincount(which))[:-1])
    if len(groups) < 2:
        raise UndefinedMeasure("all rows belong to one group: there is nothing to draw from")
    for _ in range(_RESAMPLED):
        chosen = chance.integers(0, len(groups), len(groups))
        yield np.concatenate([groups[i] for i in chosen])
