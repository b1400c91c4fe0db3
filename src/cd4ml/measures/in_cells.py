"""A measure in every cell of a partition of the rows at once, without a loop over the cells."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
from numpy.typing import ArrayLike, NDArray

from cd4ml.measures.classification import labelled_scores
from cd4ml.measures.estimate import UndefinedMeasure, finite_rows

Cells = Callable[..., NDArray[np.float64]]  # (y_true, score, codes, n_cells): a value a cell


def mean_in_cells(rows: Callable[..., NDArray[np.float64]]) -> Cells:
    """Of a measure that is the mean of one value a row.

    Args:
        rows: Takes (y_true, score), gives one value a row.

    Returns:
        A function of (y_true, score, codes, n_cells) that gives nan for an empty cell.

    Source:
        Definition.

    Examples:
        >>> from cd4ml.measures.row_errors import absolute_errors
        >>> mean_in_cells(absolute_errors)([1.0, 2.0, 3.0], [1.0, 4.0, 4.0], [0, 1, 1], 2)
        array([0. , 1.5])
    """

    def cells(
        y_true: ArrayLike, score: ArrayLike, codes: ArrayLike, n_cells: int, **more: Any
    ) -> NDArray[np.float64]:
        values = rows(y_true, score, **more)
        return _ratio(values, np.ones_like(values), codes, n_cells)

    return cells


def auc_in_cells(
    y_true: ArrayLike, score: ArrayLike, codes: ArrayLike, n_cells: int
) -> NDArray[np.float64]:
    """Area under the ROC curve within each cell.

    Args:
        y_true: 0 or 1, shape (rows,).
        score: Finite numbers, shape (rows,).
        codes: Which cell a row is in, 0 to n_cells - 1, shape (rows,).
        n_cells: How many there are.

    Returns:
        One value a cell, nan where it has one class only, shape (n_cells,).

    Raises:
        UndefinedMeasure: If there are no rows.
        ValueError: If labels and scores do not fit.

    Source:
        H. B. Mann, D. R. Whitney, "On a test of whether one of two random variables is
        stochastically larger than the other", Annals of Mathematical Statistics 18(1), 1947.

    Examples:
        >>> auc_in_cells([0, 1, 0, 1], [0.1, 0.2, 0.9, 0.3], [0, 0, 1, 1], 2)
        array([1., 0.])
    """
    labels, scores = labelled_scores(y_true, score)
    cells = np.asarray(codes)
    order = np.lexsort((scores, cells))
    cell, value, label = cells[order], scores[order], labels[order].astype(np.float64)
    is_new = np.ones(cell.size, dtype=bool)  # another score, or another cell
    is_new[1:] = (value[1:] != value[:-1]) | (cell[1:] != cell[:-1])
    first = np.flatnonzero(is_new)
    last = np.append(first[1:], cell.size)
    tie = np.cumsum(is_new) - 1
    sizes = np.bincount(cell, minlength=n_cells)
    rank = ((first + last + 1) / 2)[tie] - (np.cumsum(sizes) - sizes)[cell]
    positives = np.bincount(cell, weights=label, minlength=n_cells)
    of_positives = np.bincount(cell, weights=rank * label, minlength=n_cells)
    pairs = positives * (sizes - positives)
    with np.errstate(invalid="ignore", divide="ignore"):
        return np.asarray((of_positives - positives * (positives + 1) / 2) / pairs)


def recall_in_cells(
    y_true: ArrayLike, score: ArrayLike, codes: ArrayLike, n_cells: int, *, threshold: float = 0.5
) -> NDArray[np.float64]:
    """Recall within each cell; nan where no row is positive (see `recall`)."""
    labels, said = _answers(y_true, score, threshold)
    return _ratio(labels & said, labels, codes, n_cells)


def precision_in_cells(
    y_true: ArrayLike, score: ArrayLike, codes: ArrayLike, n_cells: int, *, threshold: float = 0.5
) -> NDArray[np.float64]:
    """Precision within each cell; nan where no answer is positive (see `precision`)."""
    labels, said = _answers(y_true, score, threshold)
    return _ratio(labels & said, said, codes, n_cells)


def false_positive_rate_in_cells(
    y_true: ArrayLike, score: ArrayLike, codes: ArrayLike, n_cells: int, *, threshold: float = 0.5
) -> NDArray[np.float64]:
    """False-positive rate within each cell; nan where no row is negative."""
    labels, said = _answers(y_true, score, threshold)
    return _ratio(~labels & said, ~labels, codes, n_cells)


def f1_in_cells(
    y_true: ArrayLike, score: ArrayLike, codes: ArrayLike, n_cells: int, *, threshold: float = 0.5
) -> NDArray[np.float64]:
    """F1 within each cell; nan where no row is positive, and none is answered so (see `f1`)."""
    labels, said = _answers(y_true, score, threshold)
    hits, either = (labels & said).astype(np.float64), (labels | said).astype(np.float64)
    return _ratio(2 * hits, hits + either, codes, n_cells)


def rmse_in_cells(
    y_true: ArrayLike, score: ArrayLike, codes: ArrayLike, n_cells: int
) -> NDArray[np.float64]:
    """Root of the mean squared error within each cell; nan for an empty one (see `rmse`)."""
    squares = np.square(finite_rows(score) - finite_rows(y_true))
    return np.sqrt(_ratio(squares, np.ones_like(squares), codes, n_cells))


def r2_in_cells(
    y_true: ArrayLike, score: ArrayLike, codes: ArrayLike, n_cells: int
) -> NDArray[np.float64]:
    """R squared within each cell; nan where all targets are the same (see `r2`)."""
    truth, answers, cells = finite_rows(y_true), finite_rows(score), np.asarray(codes)
    means = _ratio(truth, np.ones_like(truth), cells, n_cells)
    spread = np.square(truth - means[cells])
    spread[_is_flat(truth, cells, n_cells)[cells]] = 0.0
    return 1 - _ratio(np.square(answers - truth), spread, cells, n_cells)


def each_cell(function: Callable[..., Any]) -> Cells:
    """Of any measure, cell by cell: for those without a sum over rows.

    Args:
        function: Takes (y_true, score), gives an estimate.

    Returns:
        A function of (y_true, score, codes, n_cells) that gives nan where it is undefined.

    Source:
        Definition.

    Examples:
        >>> from cd4ml.measures.regression import median_absolute_error
        >>> each_cell(median_absolute_error)([1.0, 2.0], [1.0, 4.0], [0, 2], 3)
        array([ 0., nan,  2.])
    """

    def cells(
        y_true: ArrayLike, score: ArrayLike, codes: ArrayLike, n_cells: int, **more: Any
    ) -> NDArray[np.float64]:
        truth, answers, cell = np.asarray(y_true), np.asarray(score), np.asarray(codes)
        rows_of = np.split(
            np.argsort(cell, kind="stable"), np.cumsum(np.bincount(cell, minlength=n_cells))[:-1]
        )
        found = np.full(n_cells, np.nan)
        for i, rows in enumerate(rows_of):
            try:
                found[i] = function(truth[rows], answers[rows], **more).value
            except UndefinedMeasure:
                continue
        return found

    return cells


def _answers(
    y_true: ArrayLike, score: ArrayLike, threshold: float
) -> tuple[NDArray[np.bool_], NDArray[np.bool_]]:
    labels, scores = labelled_scores(y_true, score)
    return labels, np.asarray(scores >= threshold)


def _is_flat(truth: NDArray[np.float64], cells: NDArray[Any], n_cells: int) -> NDArray[np.bool_]:
    lowest, highest = np.full(n_cells, np.inf), np.full(n_cells, -np.inf)
    np.minimum.at(lowest, cells, truth)
    np.maximum.at(highest, cells, truth)
    return np.asarray(lowest >= highest)


def _ratio(above: ArrayLike, below: ArrayLike, codes: ArrayLike, n: int) -> NDArray[np.float64]:
    """Sum over sum in each cell; nan for nothing over nothing."""
    sums = [
        np.bincount(np.asarray(codes), weights=np.asarray(rows, dtype=np.float64), minlength=n)
        for rows in (above, below)
    ]
    with np.errstate(invalid="ignore", divide="ignore"):
        return np.where(sums[1] == 0, np.nan, sums[0] / sums[1])
