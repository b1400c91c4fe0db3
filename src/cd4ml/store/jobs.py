"""Long work under a lease: one process at a time, taken over when it falls silent."""

from __future__ import annotations

import threading
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from datetime import datetime, timedelta
from typing import Any

import msgspec
import sqlalchemy as sa

from cd4ml.errors import Conflict, Unavailable
from cd4ml.records.job import Job
from cd4ml.store import rows
from cd4ml.store.clock import Clock
from cd4ml.store.database import Database
from cd4ml.store.storable import printable
from cd4ml.store.tables import TABLES

_JOBS = TABLES[Job]


def ask(
    connection: sa.Connection,
    *,
    kind: str,
    key: str,
    payload: dict[str, Any],
    at: datetime,
    actor: str,
) -> Job:
    """Ask for work; a job with the same key is the same work, and is returned instead."""
    for job in rows.find(connection, Job, key=key):
        return job
    job = Job(
        number=rows.next_number(connection, Job),
        kind=kind,
        key=key,
        payload=payload,
        created_at=at,
        created_by=actor,
    )
    rows.insert(connection, job)
    return job


def claim(
    connection: sa.Connection,
    *,
    owner: str,
    machine_time: datetime,
    lease_s: float = 30.0,
    kinds: tuple[str, ...] | None = None,
) -> Job | None:
    """Take the oldest job that is queued, or whose owner's lease has run out.

    Two claimers never get the same job: the row is locked until the transaction ends.
    """
    is_free = sa.or_(
        _JOBS.c.state == "queued",
        sa.and_(_JOBS.c.state == "running", _JOBS.c.lease_until < machine_time),
    )
    statement = sa.select(_JOBS.c.number).where(is_free).order_by(_JOBS.c.number).limit(1)
    if kinds is not None:
        statement = statement.where(_JOBS.c.kind.in_(kinds))
    number = connection.execute(statement.with_for_update(skip_locked=True)).scalar()
    if number is None:
        return None
    job = rows.get(connection, Job, number)
    taken = msgspec.structs.replace(
        job,
        state="running",
        owner=owner,
        attempts=job.attempts + 1,
        lease_until=machine_time + timedelta(seconds=lease_s),
    )
    rows.replace(connection, taken)
    return taken


def newest(connection: sa.Connection, *, begin: str, limit: int) -> list[Job]:
    """The newest jobs whose key begins so, the newest first."""
    found = sa.select(_JOBS.c.number).where(_JOBS.c.key.startswith(begin, autoescape=True))
    numbers = connection.execute(found.order_by(_JOBS.c.number.desc()).limit(limit)).scalars()
    return [rows.get(connection, Job, number) for number in numbers.all()]


def extend(connection: sa.Connection, job: Job, *, until: datetime) -> None:
    """Prolong the lease: the owner is alive.

    Raises:
        Conflict: If another process has taken the job over in between.
    """
    rows.replace(connection, msgspec.structs.replace(_own(connection, job), lease_until=until))


def finish(connection: sa.Connection, job: Job, *, at: datetime, reason: str = "") -> Job:
    """The work is done.

    Raises:
        Conflict: If another process has taken the job over in between.
    """
    return _end(connection, job, state="done", at=at, reason=reason)


def fail(
    connection: sa.Connection, job: Job, *, at: datetime, reason: str, is_final: bool = True
) -> Job:
    """The work could not be done; unless that is final it is queued again.

    Raises:
        Conflict: If another process has taken the job over in between.
    """
    return _end(connection, job, state="failed" if is_final else "queued", at=at, reason=reason)


def _end(connection: sa.Connection, job: Job, *, state: Any, at: datetime, reason: str) -> Job:
    ended = msgspec.structs.replace(
        _own(connection, job),
        state=state,
        reason=printable(reason),
        owner="",
        lease_until=None,
        finished_at=None if state == "queued" else at,
    )
    rows.replace(connection, ended)
    return ended


def _own(connection: sa.Connection, job: Job) -> Job:
    current = rows.get(connection, Job, job.number, lock=True)
    if (current.owner, current.attempts) == (job.owner, job.attempts):
        return current
    now = f"{current.owner} has taken it over" if current.owner else f"it is {current.state}"
    msg = f"job/{job.number} is not {job.owner or 'anybody'}'s any more: {now}"
    raise Conflict(msg, hint="the lease had run out; what the other process does counts")


@contextmanager
def heartbeat(
    database: Database, job: Job, clock: Clock, *, lease_s: float = 30.0
) -> Iterator[None]:
    """Keep a claimed job's lease alive, from a thread, while the work goes on.

    While the database is away it goes on trying; once the job is another process's it ends.
    """
    stop = threading.Event()

    def beat() -> None:
        while not stop.wait(lease_s / 3):
            with suppress(Unavailable), database.write() as connection:
                until = clock.machine_time() + timedelta(seconds=lease_s)
                try:
                    extend(connection, job, until=until)
                except Conflict:
                    return

    thread = threading.Thread(target=beat, name=f"heartbeat job/{job.number}", daemon=True)
    thread.start()
    try:
        yield
    finally:
        stop.set()
        thread.join()
