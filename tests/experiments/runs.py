"""Builders of runs with metrics."""

from datetime import UTC, datetime
from typing import TYPE_CHECKING, Any

from cd4ml.experiments.tracking import TrackedRun
from cd4ml.records.run import Metric, Run
from cd4ml.store import rows

if TYPE_CHECKING:
    from sqlalchemy import Connection

NOW = datetime(2013, 1, 1, tzinfo=UTC)


def run(number: int, **changes: Any) -> Run:
    """A finished run of the experiment `delays`."""
    values: dict[str, Any] = {
        "number": number,
        "experiment": "delays",
        "state": "finished",
        "code": "blake3:" + "c" * 64,
        "environment": "blake3:" + "e" * 64,
        "refs": {"flights": "flights@1"},
        "started_at": NOW,
        "created_by": "ada",
    }
    return Run(**{**values, **changes})


def tracked(number: int, metrics: dict[str, float | None], **changes: Any) -> TrackedRun:
    """A run with metrics, in memory."""
    return TrackedRun(run=run(number, **changes), metrics=metrics)


def record(connection: "Connection", each: TrackedRun) -> None:
    """Store a run with its metrics."""
    rows.insert(connection, each.run)
    for name, value in each.metrics.items():
        rows.insert(connection, Metric(run=each.run.number, name=name, value=value, logged_at=NOW))
