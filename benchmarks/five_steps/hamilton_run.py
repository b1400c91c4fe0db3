"""The five steps for Hamilton with its cache, run in its own environment."""

from pathlib import Path

import polars as pl
import work
from hamilton import ad_hoc_utils, driver


def load(path: str) -> pl.DataFrame:
    """All scheduled flights."""
    return work.load(Path(path))


def clean(load: pl.DataFrame) -> pl.DataFrame:
    """Those that landed."""
    return work.clean(load)


def features(clean: pl.DataFrame) -> pl.DataFrame:
    """What a model learns from."""
    return work.features(clean)


def fit(features: pl.DataFrame) -> object:
    """Boosted trees."""
    return work.fit(features)


def evaluate(fit: object, features: pl.DataFrame) -> dict:
    """How well they rank."""
    return work.evaluate(fit, features)


if __name__ == "__main__":
    module = ad_hoc_utils.create_temporary_module(load, clean, features, fit, evaluate)
    built = driver.Builder().with_modules(module).with_cache(path=".hamilton").build()
    print(built.execute(["evaluate"], inputs={"path": "data/flights.csv"}))
