"""The real command line, typed by somebody."""

import json
import os
import socket
import subprocess
import sys
from pathlib import Path
from typing import Any, NamedTuple

CD4ML = [sys.executable, "-m", "cd4ml"]
_TIMEOUT_S = 100


class Ran(NamedTuple):
    """How a command ended, and what it printed."""

    code: int
    out: str
    err: str

    @property
    def json(self) -> Any:
        """The answer for machines."""
        return json.loads(self.out)


def cd4ml(*words: str, folder: Path, actor: str = "ann", **environment: str) -> Ran:
    """Type `cd4ml WORDS` in a folder, as somebody."""
    done = subprocess.run(
        [*CD4ML, *words],
        cwd=folder,
        capture_output=True,
        text=True,
        timeout=_TIMEOUT_S,
        env={**os.environ, "CD4ML_ACTOR": actor, **environment},
    )
    return Ran(done.returncode, done.stdout, done.stderr)


def free_ports(n: int) -> int:
    """The first of `n` neighbouring ports on which nobody listens now."""
    while True:
        with socket.socket() as probe:
            probe.bind(("127.0.0.1", 0))
            first: int = probe.getsockname()[1]
        if all(is_free(first + i) for i in range(n)):
            return first


def is_free(port: int) -> bool:
    """Whether nobody listens on a port."""
    try:
        socket.create_server(("127.0.0.1", port)).close()
    except (OSError, OverflowError):
        return False
    return True
