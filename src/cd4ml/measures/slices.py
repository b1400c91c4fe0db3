"""One measure on each named subset of the rows."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import ArrayLike, NDArray

from cd4ml.measures.estimate import Estimate, UndefinedMeasure

LabelledMeasure = Callable[[ArrayLike, ArrayLike], Estimate]


class SliceEstimate(NamedTuple):
    """A measure on one slice; `estimate` is None where its rows cannot say."""

    slice: str  # "carrier=UA"
    estimate: Estimate | None
    n: int


def by_slice(
    measure: LabelledMeasure,
    y_true: ArrayLike,
    score: ArrayLike,
    *,
    groups: ArrayLike,
    column: str,
    min_rows: int = 100,
) -> list[SliceEstimate]:
    """A measure on the rows of each group, for as many groups as there are.

    The smallest group is the likeliest to look worst: below `min_rows` it gets no estimate, and
    above it the interval says how little a small group knows.

    Args:
        measure: Takes labels and scores, gives an estimate; for example `brier`.
        y_true: Outcome of each row, shape (rows,).
        score: Answer in each row, shape (rows,).
        groups: Group of each row, shape (rows,); None and nan make a group "null".
        column: What the groups are, for the name of the slice.
        min_rows: Rows below which a slice gets no estimate.

    Returns:
        One entry a group, in order of its name. The estimate is None with too few rows, or
        where these rows cannot define the measure (one class only).

    Raises:
        UndefinedMeasure: If there are no rows.
        ValueError: If the shapes differ, or whatever the measure refuses.

    Source:
        Definition.

    Examples:
        >>> from cd4ml.measures.estimate import paired_mean_difference
        >>> table = by_slice(
        ...     paired_mean_difference,
        ...     [1.0, 2.0, 5.0],
        ...     [1.0, 1.0, 1.0],
        ...     groups=["UA", "UA", "HA"],
        ...     column="carrier",
        ...     min_rows=2,
        ... )
        >>> [(row.slice, row.n, row.estimate and row.estimate.value) for row in table]
        [('carrier=HA', 1, None), ('carrier=UA', 2, 0.5)]
    """
    labels, scores, members = np.asarray(y_true), np.asarray(score), np.asarray(groups)
    if labels.ndim != 1 or not labels.shape == scores.shape == members.shape:
        shapes = f"{labels.shape}, {scores.shape} and {members.shape}"
        raise ValueError(f"each row needs a label, a score and a group, got shapes {shapes}")
    if labels.size == 0:
        raise UndefinedMeasure("there are no rows to slice; widen the window or skip the check")
    names, which = np.unique(_names(members), return_inverse=True)
    starts = np.cumsum(np.bincount(which))[:-1]
    rows_of_each = np.split(np.argsort(which, kind="stable"), starts)
    return [
        SliceEstimate(
            slice=f"{column}={name}",
            estimate=_estimate(measure, labels[rows], scores[rows], min_rows=min_rows),
            n=rows.size,
        )
        for name, rows in zip(names, rows_of_each, strict=True)
    ]


def _estimate(
    measure: LabelledMeasure, y_true: NDArray[Any], score: NDArray[Any], *, min_rows: int
) -> Estimate | None:
    if y_true.size < min_rows:
        return None
    try:
        return measure(y_true, score)
    except UndefinedMeasure:
        return None


def _names(groups: NDArray[Any]) -> NDArray[np.str_]:
    """Groups as text; None and what does not equal itself (nan) are "null"."""
    is_null = np.array([group is None or group != group for group in groups.tolist()])
    return np.where(is_null, "null", groups.astype(np.str_))
