"""What a step that is taken from the cache had logged where it was computed."""

from __future__ import annotations

from typing import TYPE_CHECKING

import msgspec

from cd4ml.records.run import Metric, StepRun
from cd4ml.records.run_artifact import RunArtifact
from cd4ml.store import rows

if TYPE_CHECKING:
    import sqlalchemy as sa


def take_over(connection: sa.Connection, cached: StepRun) -> None:
    """A cached step has logged what it logged where it was computed; histories are not copied.

    Args:
        connection: Of the write transaction that records the step.
        cached: The step, whose output was taken from the cache.
    """
    found = rows.find(
        connection,
        StepRun,
        fingerprint=cached.fingerprint,
        state="computed",
        limit=1,
        newest_first=True,
    )
    for computed in found:
        metrics = [
            msgspec.structs.replace(
                metric, run=cached.run, history_of=metric.history_of or metric.run
            )
            for metric in rows.find(connection, Metric, run=computed.run, by=cached.step)
        ]
        rows.put_all(connection, metrics)
        for artifact in rows.find(connection, RunArtifact, run=computed.run, by=cached.step):
            rows.put(connection, msgspec.structs.replace(artifact, run=cached.run))
