"""The work of five steps on a year of New York flights, as plain functions."""

from __future__ import annotations

import sys
from pathlib import Path
from typing import Any

import polars as pl

NUMBERS = ["month", "hour", "distance", "dep_delay", "route_delay"]
LATE_MINUTES = 15


def load(path: Path) -> pl.DataFrame:
    """All scheduled flights."""
    return pl.read_csv(path, infer_schema_length=None, null_values=["NA"])


def clean(flights: pl.DataFrame) -> pl.DataFrame:
    """Those that landed, with whether they were late."""
    landed = flights.drop_nulls(["arr_delay", "dep_delay"])
    return landed.with_columns(late=(pl.col("arr_delay") >= LATE_MINUTES).cast(pl.Int8))


def features(clean: pl.DataFrame) -> pl.DataFrame:
    """What a model learns from; how late the flights of a route are usually."""
    usual = pl.col("arr_delay").mean().over("origin", "dest")
    return clean.with_columns(route_delay=usual).select(*NUMBERS, "day", "late")


def fit(features: pl.DataFrame, max_iter: int = 20) -> Any:
    """Boosted trees on the first three weeks of each month."""
    from sklearn.ensemble import HistGradientBoostingClassifier

    early = features.filter(pl.col("day") <= 21)
    trees = HistGradientBoostingClassifier(max_iter=max_iter, random_state=0)
    return trees.fit(early.select(NUMBERS).to_numpy(), early["late"].to_numpy())


def evaluate(fit: Any, features: pl.DataFrame) -> dict[str, float]:
    """How well it ranks the flights of the days after."""
    from sklearn.metrics import roc_auc_score

    later = features.filter(pl.col("day") > 21)
    score = fit.predict_proba(later.select(NUMBERS).to_numpy())[:, 1]
    return {"auc": float(roc_auc_score(later["late"].to_numpy(), score))}


def main() -> None:
    """The same as one plain script: reads the flights, writes the model and its metrics."""
    import json
    import pickle

    table = features(clean(load(Path("data/flights.csv"))))
    model = fit(table)
    Path("model.pkl").write_bytes(pickle.dumps(model))
    Path("metrics.json").write_text(json.dumps(evaluate(model, table)))


if __name__ == "__main__":
    sys.exit(main())
