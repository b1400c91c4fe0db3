"""Adds a folder in this process and prints what that cost, without interpreter and imports.

Run in the folder of the project, with the Python of the contestant:
    python benchmarks/adding.py cd4ml NAME
    python benchmarks/adding.py dvc FOLDER
"""

from __future__ import annotations

import json
import os
import sys
from collections.abc import Callable
from pathlib import Path

from contest import cost_of

FIRST = "first.bin"  # added before, so that what is measured finds everything imported and open


def cd4ml(name: str) -> Callable[[], object]:
    """`cd4ml data add`, with its stores open."""
    from cd4ml.loop import open_project
    from cd4ml.loop.ingest import ingest

    project, actor = open_project(Path()), os.environ["CD4ML_ACTOR"]
    ingest(project, "first", path=FIRST, actor=actor)
    return lambda: ingest(project, name, actor=actor)


def dvc(folder: str) -> Callable[[], object]:
    """`dvc add`, with its repository open."""
    from dvc.repo import Repo

    repository = Repo()
    repository.add([FIRST])
    return lambda: repository.add([folder])


def main(contestant: str, what: str) -> None:
    """Prepare, add, print."""
    Path(FIRST).write_bytes(os.urandom(1000))
    add = {"cd4ml": cd4ml, "dvc": dvc}[contestant](what)
    print(json.dumps(cost_of(add)))


if __name__ == "__main__":
    main(*sys.argv[1:])
