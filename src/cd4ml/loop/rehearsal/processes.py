"""Other processes of cd4ml that a rehearsal starts and ends."""

from __future__ import annotations

import os
import socket
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from cd4ml.errors import Unavailable
from cd4ml.loop.child_process import ended_after

_GRACE_S = 10.0
_RETRY_S = 0.1


@contextmanager
def process(
    arguments: list[str], *, host: str, port: int, folder: Path, log: Path
) -> Iterator[subprocess.Popen[bytes]]:
    """Run `cd4ml ARGUMENTS` for a project until the block, or this process, ends.

    Args:
        arguments: The command, without its address.
        host: Where it listens.
        port: Where it listens; nobody else may.
        folder: The project's.
        log: Gets what it prints.

    Raises:
        Unavailable: If somebody listens on the port already.
    """
    _wait_until_free(host, port)
    log.parent.mkdir(parents=True, exist_ok=True)
    address = ["--host", host, "--port", str(port)]
    with log.open("ab") as output:
        child = subprocess.Popen(
            [sys.executable, "-m", "cd4ml.loop.rehearsal.child", *arguments, *address],
            cwd=folder,
            stdin=subprocess.PIPE,  # closed with this process, which ends the child
            stdout=output,
            stderr=output,
            env={**os.environ, "CD4ML_PROJECT": str(folder.absolute())},
        )
    with ended_after(child, grace_s=_GRACE_S):
        yield child


def _wait_until_free(host: str, port: int) -> None:
    # what a killed rehearsal left is on its way out
    deadline = time.monotonic() + _GRACE_S
    while not _is_free(host, port):
        if time.monotonic() > deadline:
            msg = f"another process listens on {host} port {port}"
            raise Unavailable(msg, hint="end it, or choose other ports with --port")
        time.sleep(_RETRY_S)


def _is_free(host: str, port: int) -> bool:
    try:
        socket.create_server((host, port)).close()
    except OSError:
        return False
    return True
