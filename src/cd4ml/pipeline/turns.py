"""Two runs that want the same step: one computes it, the other waits and takes its output.

A turn is a lock on one byte of a file that all runs on a machine open, the byte that the
step's fingerprint says: making and removing a file for each step takes longer than a small
step. The operating system lets go of it whatever ends the process, and the next one computes.
"""

from __future__ import annotations

import fcntl
import os
import struct
from pathlib import Path

# of one open file, not of the process: two runs in one process have to wait as well
_SET_LOCK = getattr(fcntl, "F_OFD_SETLK", None)
_LOCK = "hhqqi0q"  # struct flock: type, whence, start, length, pid
_DIGITS = 15  # of a fingerprint, that say which byte


class Turns:
    """The turns that one run takes.

    Args:
        state: The project's folder for what cd4ml keeps.
    """

    def __init__(self, state: Path) -> None:
        self._folder = state / "turns"
        self._descriptor: int | None = None
        self._held: set[int] = set()  # to the system these are ours whoever of us asks

    def take(self, fingerprint: str) -> Turn | None:
        """The turn of computing what has this fingerprint; None while another one has it."""
        digits = fingerprint.rpartition(":")[2]
        if _SET_LOCK is None:
            return _FileTurn.taken(self._folder / digits)
        if self._descriptor is None:
            self._descriptor = _opened(self._folder / "steps.lock")
        return _ByteTurn.taken(self._descriptor, int(digits[:_DIGITS], 16), self._held)

    def close(self) -> None:
        """No turn is wanted any more; those that were not ended end."""
        if self._descriptor is not None:
            os.close(self._descriptor)
            self._descriptor = None


class _ByteTurn:
    """The right to compute a step, held until `end`."""

    def __init__(self, descriptor: int, place: int, held: set[int]) -> None:
        self._descriptor = descriptor
        self._place = place
        self._held = held

    @classmethod
    def taken(cls, descriptor: int, place: int, held: set[int]) -> _ByteTurn | None:
        if place in held:
            return None
        try:
            _set(descriptor, place, fcntl.F_WRLCK)
        except BlockingIOError:
            return None
        held.add(place)
        return cls(descriptor, place, held)

    def end(self) -> None:
        """Whoever waits may go on."""
        _set(self._descriptor, self._place, fcntl.F_UNLCK)
        self._held.discard(self._place)


class _FileTurn:
    """The same where systems know no locks of an open file's bytes: a lock on a file of its own."""

    def __init__(self, path: Path, descriptor: int) -> None:
        self._path = path
        self._descriptor = descriptor

    @classmethod
    def taken(cls, path: Path) -> _FileTurn | None:
        while True:
            descriptor = _opened(path)
            try:
                fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
            except BlockingIOError:
                os.close(descriptor)
                return None
            if _is_still(path, descriptor):
                return cls(path, descriptor)
            os.close(descriptor)  # its holder removed it between our two calls

    def end(self) -> None:
        """Whoever waits may go on."""
        self._path.unlink(missing_ok=True)
        os.close(self._descriptor)


Turn = _ByteTurn | _FileTurn


def _set(descriptor: int, place: int, kind: int) -> None:
    assert _SET_LOCK is not None
    fcntl.fcntl(descriptor, _SET_LOCK, struct.pack(_LOCK, kind, os.SEEK_SET, place, 1, 0))


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
