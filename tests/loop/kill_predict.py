"""A program: score files in a child process that is killed at one step, for every step there is.

    python -m tests.loop.kill_predict PROJECT

The project has `in/*.parquet` and `delay/1`. Each attempt goes on where the dead one before it
was. Prints how many were killed.
"""

import sys
from pathlib import Path

import polars  # noqa: F401  # imported before the forks, which then cost next to nothing

from cd4ml.loop import open_project
from cd4ml.loop.predict import predict
from cd4ml.serving.batch import place, plan, scoring
from tests.killing import Work, kill_at_every_step

WATCHED = {module.__file__ for module in (place, plan, scoring)}


def main(folder: Path) -> None:
    """Kill at each step in turn, until an attempt comes to its end."""

    def attempt(n: int) -> Work:
        project = open_project(folder)

        def work() -> None:
            predict(
                project,
                "delay/1",
                input=str(folder / "in"),
                output=str(folder / "scored"),
                policy="aside",
                piece_rows=150,
                actor="ann",
            )

        return work

    sys.stdout.write(str(kill_at_every_step(attempt, lambda code: code.co_filename in WATCHED)))


if __name__ == "__main__":
    main(Path(sys.argv[1]))
