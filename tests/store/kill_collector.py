"""A program: work on a log in a child process that is killed at one step, for every step there is.

    python kill_collector.py FOLDER collect|forget

FOLDER holds `before/`, a log that waits to be collected. Each attempt works on a copy,
`killed-0/`, `killed-1/`...; a step is a source line of the store that no earlier attempt was
killed at. Prints each attempt's number when it has ended. The one that ended last was undisturbed.
"""

import os
import shutil
import sys
from functools import partial
from pathlib import Path

import deltalake  # noqa: F401  # imported before the fork, which then costs next to nothing
import msgspec
import obstore  # noqa: F401
import polars  # noqa: F401
import sqlalchemy as sa

from cd4ml.store import (
    answer_counts,
    blobs,
    delta_log,
    disk,
    forgetting,
    growing_table,
    ledger,
    lines,
    log,
    named_objects,
    object_store,
    segments,
    shipped,
)
from cd4ml.store.forgetting import Forgotten
from cd4ml.store.log import PredictionLog
from cd4ml.store.masking import KEY
from tests.killing import Work, kill_at_every_step
from tests.store.answers import START, log_in

WATCHED = {
    "collect": (
        *(answer_counts, delta_log, growing_table, lines, log, segments, shipped),
        *(blobs, disk, named_objects, object_store),
    ),
    "forget": (delta_log, forgetting, growing_table),
}


def forget_ada(log: PredictionLog) -> None:
    """Forget a customer, and note how much it was."""

    def note(connection: sa.Connection, much: Forgotten) -> None:
        ledger.append(
            connection,
            at=START,
            actor="ada",
            action="log.forgotten",
            subject="predictions",
            details=msgspec.structs.asdict(much),
        )

    forgetting.forget(log, field=KEY, values=["Ada"], note=note)


def main(root: Path, work: str) -> None:
    """Kill at each step in turn, until an attempt comes to its end."""

    def attempt(n: int) -> Work:
        if n:
            _say(n - 1)
        folder = root / f"killed-{n}"
        shutil.copytree(root / "before", folder)
        log = log_in(folder)
        return log.collect if work == "collect" else partial(forget_ada, log)

    watched = {module.__file__ for module in WATCHED[work]}
    _say(kill_at_every_step(attempt, lambda code: code.co_filename in watched))


def _say(n: int) -> None:
    os.write(sys.stdout.fileno(), b"%d\n" % n)


if __name__ == "__main__":
    main(Path(sys.argv[1]), sys.argv[2])
