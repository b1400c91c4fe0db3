"""Actors and their roles: who may do what."""

from __future__ import annotations

from datetime import datetime

import msgspec
import sqlalchemy as sa

from cd4ml.errors import NotAllowed, NotFound
from cd4ml.records.actor import Actor
from cd4ml.store import ledger, rows, vouched

SYSTEM = "system"  # the actor of work that nobody asked for in person
ADMIN = "admin"

_ALWAYS = datetime.fromisoformat("1970-01-01T00:00:00+00:00")


def add(
    connection: sa.Connection, name: str, *, roles: tuple[str, ...], by: str, at: datetime
) -> Actor:
    """Add a person, or change their roles.

    The first person of a project adds themselves and becomes an admin; after that
    only an admin may, and one admin always stays.

    Raises:
        NotAllowed: If `by` is not an admin, or nobody would be.
        NotFound: If nobody is named `by`.
        Corrupted: If the ledger says otherwise of one of the two.
    """
    known = {person.name: person for person in rows.find(connection, Actor)}
    if known:
        require_role(actor(connection, by), (ADMIN,), what="add people or change roles")
        _refuse_without_admin(known, name, roles)
    else:
        _refuse_unless_oneself(name, by)
        roles = (*roles, ADMIN)
    roles = tuple(dict.fromkeys(roles))
    person = Actor(name=name, roles=roles, added_at=at, added_by=by)
    if name in known:
        vouched.require(connection, known[name], subject=name)  # what is written over it seals it
        person = msgspec.structs.replace(known[name], roles=roles, removed_at=None)
    rows.put(connection, person)
    action = "person.changed" if name in known else "person.added"
    ledger.append(
        connection,
        at=at,
        actor=by,
        action=action,
        subject=name,
        details={"roles": roles},
        records=(person,),
    )
    return person


def remove(connection: sa.Connection, name: str, *, by: str, reason: str, at: datetime) -> Actor:
    """Let somebody act no more; what they did stays theirs, and their name is nobody else's.

    `add` lets them act again. Removing them again changes nothing.

    Raises:
        NotFound: If nobody has this name.
        NotAllowed: If `by` is not an admin, or nobody would be.
        Corrupted: If the ledger says otherwise of one of the two.
    """
    require_role(actor(connection, by), (ADMIN,), what=f"remove {name}")
    known = {person.name: person for person in rows.find(connection, Actor)}
    person = known.get(name) or actor(connection, name)
    if person.removed_at is not None:
        return person
    _refuse_without_admin(known, name, ())
    vouched.require(connection, person, subject=name)
    removed = msgspec.structs.replace(person, roles=(), removed_at=at)
    rows.replace(connection, removed)
    ledger.append(
        connection,
        at=at,
        actor=by,
        action="person.removed",
        subject=name,
        reason=reason,
        details={"roles": person.roles},
        records=(removed,),
    )
    return removed


def _refuse_unless_oneself(name: str, by: str) -> None:
    if name != by:
        msg = f"{by} may not add {name}: the first person of a project adds themselves"
        raise NotAllowed(msg, hint=f"cd4ml people add {by} --as {by}")


def _refuse_without_admin(known: dict[str, Actor], name: str, roles: tuple[str, ...]) -> None:
    others = (person for person in known.values() if person.name != name)
    if ADMIN not in roles and not any(ADMIN in person.roles for person in others):
        msg = f"{name} stays an admin: without one nobody could add people or change roles"
        raise NotAllowed(msg, hint="make somebody else an admin first")


def actor(connection: sa.Connection, name: str) -> Actor:
    """The actor with this name.

    Raises:
        NotFound: If nobody has it, or who had it was removed; the hint lists who is known.
        Corrupted: If the ledger does not say that they are here, with these roles.
    """
    if name == SYSTEM:
        return Actor(name=SYSTEM, kind="system", added_at=_ALWAYS, added_by=SYSTEM)
    try:
        found = rows.get(connection, Actor, name)
    except NotFound as error:
        msg = f"nobody named {name!r} works on this project"
        raise NotFound(msg, hint=f"cd4ml people add {name}; {error.hint}") from None
    if found.removed_at is not None:
        msg = f"{name} works on this project no more, since {found.removed_at:%Y-%m-%d %H:%M}"
        raise NotFound(msg, hint=f"cd4ml people add {name} lets them act again")
    vouched.require(connection, found, subject=name)
    return found


def require_role(who: Actor, roles: tuple[str, ...], *, what: str) -> None:
    """Refuse an actor who has none of these roles.

    Raises:
        NotAllowed: Naming the roles that would do.
    """
    if not set(roles) & set(who.roles):
        has = ", ".join(who.roles) or "none"
        msg = f"{who.name} may not {what}: it needs the role {' or '.join(roles)}, has {has}"
        raise NotAllowed(msg)
