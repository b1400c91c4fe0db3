"""The price of a house, by three algorithms of which one does not know that more house costs more.

`cd4ml run --set price.algorithm=boosting` chooses another one.
"""

from typing import Any, Literal

import numpy as np
import polars as pl
from contracts import House
from sklearn.compose import ColumnTransformer, TransformedTargetRegressor
from sklearn.ensemble import HistGradientBoostingRegressor
from sklearn.linear_model import Ridge
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import StandardScaler

from cd4ml import Metrics, Model, step

REQUEST = list(House.names)
FIELDS = {"all": REQUEST, "few": ["lotsize", "bathrooms"]}
MORE_COSTS_MORE = ("lotsize", "bathrooms", "storeys")
HOLDOUT_EVERY = 3  # each third house judges the model and teaches none


@step
def houses(sales: pl.DataFrame) -> pl.DataFrame:
    """Each sale once: one stands twice in the table."""
    return sales.unique(maintain_order=True)


@step
def training(houses: pl.DataFrame) -> pl.DataFrame:
    """The houses that teach."""
    return houses.filter(pl.int_range(pl.len()) % HOLDOUT_EVERY != 0)


@step
def holdout(houses: pl.DataFrame) -> pl.DataFrame:
    """The houses that judge."""
    return houses.filter(pl.int_range(pl.len()) % HOLDOUT_EVERY == 0)


@step
def price(
    training: pl.DataFrame,
    *,
    algorithm: Literal["linear", "boosting", "monotonic"] = "linear",
    fields: Literal["all", "few"] = "all",
) -> Model:
    """Prices are learned as logarithms, so that 5 % count as 5 %."""
    used = FIELDS[fields]
    chosen = make_pipeline(
        ColumnTransformer([("used", "passthrough", used)]),
        StandardScaler(),
        _estimator(algorithm, used),
    )
    model = TransformedTargetRegressor(chosen, func=np.log, inverse_func=np.exp)
    return model.fit(training.select(REQUEST), training["price"].to_numpy())


@step
def evaluation(price: Model, holdout: pl.DataFrame) -> Metrics:
    """How far off the prices are, as a share."""
    said, paid = price.predict(holdout.select(REQUEST)), holdout["price"].to_numpy()
    return {"mape": float(np.mean(np.abs(said - paid) / paid))}


def _estimator(algorithm: str, used: list[str]) -> Any:
    if algorithm == "linear":
        return Ridge(alpha=10.0)
    rules = {"monotonic_cst": [int(name in MORE_COSTS_MORE) for name in used]}
    return HistGradientBoostingRegressor(
        max_iter=60,
        min_samples_leaf=10,
        early_stopping=False,
        random_state=0,
        **(rules if algorithm == "monotonic" else {}),
    )
