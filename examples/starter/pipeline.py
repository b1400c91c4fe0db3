"""Four steps from a table to a judged model: change them into yours.

Positional parameters are inputs (a dataset of `cd4ml.toml`, or another step, by
name); keyword-only ones are parameters (`cd4ml run --set diagnosis.strength=0.1`).
"""

import polars as pl
from sklearn.linear_model import LogisticRegression
from sklearn.metrics import roc_auc_score
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import StandardScaler

from cd4ml import Metrics, Model, step

TARGET = "malignant"
HOLDOUT_EVERY = 4  # each fourth patient judges the model and trains none


@step
def training(patients: pl.DataFrame) -> pl.DataFrame:
    """The patients the model learns from."""
    return patients.filter(pl.int_range(pl.len()) % HOLDOUT_EVERY != 0)


@step
def holdout(patients: pl.DataFrame) -> pl.DataFrame:
    """The patients that judge it."""
    return patients.filter(pl.int_range(pl.len()) % HOLDOUT_EVERY == 0)


@step
def diagnosis(training: pl.DataFrame, *, strength: float = 1.0) -> Model:
    """A logistic regression on all measurements."""
    features = training.drop(TARGET)
    model = make_pipeline(StandardScaler(), LogisticRegression(C=strength, max_iter=1000))
    return model.fit(features, training[TARGET])


@step
def evaluation(diagnosis: Model, holdout: pl.DataFrame) -> Metrics:
    """How well it ranks patients it has not seen."""
    score = diagnosis.predict_proba(holdout.drop(TARGET))[:, 1]
    return {"auc": float(roc_auc_score(holdout[TARGET], score))}
