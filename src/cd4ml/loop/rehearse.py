"""The whole loop on real data, in simulated time: nothing is faked but the clock.

The story runs through the same use-cases, the same stores, real HTTP and real
processes as a project in earnest. Each scene looks first whether it has happened
already, so that a rehearsal that was killed goes on where it stood.
"""

from __future__ import annotations

import fcntl
import os
import signal
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import msgspec

from cd4ml.errors import Conflict
from cd4ml.loop.init import example_folder, init
from cd4ml.loop.people import add_person, people
from cd4ml.loop.rehearsal import before_production, production, summary
from cd4ml.loop.rehearsal.processes import process
from cd4ml.loop.rehearsal.stage import (
    HOST,
    MANAGER,
    ROBOT,
    SCIENTIST,
    Stage,
    endpoint,
    load_world,
)
from cd4ml.loop.rehearsal.tell import Teller
from cd4ml.records.job import Job
from cd4ml.store import jobs, rows
from cd4ml.store.clock import SharedClock
from cd4ml.store.people import ADMIN, actor
from cd4ml.store.project import FILE, Project, open_project
from cd4ml.store.settings import read_settings


class RehearsalReport(msgspec.Struct, frozen=True, kw_only=True):
    """What a rehearsal did, in figures."""

    folder: str
    months: tuple[summary.Month, ...]
    n_requests: int
    n_failed: int
    ledger_entries: int
    explained: str  # the prediction that `why` was asked about
    seconds: float


def rehearse(
    *,
    folder: Path,
    example: str = "flights",
    months: int = 4,
    is_once: bool = False,
    port: int = 8400,
    tell: Teller,
    visitor: str = "",
) -> RehearsalReport:
    """Play the loop for some months of production; a killed rehearsal goes on.

    Args:
        folder: The project's folder, laid out from the example if it does not exist.
        example: The example to play; it brings a `world` module.
        months: How many calendar months of production.
        is_once: End after the summary; otherwise the console stays open until Ctrl-C.
        port: Of the console; the two ports after it are the endpoints'.
        tell: Tells the story.
        visitor: Somebody to add as an admin, who may look around afterwards.

    Raises:
        RehearsalFailed: If a step did not happen as it must.
        Conflict: If another rehearsal plays in this folder.
        Unavailable: If a port is taken.
    """
    began = time.monotonic()
    # training, serving and the console share the cores: more threads would only wait
    os.environ.setdefault("OMP_NUM_THREADS", "1")
    with _stage(folder.absolute(), example, port, tell, visitor) as stage, _console(stage):
        before_production.play(stage)
        with endpoint(stage, "production", stage.production_port) as serving:
            production.play(stage, serving, months)
            counts = (serving.application.n_asked, serving.application.n_failed)
        told = summary.play(stage, months)
        report = RehearsalReport(
            folder=str(stage.project.folder),
            months=told.months,
            n_requests=counts[0],
            n_failed=counts[1],
            ledger_entries=told.ledger_entries,
            explained=told.explained,
            seconds=time.monotonic() - began,
        )
        tell.line(f"{report.n_requests:,} requests, {report.n_failed} without an answer")
        if not is_once:
            _stay_open(tell, port)
    return report


@contextmanager
def _stage(folder: Path, example: str, port: int, tell: Teller, visitor: str) -> Iterator[Stage]:
    tell.chapter(1, "A project")
    if (folder / FILE).exists():
        tell.line(f"the rehearsal goes on in {folder}")
    else:
        _lay_out(folder, example, tell)
    with open_project(folder) as project:
        world = load_world(project.folder, project.settings.rehearsal.world)
        with project.database.read() as connection:
            actor(connection, SCIENTIST)  # a project of somebody else keeps the machine's clock
        clock = SharedClock.create(project.state / "clock", world.BEGIN)
    with open_project(folder) as project, _alone(project):  # now on the simulated clock
        stage = Stage(project=project, world=world, clock=clock, port=port, tell=tell)
        _introduce(stage, visitor)
        _queue_again(project)
        yield stage


def _lay_out(folder: Path, example: str, tell: Teller) -> None:
    source = example_folder(example)
    load_world(source, read_settings(source / FILE).rehearsal.world)  # refused: nothing is laid out
    tell.command(f"cd4ml init {folder.name} --example {example}")
    layout = init(folder, name=folder.name.lower(), example=example, actor=SCIENTIST)
    tell.line(f"laid out {', '.join(layout.files)}")


@contextmanager
def _alone(project: Project) -> Iterator[None]:
    """One rehearsal a project; the system lets go of the lock whatever ends this process."""
    with (project.state / "rehearsal.lock").open("w") as file:
        try:
            fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            msg = f"another rehearsal plays in {project.folder}"
            raise Conflict(msg, hint="wait for its end, or choose another --folder") from None
        yield


def _queue_again(project: Project) -> None:
    """Give up what a killed rehearsal was working on: its lease would last for simulated weeks."""
    with project.database.write() as connection:
        for job in rows.find(connection, Job, state="running", owner=production.OWNER):
            jobs.fail(
                connection,
                job,
                at=project.clock.now(),
                reason="its rehearsal was killed",
                is_final=False,
            )


def _introduce(stage: Stage, visitor: str) -> None:
    known = {person.name for person in people(stage.project)}
    for name, roles in ((MANAGER, (MANAGER,)), (ROBOT, ()), (visitor, (ADMIN,))):
        if name and name not in known:
            add_person(stage.project, name, roles=roles, actor=SCIENTIST)
    stage.tell.line(f"it is {stage.clock.now():%d %B %Y}, on a simulated clock")


@contextmanager
def _console(stage: Stage) -> Iterator[None]:
    # the rehearsal itself is the one that works: two would only wait for each other
    folder, log = stage.project.folder, stage.project.state / "logs" / "up.log"
    with process(["up", "--without-work"], host=HOST, port=stage.port, folder=folder, log=log):
        stage.tell.line(f"the console opens on http://{HOST}:{stage.port}")
        yield


def _stay_open(tell: Teller, port: int) -> None:
    tell.line(f"the console stays open on http://{HOST}:{port} - Ctrl-C ends it")
    signal.sigwait({signal.SIGINT, signal.SIGTERM})
