"""A program: collect in a child process that is killed at one step, for every step there is.

    python kill_collector.py FOLDER

FOLDER holds `before/`, a log that waits to be collected. Each attempt works on a copy,
`killed-0/`, `killed-1/`...; a step is a source line of the store that no earlier attempt was
killed at. Prints how many attempts were killed. The copy left last was collected undisturbed.
"""

import os
import shutil
import signal
import sys
from pathlib import Path
from types import FrameType
from typing import Any

import obstore  # noqa: F401  # imported before the fork, which then costs next to nothing
import polars  # noqa: F401

from cd4ml.store import blobs, growing_table, lines, log, segments
from tests.store.answers import log_in

WATCHED = {module.__file__ for module in (blobs, growing_table, lines, log, segments)}
Step = tuple[str, int]


def collect_until_a_new_step(folder: Path, seen: list[Step], report: int) -> None:
    """Collect, say which step comes that was not seen, and die there."""

    def at_step(frame: FrameType, event: str, argument: Any) -> Any:
        step = (frame.f_code.co_filename, frame.f_lineno)
        if event == "line" and step not in seen:
            os.write(report, f"{step[0]}:{step[1]}".encode())
            os.kill(os.getpid(), signal.SIGKILL)
        return at_step

    def at_call(frame: FrameType, event: str, argument: Any) -> Any:
        return at_step if frame.f_code.co_filename in WATCHED else None

    collector = log_in(folder)
    sys.settrace(at_call)
    collector.collect()
    sys.settrace(None)


def main(root: Path) -> None:
    """Kill at each step in turn, until an attempt comes to its end."""
    seen: list[Step] = []
    while True:
        folder = root / f"killed-{len(seen)}"
        shutil.copytree(root / "before", folder)
        reader, writer = os.pipe()
        child = os.fork()
        if child == 0:
            collect_until_a_new_step(folder, seen, writer)
            os._exit(0)
        os.close(writer)
        step = os.read(reader, 1000).decode()
        os.close(reader)
        _, status = os.waitpid(child, 0)
        if not step:
            assert status == 0, status
            break
        file, number = step.rsplit(":", 1)
        seen.append((file, int(number)))
    sys.stdout.write(str(len(seen)))


if __name__ == "__main__":
    main(Path(sys.argv[1]))
