"""Other processes of cd4ml that a rehearsal starts and ends."""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

_GRACE_S = 10.0


@contextmanager
def process(arguments: list[str], *, folder: Path, log: Path) -> Iterator[subprocess.Popen[bytes]]:
    """Run `cd4ml ARGUMENTS` for a project until the block ends; its output goes to `log`."""
    log.parent.mkdir(parents=True, exist_ok=True)
    with log.open("ab") as output:
        child = subprocess.Popen(
            [*_ends_with_parent(), sys.executable, "-m", "cd4ml", *arguments],
            cwd=folder,
            stdin=subprocess.DEVNULL,
            stdout=output,
            stderr=output,
            env={**os.environ, "CD4ML_PROJECT": str(folder)},
        )
    try:
        yield child
    finally:
        child.terminate()
        try:
            child.wait(_GRACE_S)
        except subprocess.TimeoutExpired:
            child.kill()
            child.wait()


def _ends_with_parent() -> list[str]:
    # a rehearsal that is killed cannot end its processes, and they would hold its ports when
    # it goes on; setpriv (util-linux) has the kernel do it
    return ["setpriv", "--pdeathsig=TERM", "--"] if shutil.which("setpriv") else []
