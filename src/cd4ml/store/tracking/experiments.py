"""Experiments: made, renamed, described, deleted and restored."""

from __future__ import annotations

from collections.abc import Collection, Mapping
from datetime import datetime
from typing import Any

import msgspec
import sqlalchemy as sa

from cd4ml.errors import AlreadyExists, Conflict, NotFound
from cd4ml.records.experiment import Experiment
from cd4ml.records.run import Run
from cd4ml.store import ledger, rows
from cd4ml.store.tables import TABLES
from cd4ml.store.tracking.described import changes_between, described

_EXPERIMENTS, _RUNS = TABLES[Experiment], TABLES[Run]
_SHOWN = 10  # names in a hint


def create_experiment(
    connection: sa.Connection,
    name: str,
    *,
    note: str = "",
    tags: Mapping[str, str] | None = None,
    at: datetime,
    actor: str,
) -> Experiment:
    """A new experiment.

    Raises:
        AlreadyExists: If one has the name, deleted or not.
    """
    found = _named(connection, name)
    if found is not None:
        msg = f"an experiment named {name!r} exists already"
        if found.deleted_at is not None:
            msg = f"the experiment {name!r} exists already, and was deleted"
            raise AlreadyExists(msg, hint=_restore(found))
        raise AlreadyExists(msg)
    experiment = Experiment(
        number=rows.next_number(connection, Experiment),
        name=name,
        note=note,
        tags=dict(tags or {}),
        created_at=at,
        created_by=actor,
    )
    rows.insert(connection, experiment)
    _enter(connection, "created", experiment, at, actor, {"name": name})
    return experiment


def ensure_experiment(
    connection: sa.Connection, name: str, *, at: datetime, actor: str
) -> Experiment:
    """The experiment with a name, made if there is none: what a run asks for when it begins.

    Raises:
        Conflict: If it was deleted.
    """
    found = _named(connection, name)
    if found is None:
        return create_experiment(connection, name, at=at, actor=actor)
    if found.deleted_at is not None:
        msg = f"the experiment {name!r} was deleted, so no run can begin in it"
        raise Conflict(msg, hint=_restore(found))
    return found


def experiment_named(connection: sa.Connection, name: str) -> Experiment:
    """The experiment with a name, deleted or not.

    Raises:
        NotFound: If there is none; the hint lists the names there are.
    """
    found = _named(connection, name)
    if found is None:
        names = sa.select(_EXPERIMENTS.c.name).where(_EXPERIMENTS.c.deleted_at.is_(None))
        known = connection.execute(names.order_by("name").limit(_SHOWN + 1)).scalars().all()
        hint = f"known: {', '.join(known[:_SHOWN])}{', ...' if len(known) > _SHOWN else ''}"
        msg = f"no experiment named {name!r}"
        raise NotFound(msg, hint=hint if known else "there are none yet")
    return found


def change_experiment(
    connection: sa.Connection,
    number: int,
    *,
    name: str | None = None,
    note: str | None = None,
    tags: Mapping[str, str] | None = None,
    untag: Collection[str] = (),
    at: datetime,
    actor: str,
) -> Experiment:
    """Rename or describe an experiment; its runs follow the name.

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
        AlreadyExists: If another one has the name.
    """
    old = rows.get(connection, Experiment, number, lock=True)
    new = described(old, name=name, note=note, tags=tags, untag=untag)
    if new == old:
        return old
    if new.name != old.name:
        _rename(connection, old, new.name)
    rows.replace(connection, new)
    _enter(connection, "changed", new, at, actor, changes_between(old, new))
    return new


def delete_experiment(
    connection: sa.Connection, number: int, *, at: datetime, actor: str
) -> Experiment:
    """Take an experiment and its runs out of every list, until it is restored.

    One that is deleted already stays as it is.

    Raises:
        NotFound: If there is none.
    """
    experiment = rows.get(connection, Experiment, number, lock=True)
    if experiment.deleted_at is not None:
        return experiment
    deleted = msgspec.structs.replace(experiment, deleted_at=at)
    rows.replace(connection, deleted)
    alive = sa.and_(_RUNS.c.experiment == deleted.name, _RUNS.c.deleted_at.is_(None))
    connection.execute(_RUNS.update().where(alive).values(deleted_at=at))
    _enter(connection, "deleted", deleted, at, actor, {"name": deleted.name})
    return deleted


def restore_experiment(
    connection: sa.Connection, number: int, *, at: datetime, actor: str
) -> Experiment:
    """Bring a deleted experiment back, with the runs that were deleted with it.

    Raises:
        NotFound: If there is none.
    """
    experiment = rows.get(connection, Experiment, number, lock=True)
    if experiment.deleted_at is None:
        return experiment
    restored = msgspec.structs.replace(experiment, deleted_at=None)
    rows.replace(connection, restored)
    with_it = sa.and_(
        _RUNS.c.experiment == restored.name, _RUNS.c.deleted_at == experiment.deleted_at
    )
    connection.execute(_RUNS.update().where(with_it).values(deleted_at=None))
    _enter(connection, "restored", restored, at, actor, {"name": restored.name})
    return restored


def _named(connection: sa.Connection, name: str) -> Experiment | None:
    found = rows.find(connection, Experiment, name=name)
    return found[0] if found else None


def _rename(connection: sa.Connection, old: Experiment, name: str) -> None:
    if _named(connection, name) is not None:
        msg = f"an experiment named {name!r} exists already, so {old.name!r} cannot take its name"
        raise AlreadyExists(msg)
    connection.execute(_RUNS.update().where(_RUNS.c.experiment == old.name).values(experiment=name))


def _restore(experiment: Experiment) -> str:
    return f"cd4ml experiment restore {experiment.name!r}"


def _enter(
    connection: sa.Connection,
    what: str,
    experiment: Experiment,
    at: datetime,
    actor: str,
    details: dict[str, Any],
) -> None:
    ledger.append(
        connection,
        at=at,
        actor=actor,
        action=f"experiment.{what}",
        subject=experiment.ref,
        details=details,
    )
