"""The measures a gate or a monitor may ask for by name."""

from __future__ import annotations

from collections.abc import Callable
from typing import Literal, NamedTuple

import numpy as np
from numpy.typing import ArrayLike, NDArray

from cd4ml.measures.classification import (
    accuracy,
    accuracy_difference,
    correct_answers,
    labelled_scores,
)
from cd4ml.measures.estimate import Estimate
from cd4ml.measures.ranking import auc, auc_difference
from cd4ml.measures.scoring import (
    brier,
    brier_difference,
    log_loss,
    log_loss_difference,
    log_losses,
    squared_errors,
)


class Measure(NamedTuple):
    """One measure with all that a judge needs: its direction, comparison and trivial level."""

    name: str
    direction: Literal["higher", "lower"]  # which is better
    unit: str
    function: Callable[[ArrayLike, ArrayLike], Estimate]  # (y_true, score)
    # (y_true, score_a, score_b): a - b on the same rows; None where no paired interval exists
    difference: Callable[[ArrayLike, ArrayLike, ArrayLike], Estimate] | None
    # (y_true, base_rate): what a model that answers the base rate for all rows gets on them
    trivial: Callable[[ArrayLike, float], float]
    # (y_true, score): one value a row whose mean is the measure; None where there is none
    rows: Callable[[ArrayLike, ArrayLike], NDArray[np.float64]] | None

    @property
    def best(self) -> float:
        """The value of a model that is always right; nothing is better."""
        return 1.0 if self.direction == "higher" else 0.0


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


MEASURES: dict[str, Measure] = {
    measure.name: measure
    for measure in (
        Measure("auc", "higher", "share of pairs", auc, auc_difference, _no_order, None),
        Measure(
            "brier",
            "lower",
            "squared probability",
            brier,
            brier_difference,
            _constant(brier),
            squared_errors,
        ),
        Measure(
            "log_loss",
            "lower",
            "nats",
            log_loss,
            log_loss_difference,
            _constant(log_loss),
            log_losses,
        ),
        Measure(
            "accuracy",
            "higher",
            "share of rows",
            accuracy,
            accuracy_difference,
            _constant(accuracy),
            correct_answers,
        ),
    )
}
