"""Files that somebody else writes: which state they are in, and whether they are quiet."""

from __future__ import annotations

import os
from datetime import datetime, timedelta
from pathlib import Path

from cd4ml.data.files import files_of
from cd4ml.errors import InvalidInput, NotFound
from cd4ml.store.address import address_of

QUIET_S = 5.0  # seconds in which nobody wrote, created, renamed or removed a file


def quiet_state(root: Path, pattern: str, *, now: datetime) -> str | None:
    """A name of the state that files are in; None while somebody writes, or if there are none.

    Looks at sizes and times only: the same name means that nothing was written meanwhile.

    Args:
        root: The folder that `pattern` is relative to.
        pattern: A file, a glob, or a folder with all that is in it.
        now: The machine's time, which files' times are in.
    """
    try:
        files = files_of(root, pattern).paths
        stats = [(path, path.stat()) for path in files]
        folders = [path.stat() for path in {path.parent for path in files}]
    except (OSError, NotFound, InvalidInput):  # none yet, or removed at this moment
        return None
    if not stats:
        return None
    # the time of the last change of any kind: copying tools set the other one to the past
    last_ns = max(found.st_ctime_ns for found in (*(stat for _, stat in stats), *folders))
    if last_ns / 1e9 > (now - timedelta(seconds=QUIET_S)).timestamp():
        return None
    lines = [
        b"\0".join(
            (
                os.fsencode(path),
                f"{stat.st_size} {stat.st_mtime_ns} {stat.st_ctime_ns} {stat.st_ino}".encode(),
            )
        )
        for path, stat in stats
    ]
    return address_of(b"\0\0".join(lines))
