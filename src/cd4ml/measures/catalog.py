"""The measures a gate or a monitor may ask for by name."""

from __future__ import annotations

from collections.abc import Callable
from functools import partial
from typing import Any

import msgspec
import numpy as np
from numpy.typing import ArrayLike, NDArray

from cd4ml.measures.classification import (
    accuracy,
    accuracy_difference,
    correct_answers,
    false_positive_rate,
    labelled_scores,
    precision,
    recall,
)
from cd4ml.measures.decisions import (
    f1,
    f1_difference,
    false_positive_rate_difference,
    precision_difference,
    recall_difference,
)
from cd4ml.measures.estimate import Estimate
from cd4ml.measures.in_cells import (
    Cells,
    auc_in_cells,
    each_cell,
    f1_in_cells,
    false_positive_rate_in_cells,
    mean_in_cells,
    precision_in_cells,
    r2_in_cells,
    recall_in_cells,
    rmse_in_cells,
)
from cd4ml.measures.named import NAMED, Named
from cd4ml.measures.ranking import auc, auc_difference
from cd4ml.measures.regression import (
    mae,
    mae_difference,
    mape,
    mape_difference,
    median_absolute_error,
    median_absolute_error_difference,
    r2,
    r2_difference,
    rmse,
    rmse_difference,
)
from cd4ml.measures.row_errors import absolute_errors, relative_errors
from cd4ml.measures.scoring import (
    brier,
    brier_difference,
    log_loss,
    log_loss_difference,
    log_losses,
    squared_errors,
)


class Measure(Named, frozen=True, kw_only=True):
    """One measure with all that a judge needs: how it is computed, compared, and trivially had."""

    function: Callable[..., Estimate]  # (y_true, score, *, confidence)
    # (y_true, score_a, score_b, *, confidence): a - b on the same rows; None without an interval
    difference: Callable[..., Estimate] | None
    # (y_true, constant): what a model that gives every row the same answer gets on them
    trivial: Callable[[ArrayLike, float], float]
    # (y_true, score): one value a row whose mean is the measure; None where there is none
    rows: Callable[..., NDArray[np.float64]] | None
    # (y_true, score, codes, n_cells): its value in each cell of the rows, nan where undefined
    cells: Cells
    # a value as the share of its n rows that it stands for; None where it is no share
    share: Callable[[float], float] | None = None


def at_threshold(measure: Measure, threshold: float) -> Measure:
    """The measure where a score counts as a positive answer from another value on.

    Args:
        measure: One that `has_threshold`.
        threshold: Smallest score that counts as a positive answer.

    Examples:
        >>> at_threshold(MEASURES["recall"], 0.2).function([1, 1], [0.3, 0.1]).value
        0.5
    """
    changed = {
        name: partial(getattr(measure, name), threshold=threshold)
        for name in ("function", "difference", "rows", "cells")
        if getattr(measure, name) is not None
    }
    trivial = _constant(changed["function"])
    return msgspec.structs.replace(measure, **changed, trivial=trivial)


def _constant(function: Callable[[ArrayLike, ArrayLike], Estimate]) -> Callable[..., float]:
    """The level of a model that gives every row the same score."""

    def trivial(y_true: ArrayLike, base_rate: float) -> float:
        labels = np.asarray(y_true)
        return function(labels, np.full(labels.shape, base_rate)).value

    return trivial


def _no_order(y_true: ArrayLike, base_rate: float) -> float:
    """A constant orders nothing: every pair is a tie, whatever the rows."""
    labelled_scores(y_true, y_true)
    return 0.5


def _jaccard(f1_value: float) -> float:
    """The share of hits among hits, false alarms and misses, of which F1 is a function."""
    return f1_value / (2 - f1_value)


def _measure(name: str, **functions: Any) -> Measure:
    return Measure(*msgspec.structs.astuple(NAMED[name]), **functions)


MEASURES: dict[str, Measure] = {
    measure.name: measure
    for measure in (
        _measure(
            "auc",
            function=auc,
            difference=auc_difference,
            trivial=_no_order,
            rows=None,
            cells=auc_in_cells,
        ),
        _measure(
            "brier",
            function=brier,
            difference=brier_difference,
            trivial=_constant(brier),
            rows=squared_errors,
            cells=mean_in_cells(squared_errors),
        ),
        _measure(
            "log_loss",
            function=log_loss,
            difference=log_loss_difference,
            trivial=_constant(log_loss),
            rows=log_losses,
            cells=mean_in_cells(log_losses),
        ),
        _measure(
            "accuracy",
            function=accuracy,
            difference=accuracy_difference,
            trivial=_constant(accuracy),
            rows=correct_answers,
            cells=mean_in_cells(correct_answers),
            share=float,
        ),
        _measure(
            "recall",
            function=recall,
            difference=recall_difference,
            trivial=_constant(recall),
            rows=None,
            cells=recall_in_cells,
            share=float,
        ),
        _measure(
            "precision",
            function=precision,
            difference=precision_difference,
            trivial=_constant(precision),
            rows=None,
            cells=precision_in_cells,
            share=float,
        ),
        _measure(
            "false_positive_rate",
            function=false_positive_rate,
            difference=false_positive_rate_difference,
            trivial=_constant(false_positive_rate),
            rows=None,
            cells=false_positive_rate_in_cells,
            share=float,
        ),
        _measure(
            "f1",
            function=f1,
            difference=f1_difference,
            trivial=_constant(f1),
            rows=None,
            cells=f1_in_cells,
            share=_jaccard,
        ),
        _measure(
            "mae",
            function=mae,
            difference=mae_difference,
            trivial=_constant(mae),
            rows=absolute_errors,
            cells=mean_in_cells(absolute_errors),
        ),
        _measure(
            "rmse",
            function=rmse,
            difference=rmse_difference,
            trivial=_constant(rmse),
            rows=None,
            cells=rmse_in_cells,
        ),
        _measure(
            "median_absolute_error",
            function=median_absolute_error,
            difference=median_absolute_error_difference,
            trivial=_constant(median_absolute_error),
            rows=None,
            cells=each_cell(median_absolute_error),
        ),
        _measure(
            "mape",
            function=mape,
            difference=mape_difference,
            trivial=_constant(mape),
            rows=relative_errors,
            cells=mean_in_cells(relative_errors),
        ),
        _measure(
            "r2",
            function=r2,
            difference=r2_difference,
            trivial=_constant(r2),
            rows=None,
            cells=r2_in_cells,
        ),
    )
}
