"""How long the prediction log keeps what: by age, and until somebody is to be forgotten."""

from __future__ import annotations

import fcntl
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import datetime, timedelta

import msgspec
import sqlalchemy as sa

from cd4ml.errors import InvalidInput
from cd4ml.store import ledger, people
from cd4ml.store.forgetting import Forgotten, as_written
from cd4ml.store.forgetting import forget as forget_rows
from cd4ml.store.people import SYSTEM
from cd4ml.store.project import Project


class LogTable(msgspec.Struct, frozen=True, kw_only=True):
    """One table of the prediction log, as other engines find it."""

    name: str
    url: str  # a Delta table
    version: int | None  # None before the first row
    files: int
    rows: int
    bytes: int
    first_day: str
    last_day: str


@contextmanager
def alone(project: Project) -> Iterator[None]:
    """While no other process of this machine collects, expires or forgets."""
    project.segments.mkdir(parents=True, exist_ok=True)
    # segments are local, so is the lock; the system lets go of it whatever ends the process
    with (project.segments / "collector.lock").open("w") as file:
        fcntl.flock(file, fcntl.LOCK_EX)
        yield


def tables(project: Project) -> list[LogTable]:
    """Where the tables of the log lie, and how much is in them."""
    return [
        LogTable(
            name=table.name,
            url=table.delta.url,
            version=table.delta.version(),
            files=len(files),
            rows=sum(file.n_rows for file in files),
            bytes=sum(file.n_bytes for file in files),
            first_day=min((file.day for file in files), default=""),
            last_day=max((file.day for file in files), default=""),
        )
        for table in project.log.tables
        for files in [table.files()]
    ]


def expire(project: Project) -> int:
    """Take days older than `[capture] keep_days` out of the log; returns how many rows.

    Files that were taken out before `unlisted_hours`, and those that a killed collector left,
    are deleted. Call it while `alone`.
    """
    capture, log = project.settings.capture, project.log
    n_rows = _take_out(project, project.clock.now()) if capture.keep_days else 0
    for table in log.tables:
        if table.purge(timedelta(hours=capture.unlisted_hours)):
            table.sweep(timedelta(hours=max(1.0, capture.unlisted_hours)))
    return n_rows


def forget(project: Project, value: str, *, reason: str, actor: str, field: str = "") -> Forgotten:
    """Delete every row of a person from the prediction log, and say in the ledger how many.

    Args:
        project: Its `[capture] person` names the field that says whose row it is.
        value: Of that field; it is never written down.
        reason: Why, for the ledger. It must not name the person.
        actor: Who does it.
        field: Another field than the project's.

    Raises:
        InvalidInput: If the value is empty, or the reason has it.
        NotFound: If nobody has the actor's name.
        Conflict: If another machine merged files meanwhile; nothing was changed, repeat.
    """
    if not value:
        msg = "expected whose rows are to be deleted, got ''"
        raise InvalidInput(msg, hint="the value of the field that `[capture] person` names")
    if value in reason:
        msg = "the reason names whom it is to forget, and the ledger keeps it for ever"
        raise InvalidInput(msg, hint="the number of the request, for example")
    field = field or project.settings.capture.person
    now = project.clock.now()

    def note(connection: sa.Connection, forgotten: Forgotten) -> None:
        people.actor(connection, actor)
        ledger.append(
            connection,
            at=now,
            actor=actor,
            action="log.forgotten",
            subject="predictions",
            reason=reason,
            details={"field": field, **msgspec.structs.asdict(forgotten)},
        )

    with project.database.read() as connection:
        people.actor(connection, actor)
    with alone(project):
        project.log.collect()
        values = as_written(project.mask, field, value)
        return forget_rows(project.log, field=field, values=values, note=note)


def _take_out(project: Project, now: datetime) -> int:
    first = (now - timedelta(days=project.settings.capture.keep_days)).date()
    tables = [table for table in project.log.tables if table.has_days_before(first)]
    if not tables:
        return 0
    with project.database.write() as connection:
        counted = {table.name: table.remove_days_before(first, connection) for table in tables}
        ledger.append(
            connection,
            at=now,
            actor=SYSTEM,
            action="log.expired",
            subject="predictions",
            reason=f"older than {first.isoformat()}",
            details={name: {"files": n, "rows": rows} for name, (n, rows) in counted.items()},
        )
    for table in tables:
        table.publish()
    return sum(rows for _, rows in counted.values())
