"""A candidate in its real serving process, in a project of its own that is gone afterwards."""

from __future__ import annotations

import os
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import NamedTuple

from cd4ml.errors import Unavailable
from cd4ml.loop.child_process import ended_after
from cd4ml.loop.gathering.asked import Asked
from cd4ml.models.manifest import Manifest
from cd4ml.models.trust import is_ours, word_for
from cd4ml.records.plan import Arm, Plan
from cd4ml.records.trust import Trust
from cd4ml.records.worker import Worker
from cd4ml.serving.last_known import LastKnown
from cd4ml.store import ledger, rows
from cd4ml.store.database import Database, open_database
from cd4ml.store.people import SYSTEM
from cd4ml.store.project import FILE, STATE

ENVIRONMENT, CANDIDATE = "trial", "candidate"

_START_S = 120.0  # a busy machine imports libraries for a long time
_TRYING_S = 5.0  # with a plan that cannot be loaded: the first attempt may have met a busy disk
_POLL_S = 0.02
_GRACE_S = 10.0
_SETTINGS = f"""[project]
name = "trial"

[environments.{ENVIRONMENT}]
"""


class Served(NamedTuple):
    """A process that answers with the candidate."""

    address: str  # http://127.0.0.1:PORT
    process: int
    segments: Path  # where it writes down what it answered


@contextmanager
def served(asked: Asked) -> Iterator[Served]:
    """Answer with the candidate over HTTP until the block ends.

    The process is `cd4ml serve` itself, as in production: it follows a plan in a database,
    fetches and verifies the model, compiled where it is, keeps its contract, and writes down
    each answer before it leaves. All of that lies in a folder that is removed afterwards; the
    project's own plans, log and ledger see nothing of it.

    Raises:
        Unavailable: If it does not answer with the candidate within two minutes; with what it said.
    """
    with tempfile.TemporaryDirectory(prefix="cd4ml-trial-") as name:
        folder = Path(name)
        database = _laid_out(folder, asked)
        try:
            with _process(folder, asked.project.folder) as child:
                address = _when_ready(database, child, folder)
                yield Served(address, child.pid, folder / STATE / "segments")
        finally:
            database.close()


def _laid_out(folder: Path, asked: Asked) -> Database:
    """A project with a plan of the candidate alone, and what its process may load."""
    (folder / FILE).write_text(_SETTINGS)
    (folder / STATE).mkdir()
    LastKnown(folder / STATE).fetch(asked.project.blobs, asked.artifact)  # into .cd4ml/blobs
    database = open_database(f"sqlite:///{STATE}/cd4ml.db", folder=folder)
    arm = Arm(
        role="champion",
        model=CANDIDATE,
        number=asked.candidate.run.number,
        artifact=asked.artifact,
        weight_percent=100.0,
    )
    plan = Plan(
        number=1,
        environment=ENVIRONMENT,
        model=CANDIDATE,
        arms=(arm,),
        release=1,
        made_at=asked.project.clock.machine_time(),
    )
    with database.write() as connection:
        rows.insert(connection, plan)
        ledger.append(  # as a release would: who serves it believes no other plan
            connection,
            at=plan.made_at,
            actor=SYSTEM,
            action="trial.laid_out",
            subject=plan.made_by,
            records=(plan,),
        )
        if word := _word(asked):
            rows.insert(connection, word)
    return database


def _word(asked: Asked) -> Trust | None:
    """The project's word for the candidate's pickle, where it is one that may be loaded."""
    manifest = asked.project.blobs.get_record(asked.artifact, Manifest)
    estimator = manifest.estimator
    with asked.project.database.read() as connection:
        may_load = is_ours(connection, estimator) or word_for(connection, estimator) is not None
    if manifest.kind != "native" or not may_load:
        return None
    return Trust(
        digest=estimator,
        why="the project that judges it lets it be loaded",
        role="admin",
        given_at=asked.project.clock.machine_time(),
        given_by="system",
    )


@contextmanager
def _process(folder: Path, project: Path) -> Iterator[subprocess.Popen[bytes]]:
    # `-m` looks for modules in its working folder: an estimator may need the project's own
    with (folder / "log").open("wb") as log:
        child = subprocess.Popen(
            [
                *(sys.executable, "-m", "cd4ml.loop.rehearsal.child"),
                *("serve", "--in", ENVIRONMENT, "--host", "127.0.0.1", "--port", "0"),
            ],
            cwd=project,
            stdin=subprocess.PIPE,  # closed with this process, which ends the child
            stdout=log,
            stderr=log,
            env=_environment(folder),
        )
    with ended_after(child, grace_s=_GRACE_S):
        yield child


def _environment(folder: Path) -> dict[str, str]:
    """This process's environment, but for everything that names stores of the project."""
    kept = {name: value for name, value in os.environ.items() if not name.startswith("CD4ML_")}
    return {**kept, "CD4ML_PROJECT": str(folder)}


def _when_ready(database: Database, child: subprocess.Popen[bytes], folder: Path) -> str:
    """The address at which the process answers with the plan, once it says so."""
    deadline, without = time.monotonic() + _START_S, None
    while (now := time.monotonic()) < deadline:
        with database.read() as connection:
            workers = rows.find(connection, Worker)
        if ready := [worker.address for worker in workers if worker.plan == 1]:
            return ready[0]
        if child.poll() is not None:
            raise _not_serving(f"it ended with {child.returncode}", folder)
        if workers:  # it has tried to load the plan before it says that it has none
            without = without or now
            if now > without + _TRYING_S:
                raise _not_serving("it cannot be loaded there", folder)
        time.sleep(_POLL_S)
    raise _not_serving(f"it did not answer within {_START_S:g} s", folder)


def _not_serving(what: str, folder: Path) -> Unavailable:
    """With the last thing that the process said, which is gone with its folder."""
    tracebacks = sorted((folder / STATE / "errors").glob("*"))
    told = (tracebacks[-1] if tracebacks else folder / "log").read_text(errors="replace")
    said = told.strip().splitlines()
    last = f": {said[-1].strip()}" if said else ""
    return Unavailable(f"the candidate could not be served: {what}{last}")
