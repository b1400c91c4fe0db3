"""A program: collect in a child process that is killed at one step, for every step there is.

    python kill_collector.py FOLDER

FOLDER holds `before/`, a log that waits to be collected. Each attempt works on a copy,
`killed-0/`, `killed-1/`...; a step is a source line of the store that no earlier attempt was
killed at. Prints how many attempts were killed. The copy left last was collected undisturbed.
"""

import shutil
import sys
from pathlib import Path

import deltalake  # noqa: F401  # imported before the fork, which then costs next to nothing
import obstore  # noqa: F401
import polars  # noqa: F401

from cd4ml.store import answer_counts, blobs, delta_log, growing_table, lines, log, segments
from tests.killing import Work, kill_at_every_step
from tests.store.answers import log_in

WATCHED = {
    module.__file__
    for module in (answer_counts, blobs, delta_log, growing_table, lines, log, segments)
}


def main(root: Path) -> None:
    """Kill at each step in turn, until an attempt comes to its end."""

    def attempt(n: int) -> Work:
        folder = root / f"killed-{n}"
        shutil.copytree(root / "before", folder)
        return log_in(folder).collect

    sys.stdout.write(str(kill_at_every_step(attempt, lambda code: code.co_filename in WATCHED)))


if __name__ == "__main__":
    main(Path(sys.argv[1]))
