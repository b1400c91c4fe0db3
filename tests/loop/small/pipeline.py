"""A pipeline that takes a tenth of a second."""

import polars as pl
from sklearn.compose import ColumnTransformer
from sklearn.linear_model import LogisticRegression
from sklearn.metrics import roc_auc_score
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import OneHotEncoder, StandardScaler

from cd4ml import Metrics, Model, step

REQUEST = ["carrier", "distance", "wind"]


@step
def examples(flights: pl.DataFrame, labelled: pl.DataFrame) -> pl.DataFrame:
    known = flights.select(*REQUEST, "event_at", "late")
    if not labelled.is_empty():
        known = pl.concat([known, labelled.select(known.columns).cast(known.schema)])
    return known.sort("event_at")


@step
def training(examples: pl.DataFrame, *, upside_down: bool = False) -> pl.DataFrame:
    rows = examples.head(examples.height * 2 // 3)
    return rows.with_columns(late=1 - pl.col("late")) if upside_down else rows


@step
def holdout(examples: pl.DataFrame) -> pl.DataFrame:
    return examples.tail(examples.height // 3)


@step
def delay(training: pl.DataFrame, *, strength: float = 1.0) -> Model:
    if strength <= 0:
        msg = "strength has to be positive"
        raise ValueError(msg)
    encode = ColumnTransformer(
        [
            ("carrier", OneHotEncoder(handle_unknown="ignore"), ["carrier"]),
            ("numbers", StandardScaler(), ["distance", "wind"]),
        ]
    )
    model = make_pipeline(encode, LogisticRegression(C=strength))
    return model.fit(training.select(REQUEST), training["late"])


@step
def evaluation(delay: Model, holdout: pl.DataFrame) -> Metrics:
    score = delay.predict_proba(holdout.select(REQUEST))[:, 1]
    return {"auc": float(roc_auc_score(holdout["late"], score))}
