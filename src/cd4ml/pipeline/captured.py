"""What a step prints, taken where every library and child process writes: at the descriptors."""

from __future__ import annotations

import os
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

_OUTPUTS = (1, 2)


@contextmanager
def captured(path: Path | None) -> Iterator[None]:
    """Append all that this process and those it starts print to a file; None leaves it alone.

    Standard output and standard error go to one file, in the order in which they were
    written. Bytes are kept as they are.
    """
    if path is None:
        yield
        return
    _flush()
    log = _opened(path)
    before = [os.dup(descriptor) for descriptor in _OUTPUTS]
    try:
        for descriptor in _OUTPUTS:
            os.dup2(log, descriptor)
        os.close(log)
        yield
    finally:
        _flush()
        for saved, descriptor in zip(before, _OUTPUTS, strict=True):
            os.dup2(saved, descriptor)
            os.close(saved)


def _opened(path: Path) -> int:
    flags = os.O_WRONLY | os.O_CREAT | os.O_APPEND
    try:
        return os.open(path, flags, 0o644)
    except FileNotFoundError:
        path.parent.mkdir(parents=True, exist_ok=True)
        return os.open(path, flags, 0o644)


def _flush() -> None:
    for stream in (sys.stdout, sys.stderr):
        try:
            stream.flush()
        except (AttributeError, OSError, ValueError):
            continue  # a step may have closed or replaced it
