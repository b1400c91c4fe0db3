"""A segment's file that was removed while it was written to, and how its lines come back.

As long as its writer keeps it open, the system keeps what was written to it.
"""

from __future__ import annotations

import errno
import fcntl
import logging
import os
from pathlib import Path
from typing import NamedTuple

from cd4ml.store.disk import sync
from cd4ml.store.seen import is_gone

_log = logging.getLogger(__name__)

FULL = frozenset([errno.ENOSPC, errno.EDQUOT])

_AT_ONCE = 2**20  # bytes
_MOST_HELD = 256 * 2**20  # bytes that are held in memory, where the disk is full


class RemovedSegment(NamedTuple):
    """A file without a name; nothing more is written to it.

    `held` is all of it, where its room on the disk had to be given back (`is_held`).
    """

    name: str
    descriptor: int
    held: bytes = b""
    is_held: bool = False

    @property
    def n_bytes(self) -> int:
        """How many this process has, and nobody else."""
        return len(self.held) if self.is_held else os.fstat(self.descriptor).st_size

    def written_again(self, folder: Path) -> RemovedSegment | None:
        """Give it its name again; None if it has it, else what is left to do."""
        try:
            if is_gone(folder) or not self._is_written(folder / self.name):
                return self
        except OSError as error:
            return self._in_memory() if error.errno in FULL and not self.is_held else self
        if not self.is_held:
            os.close(self.descriptor)
        _log.warning("%s was removed, and is written again", self.name)
        return None

    def _is_written(self, path: Path) -> bool:
        """Write to the name what the file has and the name has not; whether all is there.

        Whoever copied the folder back brought a part of it: both are the same up to there.
        """
        descriptor = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_APPEND, 0o644)
        try:
            fcntl.flock(descriptor, fcntl.LOCK_EX)
            if os.fstat(descriptor).st_nlink == 0:  # a collector removed it meanwhile
                return False
            while data := self._rest(os.fstat(descriptor).st_size):
                os.write(descriptor, data)
            os.fsync(descriptor)
        finally:
            os.close(descriptor)
        sync(path.parent)
        return True

    def _rest(self, offset: int) -> bytes:
        if self.is_held:
            return self.held[offset : offset + _AT_ONCE]
        return os.pread(self.descriptor, _AT_ONCE, offset)

    def _in_memory(self) -> RemovedSegment:
        """The same in memory: as safe as a file without a name, and its room is free again."""
        size = os.fstat(self.descriptor).st_size
        if size > _MOST_HELD:
            return self
        parts = [os.pread(self.descriptor, _AT_ONCE, at) for at in range(0, size, _AT_ONCE)]
        os.close(self.descriptor)
        return self._replace(descriptor=-1, held=b"".join(parts), is_held=True)
