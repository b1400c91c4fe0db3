"""The risk that a flight from New York lands late, from what is known at its departure.

Positional parameters of a step are its inputs (a dataset of `cd4ml.toml`, or another
step, by name); keyword-only ones are parameters (`cd4ml run --set delay.max_iter=50`).
"""

from datetime import timedelta

import polars as pl
from contracts import Journey
from sklearn.base import clone
from sklearn.compose import ColumnTransformer
from sklearn.ensemble import HistGradientBoostingClassifier
from sklearn.metrics import brier_score_loss, roc_auc_score
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import OneHotEncoder, OrdinalEncoder

from cd4ml import Metrics, Model, step

TARGET = "late"
LATE_MINUTES = 15
HOLDOUT = timedelta(days=10)
EMBARGO = timedelta(hours=24)
REQUEST = list(Journey.names)
NUMBERS = [field.name for field in Journey.fields if field.type != "string"]


@step
def journeys(
    flights: pl.DataFrame,
    weather: pl.DataFrame,
    planes: pl.DataFrame,
    *,
    outcome_by: str = "flight",
) -> pl.DataFrame:
    """Flights that landed: what was known at departure, `event_at`, and whether it was late.

    Schedule and outcome come from two systems and are joined by day, carrier and
    `outcome_by`. With "carrier" the key has lost the flight's number, and each flight
    gets the outcome of its carrier's first one that day: the mistake that the gates
    are shown.
    """
    key = sorted({"year", "month", "day", "carrier", outcome_by})
    landed = flights.filter(pl.col("arr_delay").is_not_null())
    outcomes = landed.select(*key, late=pl.col("arr_delay") >= LATE_MINUTES)
    return (
        flights.with_columns(
            event_at=pl.col("time_hour") + pl.duration(minutes="minute"),
            day_of_week=pl.date("year", "month", "day").dt.weekday().cast(pl.Int64),
            arrival_hour=pl.col("sched_arr_time") // 100,
            distance=pl.col("distance").cast(pl.Float64),
        )
        .join(weather, on=["origin", "time_hour"], how="left")
        .join(planes, on="tailnum", how="left")
        .join(outcomes.unique(key, keep="first", maintain_order=True), on=key)
        .select(*REQUEST, "event_at", TARGET)
    )


@step
def examples(journeys: pl.DataFrame, labelled: pl.DataFrame) -> pl.DataFrame:
    """All rows to learn from: the first January, then what production has shown since.

    Their order is settled by what they hold, so that the same rows give the same model.
    """
    rows = journeys
    if not labelled.is_empty():
        seen = labelled.select(journeys.columns).cast(journeys.schema)
        rows = pl.concat([journeys, seen])
    return rows.sort("event_at", *REQUEST, TARGET)


@step
def training(examples: pl.DataFrame) -> pl.DataFrame:
    """The rows the model learns from: those before the holdout, but for an embargo.

    All but one outcome of a year are known 24 hours after the scheduled departure, so
    what is learned from had landed when the holdout began.
    """
    return _before(examples, HOLDOUT)


@step
def holdout(examples: pl.DataFrame) -> pl.DataFrame:
    """The newest rows: the gates judge on them, and nothing else may look."""
    return _newest(examples, HOLDOUT)


@step
def delay(
    training: pl.DataFrame,
    *,
    learning_rate: float = 0.05,
    max_iter: int = 100,
    max_leaf_nodes: int = 15,
    min_samples_leaf: int = 200,
) -> Model:
    """Boosted trees on the raw columns of a request; what encodes them is part of the model.

    A hundred destinations as one column each would take five times as long to fit and
    rank flights no better, so they are numbered.
    """
    encode = ColumnTransformer(
        [
            (
                "columns",
                OneHotEncoder(handle_unknown="ignore", sparse_output=False),
                ["carrier", "origin"],
            ),
            (
                "numbered",
                OrdinalEncoder(handle_unknown="use_encoded_value", unknown_value=-1),
                ["dest"],
            ),
            ("as they are", "passthrough", NUMBERS),
        ]
    )
    trees = HistGradientBoostingClassifier(
        learning_rate=learning_rate,
        max_iter=max_iter,
        max_leaf_nodes=max_leaf_nodes,
        min_samples_leaf=min_samples_leaf,
        early_stopping=False,  # it would hold out random rows: flights of one day share their fate
        random_state=0,
    )
    return make_pipeline(encode, trees).fit(training.select(REQUEST), training[TARGET])


@step
def evaluation(delay: Model, training: pl.DataFrame, *, last_days: int = 7) -> Metrics:
    """How such a model does on later days, told without a look at the holdout.

    The same settings learn from all but the last days of the training rows and are
    measured on these. Settings that were chosen on the holdout would look better there
    than they are.
    """
    earlier = _before(training, timedelta(days=last_days))
    later = _newest(training, timedelta(days=last_days))
    again = clone(delay).fit(earlier.select(REQUEST), earlier[TARGET])
    score = again.predict_proba(later.select(REQUEST))[:, 1]
    return {
        "auc": float(roc_auc_score(later[TARGET], score)),
        "brier": float(brier_score_loss(later[TARGET], score)),
    }


def _before(rows: pl.DataFrame, period: timedelta) -> pl.DataFrame:
    """The rows before the last `period`, and before the embargo that precedes it."""
    return rows.filter(pl.col("event_at") <= pl.col("event_at").max() - period - EMBARGO)


def _newest(rows: pl.DataFrame, period: timedelta) -> pl.DataFrame:
    """The rows of the last `period`."""
    return rows.filter(pl.col("event_at") > pl.col("event_at").max() - period)
