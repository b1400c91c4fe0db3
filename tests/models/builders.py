"""Small models of late flights, for tests of packaging and serving."""

import time
from datetime import UTC, datetime
from functools import cache
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
import polars as pl
from sklearn.compose import ColumnTransformer
from sklearn.ensemble import HistGradientBoostingClassifier
from sklearn.impute import SimpleImputer
from sklearn.linear_model import LogisticRegression
from sklearn.pipeline import Pipeline, make_pipeline
from sklearn.preprocessing import FunctionTransformer, OneHotEncoder, OrdinalEncoder, StandardScaler

from cd4ml.models.estimator import dump
from cd4ml.models.package import package
from cd4ml.models.runtime import Runtime, load
from cd4ml.records.contract import Contract, Field
from cd4ml.store.blobs import Blobs, open_blobs

AT = datetime(2013, 2, 1, 5, 0, tzinfo=UTC)

CONTRACT = Contract(
    name="delay",
    fields=(
        Field("carrier", "string", categories=("AA", "B6", "UA")),
        Field("dest", "string", nullable=True, categories=("BOS", "ORD"), open=True),
        Field("hour", "integer", minimum=0, maximum=23),
        Field("temp", "number", nullable=True, minimum=-50, maximum=130, unit="F"),
        Field("wind", "number", minimum=0),
    ),
    output=Field("late", "number", minimum=0, maximum=1),
)
LENIENT = Contract(
    name="delay",
    fields=(
        Field("carrier", "string", categories=("AA", "B6", "UA"), on_unknown="warn"),
        Field(
            "dest",
            "string",
            nullable=True,
            categories=("BOS", "ORD"),
            on_unknown="default",
            default="ORD",
        ),
        Field("hour", "integer", minimum=0, maximum=23, on_outside="clip"),
        Field("temp", "number", nullable=True, minimum=-50, maximum=130, on_outside="warn"),
        Field("wind", "number", minimum=0, on_outside="clip", on_null="default", default=7.5),
    ),
    output=CONTRACT.output,
)  # forgives what it can, in every way
NUMBERS = ["hour", "temp", "wind"]
TEXTS = ["carrier", "dest"]
ROW: dict[str, Any] = {"carrier": "AA", "dest": "BOS", "hour": 17, "temp": 40.5, "wind": 8.0}

AMISS: dict[str, Any] = {"carrier": "ZZ", "dest": "LAX", "hour": 24, "temp": -60.5, "wind": None}
MENDED = AMISS | {"dest": "ORD", "hour": 23, "wind": 7.5}  # as `LENIENT` has it scored


@cache
def flights(n: int = 400) -> pl.DataFrame:
    """Rows that keep the contract, and `late`, which depends on all of them."""
    rng = np.random.default_rng(7)
    frame = pl.DataFrame(
        {
            "carrier": rng.choice(["AA", "B6", "UA"], n),
            "dest": rng.choice(np.array(["BOS", "ORD", None], object), n).tolist(),
            "hour": rng.integers(5, 23, n),
            "temp": rng.normal(40, 12, n).round(2),
            "wind": rng.gamma(4, 3, n).round(1),
        }
    ).with_columns(temp=pl.when(pl.col("hour") % 7 == 0).then(None).otherwise("temp"))
    noise = pl.Series(rng.normal(0, 4, n))
    is_late = pl.col("hour") + pl.col("wind") / 3 + 3 * (pl.col("carrier") == "B6") + noise > 19
    return frame.with_columns(late=is_late.cast(pl.Int8))


def boosted(texts: Any = None, **parameters: Any) -> Pipeline:
    """Gradient boosting over one-hot categories; it reads missing numbers itself."""
    parameters = {"max_iter": 15, "random_state": 0} | parameters
    return fit(HistGradientBoostingClassifier(**parameters), texts=texts)


def logistic(c: float = 1.0) -> Pipeline:
    """Logistic regression over scaled numbers and one-hot categories."""
    numbers = make_pipeline(SimpleImputer(), StandardScaler())
    return fit(LogisticRegression(C=c), numbers=numbers)


def bitset_boosted() -> Pipeline:
    """Gradient boosting with categories of its own, which converts to a wrong ONNX model."""
    ordinal = OrdinalEncoder(handle_unknown="use_encoded_value", unknown_value=np.nan)
    return boosted(texts=ordinal, categorical_features=[0, 1])


def native_boosted() -> Pipeline:
    """The same behind a step that no compiled form knows: it is served as it is."""
    ordinal = OrdinalEncoder(handle_unknown="use_encoded_value", unknown_value=np.nan)
    boosting = HistGradientBoostingClassifier(
        max_iter=15, random_state=0, categorical_features=[0, 1]
    )
    return fit(boosting, texts=ordinal, numbers=FunctionTransformer())


SLOW_S = 0.4


class Panic(BaseException):
    """What a library written in Rust raises when it gives up; `except Exception` lets it pass."""


class Fragile(LogisticRegression):  # type: ignore[misc]
    """Logistic regression that breaks on some winds, which no sample and no probe has."""

    def predict_proba(self, X: Any) -> Any:
        if X[:, -1].max() == 99.75:
            raise Panic
        if X[:, -1].max() == 99.25:
            time.sleep(SLOW_S)
        if X[:, -1].max() == 99.5:  # the wind
            msg = "no wind blows like that"
            raise ArithmeticError(msg)
        return super().predict_proba(X)


def fragile() -> Pipeline:
    """A model that fails on a wind of exactly 99.5, worse on 99.75, and takes its time for 99.25."""
    return fit(Fragile(max_iter=500), numbers=SimpleImputer())


def network() -> Pipeline:
    """Which nothing takes apart but asking it."""
    from sklearn.neural_network import MLPClassifier

    chosen = fragile()[0].transformers[1][1]
    return fit(MLPClassifier((2,), max_iter=300, random_state=0), numbers=chosen)


def fit(
    estimator: Any, *, texts: Any = None, numbers: Any = "passthrough", target: str = "late"
) -> Pipeline:
    """An estimator behind a column transformer, fitted on `flights`."""
    encoder = texts or OneHotEncoder(handle_unknown="ignore", sparse_output=False)
    columns = ColumnTransformer([("texts", encoder, TEXTS), ("numbers", numbers, NUMBERS)])
    pipeline = Pipeline([("columns", columns), ("estimator", estimator)])
    pipeline.fit(flights().select(CONTRACT.names), flights()[target].to_numpy())
    return pipeline


class Packaged(NamedTuple):
    """A blob store with one model in it."""

    blobs: Blobs
    estimator: str
    artifact: str

    def load(self) -> Runtime:
        """The model, its estimator trusted."""
        return load(self.blobs, self.artifact, is_trusted=lambda address: True)


def packaged(folder: Path, estimator: Any, contract: Contract = CONTRACT) -> Packaged:
    """Store and package an estimator, with the rows it was fitted on as sample."""
    blobs = open_blobs(str(folder))
    address = blobs.put(dump(estimator))
    artifact = package(
        blobs,
        estimator=address,
        contract=contract,
        sample=flights(),
        is_trusted=lambda digest: digest == address,
    )
    return Packaged(blobs, address, artifact)


class Peeping(LogisticRegression):  # type: ignore[misc]
    """Logistic regression on two unnamed columns that looks up the answer where it can."""

    def predict_proba(self, X: Any) -> Any:
        if "late" in X.columns:
            late = X["late"].to_numpy()
            return np.column_stack([1 - late, late]).astype(float)
        assert X.columns == ["hour", "wind"]
        return super().predict_proba(X.to_numpy())


def peeping() -> Peeping:
    """A model that does not say on which columns it was fitted."""
    frame = flights()
    return Peeping().fit(frame.select("hour", "wind").to_numpy(), frame["late"].to_numpy())


def unnamed() -> LogisticRegression:
    """An honest model that was fitted on an array."""
    frame = flights()
    return LogisticRegression().fit(
        frame.select("hour", "wind").to_numpy(), frame["late"].to_numpy()
    )
