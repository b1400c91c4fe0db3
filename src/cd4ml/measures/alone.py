"""How well one column alone tells the target: a column that knows too much gives itself away."""

from __future__ import annotations

from math import inf

import numpy as np
from numpy.typing import ArrayLike, NDArray

from cd4ml.measures.estimate import Estimate, UndefinedMeasure
from cd4ml.measures.ranking import auc

UNKNOWN = -1  # the code of a value that the training rows do not have


def predicts_alone(
    seen: ArrayLike, seen_target: ArrayLike, asked: ArrayLike, target: ArrayLike
) -> Estimate:
    """The target predicted by its mean at each value of one column.

    The means are learned from some rows and judged on others, so that a column of names, each of
    which stands in one row, says nothing.

    Args:
        seen: The column in the rows to learn from, as codes from 0, shape (seen,).
        seen_target: The target of these rows, finite numbers.
        asked: The column in the rows to judge, as codes; `UNKNOWN` where there is none.
        target: The target of these rows.

    Returns:
        The AUC with its interval if the target is 0 and 1 everywhere; else the share of its
        variance that is explained, at most 1, with an open interval.

    Raises:
        UndefinedMeasure: If either has no rows, or all rows to judge have one target.
        ValueError: If codes and targets do not fit together, or a target is not finite.

    Examples:
        >>> predicts_alone([0, 0, 1, 1], [0, 0, 1, 1], [0, 1, 1, 0], [0, 1, 1, 0]).value
        1.0
        >>> predicts_alone([0, 0, 1, 1], [5.0, 5.0, 9.0, 9.0], [0, 1, 1], [5.0, 9.0, 9.0]).value
        1.0
    """
    y, y_asked = _targets(seen_target), _targets(target)
    codes, codes_asked = np.asarray(seen), np.asarray(asked)
    if codes.shape != y.shape or codes_asked.shape != y_asked.shape:
        raise ValueError("a code and a target a row are needed")
    if y.size == 0 or y_asked.size == 0:
        raise UndefinedMeasure("there are no rows to learn from, or none to judge")
    score = _means(codes.astype(np.int64), y, codes_asked.astype(np.int64))
    if is_binary(y) and is_binary(y_asked):
        return auc(y_asked, score)
    return _explained(y_asked, score)


def is_binary(target: ArrayLike) -> bool:
    """Whether a target is 0 or 1 in every row.

    Examples:
        >>> is_binary([0, 1, 1]), is_binary([0, 2])
        (True, False)
    """
    return bool(np.isin(np.asarray(target, dtype=np.float64), (0.0, 1.0)).all())


def _targets(values: ArrayLike) -> NDArray[np.float64]:
    targets = np.asarray(values, dtype=np.float64)
    if not np.isfinite(targets).all():
        raise ValueError("a target is missing, or no finite number")
    return targets


def _means(
    seen: NDArray[np.int64], target: NDArray[np.float64], asked: NDArray[np.int64]
) -> NDArray[np.float64]:
    n_codes = int(max(seen.max(), asked.max())) + 1
    counts = np.bincount(seen, minlength=n_codes)
    sums = np.bincount(seen, weights=target, minlength=n_codes)
    means = np.where(counts > 0, sums / np.maximum(counts, 1), target.mean())
    means = np.append(means, target.mean())  # of what is unknown
    return means[np.where(asked == UNKNOWN, n_codes, asked)]


def _explained(target: NDArray[np.float64], score: NDArray[np.float64]) -> Estimate:
    total = float(((target - target.mean()) ** 2).sum())
    if total == 0:
        raise UndefinedMeasure(f"all rows have the target {target[0]:g}: nothing to explain")
    value = 1 - float(((target - score) ** 2).sum()) / total
    return Estimate(value, -inf, inf, target.size)
