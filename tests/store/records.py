"""Builders of records for tests of the store."""

from datetime import UTC, datetime
from typing import Any

from cd4ml.records.actor import Actor
from cd4ml.records.job import Job
from cd4ml.records.model_version import ModelVersion
from cd4ml.records.run import Metric, Run

NOW = datetime(2013, 1, 1, tzinfo=UTC)


def actor(name: str = "ann", **changes: Any) -> Actor:
    return Actor(**{"name": name, "added_at": NOW, "added_by": name, **changes})


def run(number: int = 1, **changes: Any) -> Run:
    given = {"experiment": "default", "state": "finished", "started_at": NOW, "created_by": "ann"}
    return Run(number=number, **{**given, **changes})


def metric(value: float | None, **changes: Any) -> Metric:
    return Metric(**{"run": 1, "name": "auc", "value": value, "logged_at": NOW, **changes})


def job(number: int = 1, **changes: Any) -> Job:
    given = {"kind": "retrain", "key": f"retrain-{number}", "created_at": NOW, "created_by": "ann"}
    return Job(number=number, **{**given, **changes})


def version(model: str = "delay", number: int = 1) -> ModelVersion:
    return ModelVersion(
        model=model,
        number=number,
        run=number,
        verdict=number,
        artifact="blake3:" + "a" * 64,
        contract="blake3:" + "c" * 64,
        created_at=NOW,
        created_by="ann",
    )
