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

from cd4ml.errors import InvalidInput
from cd4ml.models import boosters
from cd4ml.models import graph as graphs
from cd4ml.models.estimator_answers import asked, unless_asked_to_end
from cd4ml.models.formats import format_of
from cd4ml.models.pickled import dumps

if TYPE_CHECKING:
    import numpy as np
    import polars as pl
    from numpy.typing import NDArray


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
        raise unless_asked_to_end(ended) from ended
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
        return partial(asked, estimator)
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
