"""A process that ends with the block, or the process, that started it."""

from __future__ import annotations

import subprocess
from collections.abc import Iterator
from contextlib import contextmanager


@contextmanager
def ended_after(
    child: subprocess.Popen[bytes], *, grace_s: float
) -> Iterator[subprocess.Popen[bytes]]:
    """Let a process run until the block ends; one that does not go in time is killed.

    Args:
        child: Started with a pipe as its standard input, whose end it takes for its own.
        grace_s: How long it may take to end.
    """
    try:
        yield child
    finally:
        child.terminate()
        try:
            child.wait(grace_s)
        except subprocess.TimeoutExpired:
            child.kill()
            child.wait()
        if child.stdin is not None:
            child.stdin.close()
