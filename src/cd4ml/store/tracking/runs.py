"""Runs: begun, ended, named, tagged, deleted and restored.

A run of the pipeline is begun and ended by the pipeline; `start_run` and `end_run` are for
those that are made elsewhere.
"""

from __future__ import annotations

from collections.abc import Collection, Mapping
from datetime import datetime
from typing import Any, Literal

import msgspec
import sqlalchemy as sa

from cd4ml.records.run import Run
from cd4ml.store import ledger, lineage, rows
from cd4ml.store.tracking.described import changes_between, described
from cd4ml.store.tracking.experiments import ensure_experiment

Ending = Literal["finished", "failed", "killed"]


def start_run(
    connection: sa.Connection,
    *,
    experiment: str,
    name: str = "",
    note: str = "",
    tags: Mapping[str, str] | None = None,
    parameters: Mapping[str, Any] | None = None,
    started_at: datetime | None = None,
    at: datetime,
    actor: str,
) -> Run:
    """A new run that is made outside the pipeline; its experiment is made if there is none.

    Args:
        connection: Of a write transaction.
        experiment: The name of the question that it belongs to.
        name: What to call it.
        note: What to say about it.
        tags: Its first tags.
        parameters: Its first parameters.
        started_at: When it began, if not now.
        at: When.
        actor: Who.

    Raises:
        Conflict: If the experiment was deleted.
    """
    ensure_experiment(connection, experiment, at=at, actor=actor)
    run = Run(
        number=rows.next_number(connection, Run),
        experiment=experiment,
        name=name,
        note=note,
        tags=dict(tags or {}),
        state="running",
        parameters=dict(parameters or {}),
        started_at=started_at or at,
        created_by=actor,
    )
    rows.insert(connection, run)
    lineage.note(connection, address=run.ref, kind="run", name=run.ref, at=at)
    return run


def end_run(
    connection: sa.Connection,
    number: int,
    state: Ending,
    *,
    reason: str = "",
    finished_at: datetime | None = None,
    at: datetime,
    actor: str,
) -> Run:
    """Say how a run ended; one that has ended may be said to have ended otherwise.

    Raises:
        NotFound: If there is none.
    """
    run = rows.get(connection, Run, number, lock=True)
    ended = msgspec.structs.replace(run, state=state, reason=reason, finished_at=finished_at or at)
    rows.replace(connection, ended)
    _enter(connection, state, ended, at, actor, reason=reason)
    return ended


def resume_run(connection: sa.Connection, number: int, *, at: datetime, actor: str) -> Run:
    """A run that had ended goes on.

    Raises:
        NotFound: If there is none.
    """
    run = rows.get(connection, Run, number, lock=True)
    if run.state == "running":
        return run
    resumed = msgspec.structs.replace(run, state="running", reason="", finished_at=None)
    rows.replace(connection, resumed)
    _enter(connection, "resumed", resumed, at, actor)
    return resumed


def change_run(
    connection: sa.Connection,
    number: int,
    *,
    name: str | None = None,
    note: str | None = None,
    tags: Mapping[str, str] | None = None,
    untag: Collection[str] = (),
    at: datetime,
    actor: str,
) -> Run:
    """Name, describe or tag a run; a change after its end is written in the ledger.

    Args:
        connection: Of a write transaction.
        number: Which.
        name: Its new name; None to keep it. So with `note`.
        note: What to say about it.
        tags: Added to what it has.
        untag: Keys of tags to take away.
        at: When.
        actor: Who.

    Raises:
        NotFound: If there is none.
    """
    old = rows.get(connection, Run, number, lock=True)
    new = described(old, name=name, note=note, tags=tags, untag=untag)
    if new == old:
        return old
    rows.replace(connection, new)
    if new.state != "running":
        details = changes_between(old, new)
        _enter(connection, "changed", new, at, actor, details=details)
    return new


def delete_run(connection: sa.Connection, number: int, *, at: datetime, actor: str) -> Run:
    """Take a run out of every list, until it is restored; nothing of it is lost.

    Raises:
        NotFound: If there is none.
    """
    run = rows.get(connection, Run, number, lock=True)
    if run.deleted_at is not None:
        return run
    deleted = msgspec.structs.replace(run, deleted_at=at)
    rows.replace(connection, deleted)
    _enter(connection, "deleted", deleted, at, actor)
    return deleted


def restore_run(connection: sa.Connection, number: int, *, at: datetime, actor: str) -> Run:
    """Bring a deleted run back; its experiment has to be there.

    Raises:
        NotFound: If there is none.
        Conflict: If its experiment is deleted.
    """
    run = rows.get(connection, Run, number, lock=True)
    if run.deleted_at is None:
        return run
    ensure_experiment(connection, run.experiment, at=at, actor=actor)
    restored = msgspec.structs.replace(run, deleted_at=None)
    rows.replace(connection, restored)
    _enter(connection, "restored", restored, at, actor)
    return restored


def _enter(
    connection: sa.Connection,
    what: str,
    run: Run,
    at: datetime,
    actor: str,
    *,
    reason: str = "",
    details: dict[str, Any] | None = None,
) -> None:
    ledger.append(
        connection,
        at=at,
        actor=actor,
        action=f"run.{what}",
        subject=run.ref,
        reason=reason,
        details=details,
    )
