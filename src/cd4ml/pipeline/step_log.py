"""What a step logs while it computes, and what it had logged where it is taken from the cache."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from datetime import datetime
from pathlib import Path
from typing import TYPE_CHECKING

import msgspec

from cd4ml.records.run import Metric, StepRun
from cd4ml.records.run_artifact import RunArtifact
from cd4ml.store import rows
from cd4ml.store.tracking.recorder import FOLDER, Recorder, recording

if TYPE_CHECKING:
    import sqlalchemy as sa

    from cd4ml.store.blobs import Blobs
    from cd4ml.store.database import Database


@contextmanager
def logging_step(
    state: Path,
    run: int,
    step: str,
    *,
    now: Callable[[], datetime],
    blobs: Callable[[], Blobs],
    database: Callable[[], Database] | None = None,
) -> Iterator[None]:
    """While it lasts, `cd4ml.log` logs into this step of this run.

    In a process without a database the lines stay in its journal below `state`: let whoever
    records the step call `collect(database, state / FOLDER, prefix=prefix_of(run))`.

    Args:
        state: The project's folder for what cd4ml keeps.
        run: The number of the run.
        step: The name of the step.
        now: Tells the time.
        blobs: Opens the blobs.
        database: Opens the database; None where another process collects.
    """
    recorder = Recorder(state / FOLDER, run, now=now, database=database, blobs=blobs, by=step)
    try:
        with recording(recorder):
            yield
    finally:
        recorder.close()


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
