"""Actors and their roles: who may do what."""

from __future__ import annotations

from datetime import datetime

import sqlalchemy as sa

from cd4ml.errors import NotAllowed, NotFound
from cd4ml.records.actor import Actor
from cd4ml.store import ledger, rows

SYSTEM = "system"  # the actor of work that nobody asked for in person
ADMIN = "admin"

_ALWAYS = datetime.fromisoformat("1970-01-01T00:00:00+00:00")


def add(
    connection: sa.Connection, name: str, *, roles: tuple[str, ...], by: str, at: datetime
) -> Actor:
    """Add a person, or change their roles.

    The first person of a project adds themselves and becomes an admin; after that
    only an admin may.

    Raises:
        NotAllowed: If `by` is not an admin.
    """
    if rows.count(connection, Actor) == 0:
        roles = tuple(dict.fromkeys((*roles, ADMIN)))
    else:
        require_role(actor(connection, by), (ADMIN,), what="add people or change roles")
    person = Actor(name=name, roles=roles, added_at=at, added_by=by)
    rows.put(connection, person)
    ledger.append(
        connection, at=at, actor=by, action="person.added", subject=name, details={"roles": roles}
    )
    return person


def actor(connection: sa.Connection, name: str) -> Actor:
    """The actor with this name.

    Raises:
        NotFound: If nobody has it; the hint lists who is known.
    """
    if name == SYSTEM:
        return Actor(name=SYSTEM, kind="system", added_at=_ALWAYS, added_by=SYSTEM)
    try:
        return rows.get(connection, Actor, name)
    except NotFound as error:
        msg = f"nobody named {name!r} works on this project"
        raise NotFound(msg, hint=f"cd4ml people add {name}; {error.hint}") from None


def require_role(who: Actor, roles: tuple[str, ...], *, what: str) -> None:
    """Refuse an actor who has none of these roles.

    Raises:
        NotAllowed: Naming the roles that would do.
    """
    if not set(roles) & set(who.roles):
        has = ", ".join(who.roles) or "none"
        msg = f"{who.name} may not {what}: it needs the role {' or '.join(roles)}, has {has}"
        raise NotAllowed(msg)
