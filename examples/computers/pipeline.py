"""The price of a personal computer, along four axes: data, features, algorithm, parameters.

`cd4ml run --set price.algorithm=forest` chooses on one axis, `cd4ml search axes` tries all
combinations. What can be chosen stands in `choices.py`.
"""

from typing import Literal

import numpy as np
import polars as pl
from choices import DATA, MARKET, estimator

from cd4ml import Metrics, Model, step

HOLDOUT_MONTHS = 6  # the newest: a price list is asked for tomorrow's prices


@step
def priced(offers: pl.DataFrame) -> pl.DataFrame:
    """Offers with numbers for yes and no and the month they are from, in order of time."""
    flags = [(pl.col(name) == "yes").cast(pl.Int64) for name in ("cd", "multi", "premium")]
    months = pl.col("month") - 1  # since January 1993
    sold_on = pl.date(1993 + months // 12, 1 + months % 12, 1)
    return offers.with_columns(*flags, sold_on=sold_on).sort("month", maintain_order=True)


@step
def training(
    priced: pl.DataFrame, *, data: Literal["all", "recent", "no-name"] = "all"
) -> pl.DataFrame:
    """The offers that teach."""
    before = priced.filter(pl.col("month") <= pl.col("month").max() - HOLDOUT_MONTHS)
    return before.filter(DATA[data])


@step
def holdout(priced: pl.DataFrame) -> pl.DataFrame:
    """The offers of the newest months: the same for every choice."""
    return priced.filter(pl.col("month") > pl.col("month").max() - HOLDOUT_MONTHS)


@step
def price(
    training: pl.DataFrame,
    *,
    features: Literal["plain", "market", "crossed"] = "market",
    algorithm: Literal["linear", "forest", "boosting"] = "linear",
    parameters: Literal["careful", "bold"] = "careful",
) -> Model:
    """The model of the chosen features, algorithm and parameters."""
    model = estimator(features, algorithm, parameters)
    return model.fit(training.select(MARKET), training["price"].to_numpy())


@step
def scored(price: Model, holdout: pl.DataFrame) -> pl.DataFrame:
    """The offers of the newest months with the price that the model gives: `score`."""
    return holdout.with_columns(score=pl.Series(price.predict(holdout.select(MARKET))))


@step
def evaluation(scored: pl.DataFrame) -> Metrics:
    """How far off the prices of the newest months are, in dollars and as a share."""
    off = (scored["score"] - scored["price"]).to_numpy()
    return {
        "rmse": float(np.sqrt(np.mean(off**2))),
        "mae": float(np.abs(off).mean()),
        "mape": float(np.abs(off / scored["price"].to_numpy()).mean()),
    }
