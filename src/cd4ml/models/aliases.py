"""Movable names of model versions: moved by compare-and-set, and with all their moves remembered."""

from __future__ import annotations

from datetime import datetime
from typing import Any

import sqlalchemy as sa

from cd4ml.errors import Conflict, NotFound
from cd4ml.models.registry.names import require_alias_name
from cd4ml.records.ledger_entry import LedgerEntry
from cd4ml.records.model_version import Alias, AliasMove, ModelVersion
from cd4ml.store import ledger, rows, vouched
from cd4ml.store.sealed import GONE, name_of
from cd4ml.store.tables import TABLES

_AFTER_AT = chr(ord("@") + 1)

MOVED, REMOVED = "alias.moved", "alias.removed"

_ALIASES = TABLES[Alias]
_LEDGER = TABLES[LedgerEntry]


def alias(connection: sa.Connection, model: str, name: str) -> Alias | None:
    """Where an alias points; None if it points nowhere."""
    found = rows.find(connection, Alias, model=model, name=name)
    return found[0] if found else None


def require_alias(connection: sa.Connection, model: str, name: str) -> Alias:
    """Where an alias points.

    Raises:
        NotFound: If it points nowhere; the hint lists the model's aliases.
    """
    found = alias(connection, model, name)
    if found is None:
        known = ", ".join(f"{model}@{each.name}" for each in aliases_of(connection, model))
        raise NotFound(f"no alias named '{model}@{name}'", hint=f"known: {known or 'none yet'}")
    return found


def aliases_of(connection: sa.Connection, model: str) -> list[Alias]:
    """The aliases of a model, by name."""
    return rows.find(connection, Alias, model=model)


def move(
    connection: sa.Connection,
    model: str,
    name: str,
    to: int,
    *,
    expected: int | None = None,
    why: str = "",
    by: str,
    at: datetime,
) -> Alias:
    """Point an alias at a version.

    Atomic: a reader sees the old version or the new one, never neither. Of two movers who both
    saw the same version and say so, one wins and the other is told. Pointing it where it
    points already changes nothing.

    Args:
        connection: Of a write transaction.
        model: The model's name.
        name: The alias.
        to: The number of the version.
        expected: The number it is believed to point at now, 0 for none; None does not care.
        why: In words, for the ledger.
        by: Who.
        at: Now.

    Raises:
        NotFound: If there is no such version, or it was deleted.
        Conflict: If it no longer points at the expected one.
        InvalidInput: If it is no name for an alias.
    """
    require_alias_name(name)
    _require_version(connection, model, to)
    now = alias(connection, model, name)
    _refuse_unless_expected(model, name, now, expected)
    if now is not None and now.number == to:
        return now
    moved = Alias(model=model, name=name, number=to, moved_at=at, moved_by=by)
    _say_if_changed(connection, now, moved)
    rows.put(connection, moved)
    _say(connection, MOVED, moved, left=now.number if now else 0, why=why, by=by, at=at)
    return moved


def remove(
    connection: sa.Connection,
    model: str,
    name: str,
    *,
    expected: int | None = None,
    why: str = "",
    by: str,
    at: datetime,
) -> Alias:
    """Take an alias away; returns where it pointed.

    Raises:
        NotFound: If there is none.
        Conflict: If it no longer points at the expected version.
    """
    now = require_alias(connection, model, name)
    _refuse_unless_expected(model, name, now, expected)
    matches = sa.and_(_ALIASES.c.model == model, _ALIASES.c.name == name)
    gone = Alias(model=model, name=name, number=0, moved_at=at, moved_by=by)
    _say_if_changed(connection, now, gone)
    connection.execute(_ALIASES.delete().where(matches))
    _say(connection, REMOVED, gone, left=now.number, why=why, by=by, at=at)
    return now


def history(connection: sa.Connection, model: str, name: str = "") -> list[AliasMove]:
    """Every move of an alias, or of all aliases of a model, the newest first."""
    wanted = _LEDGER.select().where(_LEDGER.c.action.in_([MOVED, REMOVED]))
    if name:
        wanted = wanted.where(_LEDGER.c.subject == f"{model}@{name}")
    else:
        # as a range, which the index on subjects answers; LIKE would read the whole ledger
        subject = _LEDGER.c.subject
        wanted = wanted.where(subject >= f"{model}@", subject < f"{model}{_AFTER_AT}")
    newest_first = wanted.order_by(_LEDGER.c.sequence.desc())
    moves = [_move_in(entry) for entry in rows.fetch(connection, LedgerEntry, newest_first)]
    return [move for move in moves if move.model == model]


def pointed_at(connection: sa.Connection, model: str, name: str, moment: datetime) -> int | None:
    """The number of the version that an alias pointed at, at a moment; None for none."""
    moves = history(connection, model, name)
    last = next((move for move in moves if move.at <= moment), None)
    return last.to if last and last.to else None


def _move_in(entry: LedgerEntry) -> AliasMove:
    model, _, name = entry.subject.rpartition("@")
    return AliasMove(
        model=model,
        name=name,
        left=entry.details["from"],
        to=entry.details["to"],
        at=entry.at,
        by=entry.actor,
        why=entry.reason,
        entry=entry.sequence,
    )


def _require_version(connection: sa.Connection, model: str, number: int) -> None:
    version = rows.get(connection, ModelVersion, model, number)
    if version.deleted_at is not None:
        msg = f"{version.ref} was deleted on {version.deleted_at:%Y-%m-%d}"
        raise NotFound(msg, hint=f"cd4ml model restore {version.ref}")


def _refuse_unless_expected(model: str, name: str, now: Alias | None, expected: int | None) -> None:
    found = now.number if now else 0
    if expected is None or found == expected:
        return
    points = f"points at {model}/{found}" if found else "points nowhere"
    moved = f", moved by {now.moved_by} at {now.moved_at:%Y-%m-%d %H:%M:%S}" if now else ""
    believed = f"not at {model}/{expected}" if expected else "it was expected to point nowhere"
    msg = f"{model}@{name} {points}{moved}, and {believed}"
    raise Conflict(msg, hint=f"look at cd4ml model history {model}@{name}, and decide again")


def _say(
    connection: sa.Connection,
    action: str,
    alias: Alias,
    *,
    left: int,
    why: str,
    by: str,
    at: datetime,
) -> None:
    details: dict[str, Any] = {"from": left, "to": alias.number}
    if not alias.number:
        details[GONE] = [name_of(alias)]
    ledger.append(
        connection,
        at=at,
        actor=by,
        action=action,
        subject=_subject(alias),
        reason=why,
        details=details,
        records=(alias,) if alias.number else (),
    )


def _say_if_changed(connection: sa.Connection, now: Alias | None, after: Alias) -> None:
    """Note for ever that an alias was not where the ledger says, before it is moved and sealed anew."""
    subject, by, at = _subject(after), after.moved_by, after.moved_at
    if now is not None:
        vouched.require_or_say(connection, now, subject=subject, actor=by, at=at)
        return
    last = next(iter(history(connection, after.model, after.name)), None)
    if last is not None and last.to:
        ledger.append(
            connection,
            at=at,
            actor=by,
            action=vouched.FOUND_CHANGED,
            subject=subject,
            reason=vouched.words_of_missing(name_of(after), last.entry),
        )


def _subject(alias: Alias) -> str:
    return f"{alias.model}@{alias.name}"
