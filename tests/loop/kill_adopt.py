"""A program: adopt files in a child process that is killed at one step, for every step there is.

    python -m tests.loop.kill_adopt FOLDER

FOLDER is a project with `days/`. A step is a source line that writes something, and that no earlier
attempt was killed at; each attempt adopts under a name of its own, and what a dead one left is
adopted again by a child that lives. Prints how many were killed.
"""

import os
import signal
import sys
from pathlib import Path
from types import FrameType
from typing import Any

import polars  # noqa: F401  # imported before the forks, which then cost next to nothing

from cd4ml.errors import AlreadyExists
from cd4ml.loop import open_project
from cd4ml.loop.adopt import adopt
from tests.loop.world import ANN

WATCHED = {"_version", "_write_contract", "append", "write_whole"}
Step = tuple[str, int]


def adopt_until_a_new_step(folder: Path, name: str, seen: set[Step], report: int) -> None:
    """Adopt, say which step comes that was not seen, and die there."""

    def at_step(frame: FrameType, event: str, argument: Any) -> Any:
        step = (frame.f_code.co_filename, frame.f_lineno)
        if event == "line" and step not in seen:
            os.write(report, f"{step[0]}:{step[1]}".encode())
            os.kill(os.getpid(), signal.SIGKILL)
        return at_step

    def at_call(frame: FrameType, event: str, argument: Any) -> Any:
        return at_step if frame.f_code.co_name in WATCHED else None

    with open_project(folder) as project:
        sys.settrace(at_call)
        adopt(project, name, "days", actor=ANN)
        sys.settrace(None)


def adopt_again(folder: Path, name: str) -> None:
    """The same command: it goes on, or all was done."""
    with open_project(folder) as project:
        if name in project.settings.data:
            contract = project.settings.data[name].contract
            assert (folder / contract).is_file(), contract
        try:
            assert adopt(project, name, "days", actor=ANN).version.ref == f"{name}@1"
        except AlreadyExists:
            assert name in project.settings.data
    os._exit(0)


def main(folder: Path) -> None:
    """Kill at each step in turn, until an attempt comes to its end."""
    seen: set[Step] = set()
    while True:
        name = f"d{len(seen)}"
        reader, writer = os.pipe()
        child = os.fork()
        if child == 0:
            adopt_until_a_new_step(folder, name, seen, writer)
            os._exit(0)
        os.close(writer)
        step = os.read(reader, 1000).decode()
        os.close(reader)
        _, status = os.waitpid(child, 0)
        if not step:
            assert status == 0, status
            break
        child = os.fork()
        if child == 0:
            adopt_again(folder, name)
        _, status = os.waitpid(child, 0)
        assert status == 0, (step, status)
        file, number = step.rsplit(":", 1)
        seen.add((file, int(number)))
    sys.stdout.write(str(len(seen)))


if __name__ == "__main__":
    main(Path(sys.argv[1]))
