"""Sources that are to be looked at without anybody asking: on a schedule, or when files changed.

Each occasion (an hour, a state of files) has a job of its own name, so it is asked for once
however many processes look, and carried out under a lease by one of them.
"""

from __future__ import annotations

from datetime import datetime, timedelta

import msgspec
import sqlalchemy as sa

from cd4ml.data.sources.schedule import is_due, longest_wait, period_start
from cd4ml.data.sources.watched import quiet_state
from cd4ml.loop.pull import pull
from cd4ml.records.job import Job
from cd4ml.records.settings import DataSettings
from cd4ml.store import jobs, rows
from cd4ml.store.people import SYSTEM
from cd4ml.store.project import Project

PULL = "pull"

_WATCHED_WAIT = timedelta(hours=1)
_WATCHED_MOST = 8  # attempts at one state of files: two hours


class PullSeen(msgspec.Struct, frozen=True, kw_only=True):
    """An attempt to read a source by itself: of which dataset, and how it ended."""

    dataset: str
    job: Job


def ask_for_due(project: Project) -> list[Job]:
    """Ask for the pulls that are due now; asking again, from anywhere, asks for none."""
    asked = []
    for name, settings in project.settings.data.items():
        occasion = _occasion(project, settings)
        if occasion is not None and (job := _ask(project, name, settings, occasion)) is not None:
            asked.append(job)
    return asked


def carry_out(project: Project, job: Job) -> str:
    """Pull what a job asks for; returns the version, in words.

    Raises:
        Cd4mlError: If it cannot be done.
    """
    return pull(project, str(job.payload["dataset"]), actor=SYSTEM).ref


def pulls(project: Project, name: str = "", *, limit: int = 20) -> list[PullSeen]:
    """The newest attempts to read sources without being asked, the newest first."""
    begin = f"{PULL}/{name}/" if name else f"{PULL}/"
    with project.database.read() as connection:
        found = jobs.newest(connection, begin=begin, limit=limit)
    return [PullSeen(dataset=str(job.payload["dataset"]), job=job) for job in found]


def failing(project: Project) -> list[PullSeen]:
    """The last attempts at sources that could not be read when it was last tried."""
    read_by_themselves = [
        name for name, settings in project.settings.data.items() if settings.every or settings.watch
    ]
    last = (seen for name in read_by_themselves for seen in pulls(project, name, limit=1))
    return [seen for seen in last if seen.job.state == "failed"]


def _occasion(project: Project, settings: DataSettings) -> str | None:
    if settings.every is not None:
        return period_start(project.clock.now(), settings.every).isoformat()
    if settings.watch:
        machine = project.clock.machine_time()  # files know no other
        return quiet_state(project.folder, settings.path, now=machine)
    return None


def _ask(project: Project, name: str, settings: DataSettings, occasion: str) -> Job | None:
    begin, now = f"{PULL}/{name}/{occasion}", project.clock.now()
    with project.database.read() as connection:
        if not _is_due(connection, begin, settings, now):
            return None
    with project.database.write() as connection:
        if not _is_due(connection, begin, settings, now):  # another process was faster
            return None
        return jobs.ask(
            connection,
            kind=PULL,
            key=f"{begin}/{len(_attempts(connection, begin)) + 1}",
            payload={"dataset": name},
            at=now,
            actor=SYSTEM,
        )


def _is_due(connection: sa.Connection, begin: str, settings: DataSettings, now: datetime) -> bool:
    attempts = _attempts(connection, begin)
    if settings.every is None:
        return is_due(attempts, now, longest_wait=_WATCHED_WAIT, most=_WATCHED_MOST)
    return is_due(attempts, now, longest_wait=longest_wait(settings.every))


def _attempts(connection: sa.Connection, begin: str) -> list[Job]:
    """The jobs of an occasion, in order; they are numbered from 1."""
    attempts: list[Job] = []
    while found := rows.find(connection, Job, key=f"{begin}/{len(attempts) + 1}"):
        attempts += found
    return attempts
