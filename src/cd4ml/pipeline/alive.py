"""Runs whose process ended without a word.

Each run holds a lock on a small file while its process lives; the operating system lets
go of it whatever ends the process. A run that says `running` and whose lock is free
was interrupted.
"""

from __future__ import annotations

import fcntl
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import datetime
from pathlib import Path
from typing import TYPE_CHECKING

import msgspec

from cd4ml.records.run import Run
from cd4ml.store import ledger, rows

if TYPE_CHECKING:
    from sqlalchemy import Connection

INTERRUPTED = "interrupted: its process ended"


class LifeSign:
    """The lock of one run's process."""

    def __init__(self, state: Path, run: int) -> None:
        self._path = _path(state, run)
        self._path.parent.mkdir(parents=True, exist_ok=True)
        self._file = self._path.open("w")
        fcntl.flock(self._file, fcntl.LOCK_EX | fcntl.LOCK_NB)

    def end(self) -> None:
        """The run has ended, and says so itself."""
        self._path.unlink(missing_ok=True)
        self._file.close()

    def let_go(self) -> None:
        """Nobody works on the run any more; unless its end was told, it was interrupted."""
        self._file.close()


def end_interrupted(connection: Connection, state: Path, *, at: datetime) -> list[Run]:
    """Mark the runs as failed that were interrupted on this machine; returns them.

    Call it within a write transaction. Runs of other machines leave no lock here and are
    left alone.
    """
    ended = []
    for run in rows.find(connection, Run, state="running"):
        with _free(_path(state, run.number)) as is_free:
            if is_free:
                failed = msgspec.structs.replace(
                    run, state="failed", reason=INTERRUPTED, finished_at=at
                )
                rows.replace(connection, failed)
                ledger.append(
                    connection,
                    at=at,
                    actor=run.created_by,
                    action="run.failed",
                    subject=run.ref,
                    reason=INTERRUPTED,
                )
                _path(state, run.number).unlink(missing_ok=True)
                ended.append(failed)
    return ended


def is_interrupted(state: Path, run: int) -> bool:
    """Whether the process of a run that says `running` has ended; no, if it left no lock here."""
    with _free(_path(state, run)) as is_free:
        return is_free


@contextmanager
def _free(path: Path) -> Iterator[bool]:
    """Whether the lock exists and nobody holds it."""
    try:
        file = path.open("r+")
    except FileNotFoundError:
        yield False
        return
    with file:
        try:
            fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            yield False
            return
        yield True


def _path(state: Path, run: int) -> Path:
    return state / "runs" / f"{run}.lock"
