"""Two runs that want the same step: one computes it, the other waits and takes its output.

A turn is a lock on a small file named by the step's fingerprint, on one machine. The
operating system lets go of it whatever ends the process, and the next one computes.
"""

from __future__ import annotations

import fcntl
import os
from pathlib import Path


class Turn:
    """The right to compute a step, held until `end`."""

    def __init__(self, path: Path, descriptor: int) -> None:
        self._path = path
        self._descriptor = descriptor

    def end(self) -> None:
        """Whoever waits may go on."""
        self._path.unlink(missing_ok=True)
        os.close(self._descriptor)


def take_turn(state: Path, fingerprint: str) -> Turn | None:
    """The turn of computing what has this fingerprint; None while another one has it."""
    path = state / "turns" / fingerprint.rpartition(":")[2]
    while True:
        descriptor = _opened(path)
        try:
            fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            os.close(descriptor)
            return None
        if _is_still(path, descriptor):
            return Turn(path, descriptor)
        os.close(descriptor)  # its holder removed it between our two calls


def _opened(path: Path) -> int:
    # closed on exec by Python; spawned workers never hold a turn
    try:
        return os.open(path, os.O_RDWR | os.O_CREAT, 0o644)
    except FileNotFoundError:
        path.parent.mkdir(parents=True, exist_ok=True)
        return os.open(path, os.O_RDWR | os.O_CREAT, 0o644)


def _is_still(path: Path, descriptor: int) -> bool:
    try:
        return os.path.samestat(path.stat(), os.fstat(descriptor))
    except FileNotFoundError:
        return False
