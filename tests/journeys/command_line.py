"""The real command line, typed by somebody."""

import json
import os
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
