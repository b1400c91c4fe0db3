"""The files a serving process appends its answers to, before the answers leave.

One line, one write: what `append` returned from is in the operating system's hands and
survives `kill -9` of the process (not a power cut: nothing is synced to disk here). The
writer holds an advisory lock on its file as long as it lives, so the collector can tell
a file that may still grow from one that never will.
"""

from __future__ import annotations

import errno
import fcntl
import os
import re
import secrets
from pathlib import Path

from cd4ml.errors import InvalidInput

SUFFIX = ".jsonl"
ROTATE_BYTES = 64 * 2**20


class Segment:
    """The growing end of one worker's log; used by one thread at a time.

    Each file's name is used once in the life of a project: the collector remembers by
    name how far a file was drained.
    """

    def __init__(self, folder: Path, worker: str, *, rotate_bytes: int = ROTATE_BYTES) -> None:
        self._folder = folder
        self._worker = re.sub(r"[^A-Za-z0-9_.-]", "_", worker)
        self._rotate_bytes = rotate_bytes
        self._size = 0
        self._descriptor: int | None = None
        folder.mkdir(parents=True, exist_ok=True)
        self._open()

    def append(self, line: bytes) -> None:
        """Write one line, whole; when this returns, the line is not lost.

        Raises:
            OSError: If not all of it could be written (disk full); the request must then
                not be answered. The next `append` begins a new file, so the torn line
                stays the last of its own and is never read.
            InvalidInput: If the line contains a line break.
        """
        if b"\n" in line:
            msg = f"a log line must not contain a line break, got {line[:80]!r}"
            raise InvalidInput(msg)
        data = line + b"\n"
        descriptor = self._open() if self._descriptor is None else self._descriptor
        try:
            written = os.write(descriptor, data)
        except OSError:
            self.close()
            raise
        if written != len(data):
            self.close()
            raise OSError(errno.ENOSPC, f"wrote {written} of {len(data)} bytes to {self._folder}")
        self._size += written
        if self._size >= self._rotate_bytes:
            self.close()

    def close(self) -> None:
        """Give the file up; the collector removes it once it is drained."""
        if self._descriptor is not None:
            os.close(self._descriptor)
            self._descriptor = None

    def _open(self) -> int:
        name = f"{self._worker}-{secrets.token_hex(8)}{SUFFIX}"
        flags = os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_APPEND
        descriptor = os.open(self._folder / name, flags, 0o644)
        fcntl.flock(descriptor, fcntl.LOCK_EX)
        if os.fstat(descriptor).st_nlink == 0:  # taken for abandoned before it was locked
            os.close(descriptor)
            return self._open()
        self._descriptor, self._size = descriptor, 0
        return descriptor


def segments_in(folder: Path) -> list[Path]:
    """Every segment file, by name; none if the folder does not exist."""
    return sorted(folder.glob(f"*{SUFFIX}"))


def complete_lines(segment: Path, offset: int) -> bytes:
    """What was appended from `offset` (bytes) up to the last line break.

    A torn last line is left out: either its writer is in the middle of it, or it died
    there and the request was never answered.
    """
    try:
        with segment.open("rb") as file:
            file.seek(offset)
            data = file.read()
    except FileNotFoundError:  # another collector drained and removed it meanwhile
        return b""
    return data[: data.rfind(b"\n") + 1]


def remove_if_abandoned(segment: Path, drained: int) -> bool:
    """Delete a segment that no process writes to and whose complete lines are all drained.

    Args:
        segment: The file.
        drained: Bytes of it that are safely elsewhere.

    Returns:
        True if it is gone.
    """
    try:
        descriptor = os.open(segment, os.O_RDONLY)
    except FileNotFoundError:
        return True
    try:
        fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
        if complete_lines(segment, drained):
            return False
        segment.unlink()
    except BlockingIOError:
        return False
    finally:
        os.close(descriptor)
    return True
