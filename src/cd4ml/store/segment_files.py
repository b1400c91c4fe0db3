"""What collectors do with segments: find them, read them, and remove what is drained.

See `segments` for who writes them; a file whose lock can be had is written to no more.
"""

from __future__ import annotations

import fcntl
import logging
import os
from pathlib import Path

from cd4ml.store.segments import SUFFIX

_log = logging.getLogger(__name__)

_ERASED = 2**20  # bytes at once


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
        torn = os.fstat(descriptor).st_size - drained
        if torn > 0:
            _log.warning("%d bytes of a torn last line cut off: %s", torn, segment.name)
        segment.unlink()
    except BlockingIOError:
        return False
    finally:
        os.close(descriptor)
    return True


def erase(segment: Path, end: int) -> None:
    """Overwrite a segment's first bytes, which nobody reads again; its writer is not disturbed.

    Args:
        segment: The file; it may be gone.
        end: How far it was drained, in bytes.
    """
    try:
        descriptor = os.open(segment, os.O_WRONLY)
    except FileNotFoundError:
        return
    try:
        # no further than the file goes: behind its end the writer appends
        size = min(end, os.fstat(descriptor).st_size)
        for start in range(0, size, _ERASED):
            os.pwrite(descriptor, bytes(min(_ERASED, size - start)), start)
        os.fsync(descriptor)
    finally:
        os.close(descriptor)
