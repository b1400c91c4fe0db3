"""What a step logs while it computes; a process that only computes loads no database for it."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from datetime import datetime
from pathlib import Path
from typing import TYPE_CHECKING

from cd4ml.store.tracking.recorder import FOLDER, Recorder, recording

if TYPE_CHECKING:
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
