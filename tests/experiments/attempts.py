"""What trials do: importable by the processes that a search spawns."""

import os
import signal
import time
from pathlib import Path
from typing import Any

from cd4ml.errors import PipelineError


def attempt(folder: Path, parameters: dict[str, Any]) -> int:
    """Note the process, then do what the parameter `do` says; returns a run's number."""
    number = parameters["step.number"]
    (folder / f"{number}-{os.getpid()}").touch()
    match parameters.get("step.do"):
        case "fail":
            raise PipelineError("pipeline.py:7: step 'delay' failed", hint="correct it")
        case "break":
            raise ValueError("unexpected")
        case "die":
            os.kill(os.getpid(), signal.SIGKILL)
        case "wait":
            time.sleep(0.2)
    return 100 + number
