"""Tree ensembles without the library that fitted them: exact in double precision.

One row costs 35 us where scikit-learn takes milliseconds. ONNX is faster still, but rounds to
single precision and converts some ensembles wrongly; treelite reads the trees as they are.
Nothing from here is used before `models.parity` has compared it with the estimator.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

import msgspec
import numpy as np

from cd4ml.errors import ConfigurationError, InvalidInput, Unavailable
from cd4ml.models import boosters
from cd4ml.models.booster_columns import encoding_of_booster
from cd4ml.models.encoding import Encoding, encoder, encoding_of, only_known
from cd4ml.records.contract import Contract

if TYPE_CHECKING:
    import polars as pl
    from numpy.typing import NDArray

_SINGLE = ("Forest", "ExtraTrees", "GradientBoosting", "XGB")  # compare in single precision


class Ensemble(msgspec.Struct, frozen=True):
    """A compiled ensemble: what its columns are made of, and treelite's bytes."""

    encoding: Encoding
    trees: bytes


def compile_trees(estimator: Any, contract: Contract) -> bytes:
    """A fitted ensemble, or a pipeline that ends in one, as bytes that hold no code.

    Raises:
        ConfigurationError: If treelite is not installed.
        InvalidInput: If it is no ensemble of trees, or encodes its columns in a way that is
            not known here.
        Exception: Of treelite, if it cannot read the ensemble.
    """
    _treelite()
    if (booster := boosters.booster_in(estimator)) is not None:
        return _compiled_booster(booster, contract)
    *steps, last = [step for _, step in getattr(estimator, "steps", [("", estimator)])]
    names = list(getattr(estimator, "feature_names_in_", contract.names))
    encoding = encoding_of(steps, contract, names)
    kind = type(last).__name__
    is_histogram = kind.startswith("Hist")
    if is_histogram and getattr(last, "_preprocessor", None) is not None:
        encoding = only_known(encoding, last._preprocessor)
    is_single = not is_histogram and any(name in kind for name in _SINGLE)
    encoding = msgspec.structs.replace(encoding, is_single=is_single)
    ensemble = Ensemble(encoding, _trees_of(last).serialize_bytes())
    return msgspec.msgpack.encode(ensemble)


def _compiled_booster(booster: Any, contract: Contract) -> bytes:
    """A booster that is asked by columns: names of categories become their codes."""
    encoding = encoding_of_booster(boosters.facts_of(booster), contract)
    return msgspec.msgpack.encode(Ensemble(encoding, boosters.trees_of(booster).serialize_bytes()))


class TreeScorer:
    """Answers rows with treelite, on one thread. Safe to share between threads.

    Raises:
        ConfigurationError: If treelite is not installed.
        Unavailable: If it cannot read the trees.
    """

    def __init__(self, model: bytes, contract: Contract) -> None:
        treelite = _treelite()
        self._predict = treelite.gtil.predict
        self._contract = contract
        ensemble = msgspec.msgpack.decode(model, type=Ensemble)
        self._needed = {entry.field for entry in ensemble.encoding.entries}
        self._encode = encoder(ensemble.encoding, contract.names)
        try:
            self._trees = treelite.Model.deserialize_bytes(ensemble.trees)
        except Exception as error:  # treelite's own class
            msg = f"treelite {treelite.__version__} cannot read the trees: {error}"
            hint = "install the version named in the model's manifest"
            raise Unavailable(msg, hint=hint) from None

    def score(self, values: Sequence[Sequence[Any]]) -> list[float]:
        """The answer to each row of JSON values, in the order of the contract's fields."""
        answers: list[float] = self._answers(values).tolist()
        return answers

    def score_frame(self, frame: pl.DataFrame) -> NDArray[np.float64]:
        """The answer to each row of a frame with the contract's columns.

        Raises:
            InvalidInput: If the frame lacks a column that it needs.
        """
        import polars as pl

        from cd4ml.models.frames import requested

        frame = requested(self._contract, frame, self._needed)
        absent = [name for name in self._contract.names if name not in frame.columns]
        frame = frame.with_columns(pl.lit(None).alias(name) for name in absent)
        return self._answers(frame.select(self._contract.names).rows())

    def _answers(self, values: Sequence[Sequence[Any]]) -> NDArray[np.float64]:
        answered = self._predict(self._trees, self._encode(values), nthread=1)
        column: NDArray[np.float64] = answered.reshape(len(values), -1)[:, -1]
        return column.astype(np.float64)


def _trees_of(estimator: Any) -> Any:
    treelite = _treelite()
    of = type(estimator).__module__.partition(".")[0]
    if of == "sklearn":
        return treelite.sklearn.import_model(estimator)
    if of == "lightgbm":
        return treelite.frontend.from_lightgbm(estimator.booster_)
    if of == "xgboost":
        return treelite.frontend.from_xgboost(estimator.get_booster())
    msg = f"{type(estimator).__name__} is no ensemble of scikit-learn, LightGBM or XGBoost"
    raise InvalidInput(msg)


def _treelite() -> Any:
    try:
        import treelite
        import treelite.sklearn
    except ImportError:
        msg = "treelite is not installed"
        raise ConfigurationError(msg, hint="pip install 'cd4ml[treelite]'") from None
    return treelite
