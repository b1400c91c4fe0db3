"""A program: add a folder in a child process that is killed at one step, for every step there is.

    python -m tests.loop.kill_add FOLDER KEEPING

FOLDER is a project; its `in/` is the dataset `pictures`. Before each attempt a file is added to
it; a step is a source line of the engine that no earlier attempt was killed at. All attempts
work on the same project, among what the dead have left. Prints how many were killed.
"""

import os
import signal
import sys
from pathlib import Path
from types import FrameType
from typing import Any

import polars  # noqa: F401  # imported before the forks, which then cost next to nothing

from cd4ml.data import removal, taking
from cd4ml.loop import open_project
from cd4ml.loop.ingest import ingest
from cd4ml.loop.versions import gc
from cd4ml.store import delivery, file_store, objects
from tests.loop.world import ANN

WATCHED = {
    "copy": {module.__file__ for module in (objects, delivery, file_store, taking, removal)},
    "hardlink": {objects.__file__},
}
Step = tuple[str, int]


def add_until_a_new_step(folder: Path, keeping: Any, seen: set[Step], report: int) -> None:
    """Add and collect garbage, say which step comes that was not seen, and die there."""

    def at_step(frame: FrameType, event: str, argument: Any) -> Any:
        step = (frame.f_code.co_filename, frame.f_lineno)
        if event == "line" and step not in seen:
            os.write(report, f"{step[0]}:{step[1]}".encode())
            os.kill(os.getpid(), signal.SIGKILL)
        return at_step

    def at_call(frame: FrameType, event: str, argument: Any) -> Any:
        return at_step if frame.f_code.co_filename in WATCHED[keeping] else None

    with open_project(folder) as project:
        sys.settrace(at_call)
        ingest(project, "pictures", path="in", keeping=keeping, actor=ANN)
        gc(project, keep=1, actor=ANN)
        sys.settrace(None)


def main(folder: Path, keeping: str) -> None:
    """Kill at each step in turn, until an attempt comes to its end."""
    seen: set[Step] = set()
    while True:
        n = len(seen)
        (folder / "in" / f"{n:03}").write_bytes(b"%d" % n * 10)
        (folder / "in" / "changes").unlink(missing_ok=True)  # it may be the store's own
        (folder / "in" / "changes").write_bytes(b"%d" % n * 300_000)
        for old in sorted((folder / "in").glob("[0-9]*"))[:-3]:
            old.unlink()
        reader, writer = os.pipe()
        child = os.fork()
        if child == 0:
            add_until_a_new_step(folder, keeping, seen, writer)
            os._exit(0)
        os.close(writer)
        step = os.read(reader, 1000).decode()
        os.close(reader)
        _, status = os.waitpid(child, 0)
        if not step:
            assert status == 0, status
            break
        file, number = step.rsplit(":", 1)
        seen.add((file, int(number)))
    sys.stdout.write(str(len(seen)))


if __name__ == "__main__":
    main(Path(sys.argv[1]), sys.argv[2])
