"""What steps log, taken into the database: while they compute, and where they are cached."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

import msgspec

from cd4ml.records.run import Metric, StepRun
from cd4ml.records.run_artifact import RunArtifact
from cd4ml.store import rows
from cd4ml.store.segments import Segment
from cd4ml.store.tracking.collection import collect
from cd4ml.store.tracking.recorder import FOLDER, prefix_of

if TYPE_CHECKING:
    import sqlalchemy as sa

    from cd4ml.store.database import Database


def collect_logged(database: Database, state: Path, run: int) -> None:
    """Take what the steps of a run have logged until now into the database."""
    collect(database, state / FOLDER, prefix=prefix_of(run))


def keep_lines(state: Path, run: int, lines: bytes) -> None:
    """Put lines that came from another machine into a journal of this one."""
    if lines:
        journal = Segment(state / FOLDER, f"{prefix_of(run)}elsewhere")
        for line in lines.splitlines():
            journal.append(line)
        journal.close()


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
