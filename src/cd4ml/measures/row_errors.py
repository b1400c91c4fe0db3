"""How far each answer is from its amount: signed, absolute, and as a share."""

from __future__ import annotations

import numpy as np
from numpy.typing import ArrayLike, NDArray

from cd4ml.measures.estimate import (
    UndefinedMeasure,
    finite_rows,
)


def absolute_errors(y_true: ArrayLike, score: ArrayLike) -> NDArray[np.float64]:
    """|answer - truth| of each row; their mean is the mean absolute error.

    Args:
        y_true: What came true, shape (rows,).
        score: What was answered, shape (rows,).

    Returns:
        Errors of 0 or more in the unit of the target, shape (rows,).

    Raises:
        UndefinedMeasure: If there are no rows.
        ValueError: If the shapes differ or a value is not finite.

    Source:
        Definition.

    Examples:
        >>> absolute_errors([3.0, 5.0], [2.0, 5.5])
        array([1. , 0.5])
    """
    return np.asarray(np.abs(signed_errors(y_true, score)))


def relative_errors(y_true: ArrayLike, score: ArrayLike) -> NDArray[np.float64]:
    """|answer - truth| / |truth| of each row.

    Args:
        y_true: What came true, none of it 0, shape (rows,).
        score: What was answered, shape (rows,).

    Returns:
        Shares of 0 or more, shape (rows,).

    Raises:
        UndefinedMeasure: If there are no rows, or a target is 0.
        ValueError: If the shapes differ or a value is not finite.

    Source:
        Definition.

    Examples:
        >>> relative_errors([4.0], [5.0])
        array([0.25])
    """
    errors, truth = absolute_errors(y_true, score), np.abs(finite_rows(y_true))
    if not truth.all():
        at = int(np.flatnonzero(truth == 0)[0])
        msg = f"an error cannot be a share of 0, which is the target of row {at}; use mae"
        raise UndefinedMeasure(msg)
    return np.asarray(errors / truth)


def signed_errors(y_true: ArrayLike, score: ArrayLike) -> NDArray[np.float64]:
    """Answer minus truth of each row.

    Args:
        y_true: What came true, shape (rows,).
        score: What was answered, shape (rows,).

    Returns:
        Errors in the unit of the target, shape (rows,).

    Raises:
        UndefinedMeasure: If there are no rows.
        ValueError: If the shapes differ or a value is not finite.

    Source:
        Definition.

    Examples:
        >>> signed_errors([3.0, 5.0], [2.0, 5.5])
        array([-1. ,  0.5])
    """
    truth, answers = finite_rows(y_true), finite_rows(score)
    if truth.shape != answers.shape:
        msg = f"each row needs a truth and an answer, got {truth.size} and {answers.size} rows"
        raise ValueError(msg)
    return np.asarray(answers - truth)
