"""A small production: requests with a temperature, answers, and what came true."""

from collections.abc import Iterator
from datetime import datetime, timedelta
from typing import Any

import numpy as np
import polars as pl

from cd4ml.monitoring.reference import Reference, reference_of
from cd4ml.records.contract import Contract, Field
from cd4ml.store.log import PredictionLog
from tests.store.answers import answer

CONTRACT = Contract(
    name="delay", fields=(Field("temp", "number"), Field("carrier", "string", nullable=True))
)
METRICS = ("auc", "brier")


def happened(seed: int, n: int, *, warmer: float = 0.0, skill: float = 1.0) -> pl.DataFrame:
    """Rows with the request, the answer of a model of that skill, and the truth."""
    chance = np.random.default_rng(seed)
    temperature = chance.normal(warmer, 1, n)
    risk = 1 / (1 + np.exp(1.5 - 1.2 * (temperature - warmer)))
    score = skill * risk + (1 - skill) * chance.permutation(risk)
    return pl.DataFrame(
        {
            "temp": temperature,
            "carrier": chance.choice(["UA", "HA"], n),
            "score": score,
            "target": (chance.random(n) < risk).astype(float),
        }
    )


def released(seed: int = 0) -> Reference:
    """Version 1 of `delay` at its release."""
    return reference_of(
        happened(seed, 5_000),
        happened(seed + 1, 3_000),
        model="delay",
        number=1,
        contract=CONTRACT,
        target="target",
        metrics=METRICS,
    )


def asked(rows: pl.DataFrame, start: datetime, **changes: Any) -> Iterator[dict[str, Any]]:
    """The answers to these rows, one a minute from `start`."""
    for sequence, row in enumerate(rows.iter_rows(named=True)):
        request = {"temp": row["temp"], "carrier": row["carrier"]}
        at = start + timedelta(minutes=sequence)
        yield answer(sequence, at, score=row["score"], inputs=request, **changes)


def label_all(
    log: PredictionLog, answers: list[dict[str, Any]], values: pl.Series, arrived_at: datetime
) -> None:
    """Label each answer with its value."""
    labels = pl.DataFrame(
        {
            "prediction_id": [row["prediction_id"] for row in answers],
            "value": values,
            "labelled_at": [row["answered_at"] + timedelta(hours=5) for row in answers],
        }
    )
    named = labels.with_columns(arrived_at=arrived_at, labelled_by=pl.lit("airline"))
    log.add_labels(named, f"batch of {arrived_at.isoformat()}")
