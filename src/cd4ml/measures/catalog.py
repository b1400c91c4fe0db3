"""The measures a gate or a monitor may ask for by name."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import msgspec
import numpy as np
from numpy.typing import ArrayLike, NDArray

from cd4ml.measures.classification import (
    accuracy,
    accuracy_difference,
    correct_answers,
    labelled_scores,
)
from cd4ml.measures.estimate import Estimate
from cd4ml.measures.named import NAMED, Named
from cd4ml.measures.ranking import auc, auc_difference
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

    function: Callable[[ArrayLike, ArrayLike], Estimate]  # (y_true, score)
    # (y_true, score_a, score_b): a - b on the same rows; None where no paired interval exists
    difference: Callable[[ArrayLike, ArrayLike, ArrayLike], Estimate] | None
    # (y_true, base_rate): what a model that answers the base rate for all rows gets on them
    trivial: Callable[[ArrayLike, float], float]
    # (y_true, score): one value a row whose mean is the measure; None where there is none
    rows: Callable[[ArrayLike, ArrayLike], NDArray[np.float64]] | None


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


def _measure(name: str, **functions: Any) -> Measure:
    return Measure(*msgspec.structs.astuple(NAMED[name]), **functions)


MEASURES: dict[str, Measure] = {
    measure.name: measure
    for measure in (
        _measure("auc", function=auc, difference=auc_difference, trivial=_no_order, rows=None),
        _measure(
            "brier",
            function=brier,
            difference=brier_difference,
            trivial=_constant(brier),
            rows=squared_errors,
        ),
        _measure(
            "log_loss",
            function=log_loss,
            difference=log_loss_difference,
            trivial=_constant(log_loss),
            rows=log_losses,
        ),
        _measure(
            "accuracy",
            function=accuracy,
            difference=accuracy_difference,
            trivial=_constant(accuracy),
            rows=correct_answers,
        ),
    )
}
