"""A program: add a folder in a child process that is killed at one step, for every step there is.

    python -m tests.loop.kill_add FOLDER KEEPING

FOLDER is a project; its `in/` is the dataset `pictures`. Before each attempt a file is added to
it; a step is a source line of the engine that no earlier attempt was killed at. All attempts
work on the same project, among what the dead have left. Prints how many were killed.
"""

import sys
from pathlib import Path
from typing import Any

import obstore  # noqa: F401  # imported before the forks, which then cost next to nothing
import polars  # noqa: F401

from cd4ml.data import removal, taking
from cd4ml.loop import open_project
from cd4ml.loop.ingest import ingest
from cd4ml.loop.versions import gc
from cd4ml.store import delivery, disk, file_store, object_store, objects
from tests.killing import Work, kill_at_every_step
from tests.loop.world import ANN

WATCHED = {
    "copy": {
        module.__file__
        for module in (objects, disk, object_store, delivery, file_store, taking, removal)
    },
    "hardlink": {objects.__file__, disk.__file__, object_store.__file__},
}


def change(folder: Path, n: int) -> None:
    """A file more, another content of `changes`, and of the files only the latest three."""
    (folder / f"{n:03}").write_bytes(b"%d" % n * 10)
    (folder / "changes").unlink(missing_ok=True)  # it may be the store's own
    (folder / "changes").write_bytes(b"%d" % n * 300_000)
    for old in sorted(folder.glob("[0-9]*"))[:-3]:
        old.unlink()


def main(folder: Path, keeping: Any) -> None:
    """Kill at each step in turn, until an attempt comes to its end."""

    def attempt(n: int) -> Work:
        change(folder / "in", n)
        project = open_project(folder)

        def work() -> None:
            ingest(project, "pictures", path="in", keeping=keeping, actor=ANN)
            gc(project, keep=1, actor=ANN)

        return work

    n = kill_at_every_step(attempt, lambda code: code.co_filename in WATCHED[keeping])
    sys.stdout.write(str(n))


if __name__ == "__main__":
    main(Path(sys.argv[1]), sys.argv[2])
