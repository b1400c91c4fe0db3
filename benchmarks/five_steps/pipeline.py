"""The five steps for cd4ml."""

import polars as pl
import work

from cd4ml import Metrics, Model, step


@step
def loaded(flights: pl.DataFrame) -> pl.DataFrame:
    """All scheduled flights."""
    return flights


@step
def cleaned(loaded: pl.DataFrame) -> pl.DataFrame:
    """Those that landed."""
    return work.clean(loaded)


@step
def table(cleaned: pl.DataFrame) -> pl.DataFrame:
    """What a model learns from."""
    return work.features(cleaned)


@step
def model(table: pl.DataFrame, *, max_iter: int = 20) -> Model:
    """Boosted trees."""
    return work.fit(table, max_iter)


@step
def evaluation(model: Model, table: pl.DataFrame) -> Metrics:
    """How well they rank."""
    return work.evaluate(model, table)
