"""A fitted estimator as bytes, and its answers to a table.

An estimator is any object with scikit-learn's `predict_proba` (two classes) or `predict`
that was fitted on a Polars frame with named columns; a booster of LightGBM or XGBoost; or an
ONNX graph. `models.formats` says as which bytes each is kept.
"""

from __future__ import annotations

import io
import pickle
from collections.abc import Callable, Sequence
from functools import partial
from typing import TYPE_CHECKING, Any

import numpy as np

from cd4ml.errors import InvalidInput
from cd4ml.models import boosters
from cd4ml.models import graph as graphs
from cd4ml.models.formats import format_of
from cd4ml.models.pickled import dumps

if TYPE_CHECKING:
    import polars as pl
    from numpy.typing import NDArray


_ROUNDING = 1e-6  # of probabilities that somebody multiplied or calibrated


class ProcessEnds(RuntimeError):
    """An estimator called `sys.exit`: taken at its word, a gate would end as if all were well."""


def dump(estimator: Any) -> bytes:
    """The estimator's bytes.

    Raises:
        InvalidInput: If it holds something that cannot be stored, such as a lambda, or is an
            ONNX graph that cannot answer here.
    """
    if boosters.library_of(estimator):
        return boosters.dump(estimator)
    if isinstance(estimator, bytes) or graphs.is_given(estimator):
        return graphs.dump(estimator)
    try:
        return dumps(estimator)
    except (pickle.PicklingError, AttributeError, TypeError) as error:
        msg = f"the {type(estimator).__name__} cannot be stored: {error}"
        hint = "use functions defined at the top of a module instead of lambdas and local ones"
        raise InvalidInput(msg, hint=hint) from None


Unpickle = Callable[[bytes], Any]


def load(data: bytes, *, is_joblib: bool = False, unpickle: Unpickle = pickle.loads) -> Any:
    """The estimator in some bytes.

    Pickles can run any code while they are loaded: give only those that may (`models.trust`).

    Args:
        data: As they were stored.
        is_joblib: Whether joblib wrote them.
        unpickle: What loads a pickle, where its classes come from somewhere else.

    Raises:
        InvalidInput: If a class it needs cannot be imported here, or has changed; or if its
            library cannot read it.
        ConfigurationError: If its library is not installed.
    """
    kind = format_of(data, is_joblib=is_joblib)
    if kind == "onnx":
        return graphs.Graph(data)
    if kind in ("lightgbm", "xgboost"):
        return boosters.load(kind, data)
    try:
        if is_joblib:
            import joblib

            return joblib.load(io.BytesIO(data))
        return unpickle(data)  # callers have compared the digest, see above
    except SystemExit as ended:
        raise _unless_asked_to_end(ended) from ended
    except (
        pickle.UnpicklingError,
        EOFError,
        AttributeError,
        ImportError,
        IndexError,
        KeyError,
        ValueError,
    ) as error:
        msg = f"the stored estimator cannot be loaded: {error}"
        hint = "its classes must be importable: are the project and its dependencies installed?"
        raise InvalidInput(msg, hint=hint) from None


def is_classifier(estimator: Any) -> bool:
    """Whether its answer is a probability."""
    if isinstance(estimator, graphs.Graph):
        return estimator.has_two_classes
    if boosters.library_of(estimator):
        return boosters.facts_of(estimator).is_probability
    return hasattr(estimator, "predict_proba")


def columns_of(estimator: Any) -> Sequence[str] | None:
    """The columns that it says it was fitted on; None if it does not say which."""
    if isinstance(estimator, graphs.Graph):
        return None if estimator.vector else [each.name for each in estimator.inputs]
    if boosters.library_of(estimator):
        return boosters.facts_of(estimator).names or None
    named: Sequence[str] | None = getattr(estimator, "feature_names_in_", None)
    return named


def asking(estimator: Any) -> Callable[[pl.DataFrame], NDArray[np.float64]]:
    """What gives the estimator's answer to each row of a frame, see `score_frame`."""
    if isinstance(estimator, graphs.Graph):
        return estimator.predict
    booster = boosters.booster_in(estimator)
    if booster is None:
        return partial(_asked, estimator)
    return partial(boosters.answers, booster, boosters.facts_of(booster))


def score_frame(estimator: Any, frame: pl.DataFrame) -> NDArray[np.float64]:
    """The estimator's answer to each row.

    Args:
        estimator: Fitted.
        frame: What it may know: the fields of requests (`frames.requested`). Of these it is given
            those that it was fitted on, or all of them if it does not say which.

    Returns:
        The probability of the second class, or the predicted value; shape (rows,).

    Raises:
        InvalidInput: If the estimator classifies without probabilities, or not into two classes, or
            gives fewer or more answers than there are rows, or a probability outside 0 to 1.
        ProcessEnds: If it asks the process to end instead of answering.
    """
    return asking(estimator)(frame)


def _asked(estimator: Any, frame: pl.DataFrame) -> NDArray[np.float64]:
    known = getattr(estimator, "feature_names_in_", frame.columns)
    rows = frame.select(name for name in known if name in frame.columns)
    if not is_classifier(estimator):
        _refuse_bare_classifier(estimator)
        return _of_each_row(_answers(estimator.predict, rows).reshape(-1), frame)
    probabilities = _answers(estimator.predict_proba, rows)
    if probabilities.ndim != 2 or probabilities.shape[1] != 2:
        classes = list(getattr(estimator, "classes_", []))
        msg = f"expected a classifier of two classes, got one of {len(classes)}: {classes[:5]}"
        raise InvalidInput(msg, hint="does the target have both values in the training rows?")
    return _within_one(_of_each_row(probabilities[:, 1], frame))


def _answers(ask: Callable[[pl.DataFrame], Any], rows: pl.DataFrame) -> NDArray[np.float64]:
    """What the estimator says; it is somebody's code, and must not end the process that asks."""
    try:
        return np.asarray(ask(rows), dtype=np.float64)
    except SystemExit as ended:
        raise _unless_asked_to_end(ended) from ended


def _unless_asked_to_end(ended: SystemExit) -> BaseException:
    """A signal's way to end this process stays one: it is a class of its own."""
    if type(ended) is not SystemExit:
        return ended
    return ProcessEnds(f"SystemExit: {ended.code}, though a model may end no process")


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
