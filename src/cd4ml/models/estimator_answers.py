"""What an estimator with scikit-learn's interface answers: one number a row, or a refusal.

A packaged model (`serving.packaging`) takes this file along, so that it refuses what an endpoint
refuses.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING, Any

import numpy as np

from cd4ml.errors import InvalidInput

if TYPE_CHECKING:
    import polars as pl
    from numpy.typing import NDArray

_ROUNDING = 1e-6  # of probabilities that somebody multiplied or calibrated
_CLASSES = 5  # that are named


class ProcessEnds(RuntimeError):
    """An estimator called `sys.exit`: taken at its word, a gate would end as if all were well."""


def asked(estimator: Any, frame: pl.DataFrame) -> NDArray[np.float64]:
    """The probability of the second class, or the predicted value; shape (rows,).

    It is shown the columns that it says it was fitted on, or all of them.

    Raises:
        InvalidInput: If the estimator classifies without probabilities, or not into two classes, or
            gives fewer or more answers than there are rows, or a probability outside 0 to 1.
        ProcessEnds: If it asks the process to end instead of answering.
    """
    known = getattr(estimator, "feature_names_in_", frame.columns)
    rows = frame.select(name for name in known if name in frame.columns)
    if not hasattr(estimator, "predict_proba"):
        _refuse_bare_classifier(estimator)
        return _of_each_row(_answers(estimator.predict, rows).reshape(-1), frame)
    probabilities = _answers(estimator.predict_proba, rows)
    if probabilities.ndim != 2 or probabilities.shape[1] != 2:
        raise _of_other_classes(estimator, probabilities)
    return _within_one(_of_each_row(probabilities[:, 1], frame))


def unless_asked_to_end(ended: SystemExit) -> BaseException:
    """A signal's way to end this process stays one: it is a class of its own."""
    if type(ended) is not SystemExit:
        return ended
    return ProcessEnds(f"SystemExit: {ended.code}, though a model may end no process")


def _answers(ask: Callable[[pl.DataFrame], Any], rows: pl.DataFrame) -> NDArray[np.float64]:
    """What the estimator says; it is somebody's code, and must not end the process that asks."""
    try:
        return np.asarray(ask(rows), dtype=np.float64)
    except SystemExit as ended:
        raise unless_asked_to_end(ended) from ended


def _of_other_classes(estimator: Any, probabilities: NDArray[np.float64]) -> InvalidInput:
    hint = "does the target have both values in the training rows?"
    expected = "expected a classifier of two classes"
    if probabilities.ndim != 2:
        msg = f"{expected}, a table of two columns, got one of shape {probabilities.shape}"
        return InvalidInput(msg, hint="predict_proba gives the shares of the two classes")
    n = probabilities.shape[1]
    classes = list(getattr(estimator, "classes_", []))
    named = f": {classes[:_CLASSES]}" if len(classes) == n else ""
    return InvalidInput(f"{expected}, got one of {n}{named}", hint=hint)


def _of_each_row(answers: NDArray[np.float64], frame: pl.DataFrame) -> NDArray[np.float64]:
    if len(answers) != frame.height:
        msg = f"the estimator gave {len(answers):,} answers to {frame.height:,} rows"
        raise InvalidInput(msg, hint="one answer to each row, in their order")
    return answers


def _within_one(probabilities: NDArray[np.float64]) -> NDArray[np.float64]:
    outside = (probabilities < -_ROUNDING) | (probabilities > 1 + _ROUNDING)  # NaN is neither
    if outside.any():
        worst = probabilities[int(np.argmax(outside))]
        msg = f"the estimator answered {worst:g} as a probability, which lies between 0 and 1"
        raise InvalidInput(msg, hint="predict_proba gives the shares of the two classes")
    return probabilities


def _refuse_bare_classifier(estimator: Any) -> None:
    if hasattr(estimator, "classes_"):
        steps = getattr(estimator, "steps", [("", estimator)])  # of a Pipeline, the last decides
        msg = f"the classifier {type(steps[-1][1]).__name__} gives no probabilities"
        raise InvalidInput(msg, hint="wrap it in sklearn.calibration.CalibratedClassifierCV")
