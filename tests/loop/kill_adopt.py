"""A program: adopt files in a child process that is killed at one step, for every step there is.

    python -m tests.loop.kill_adopt FOLDER

FOLDER is a project with `days/`. A step is a source line that writes something, and that no earlier
attempt was killed at; each attempt adopts under a name of its own, and what a dead one left is
adopted again by a child that lives. Prints how many were killed.
"""

import sys
from pathlib import Path

import polars  # noqa: F401  # imported before the forks, which then cost next to nothing

from cd4ml.errors import AlreadyExists
from cd4ml.loop import open_project
from cd4ml.loop.adopt import adopt
from tests.killing import Work, kill_at_every_step
from tests.loop.world import ANN

WATCHED = {"_version", "_write_contract", "append", "write_whole"}


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


def main(folder: Path) -> None:
    """Kill at each step in turn, until an attempt comes to its end."""

    def attempt(n: int) -> Work:
        project = open_project(folder)
        return lambda: adopt(project, f"d{n}", "days", actor=ANN)

    n = kill_at_every_step(
        attempt,
        lambda code: code.co_name in WATCHED,
        afterwards=lambda n: adopt_again(folder, f"d{n}"),
    )
    sys.stdout.write(str(n))


if __name__ == "__main__":
    main(Path(sys.argv[1]))
