"""Who works on the project."""

from __future__ import annotations

import sqlalchemy as sa

from cd4ml.errors import InvalidInput
from cd4ml.loop.reasons import require_reason
from cd4ml.records.actor import Actor
from cd4ml.records.token import Token
from cd4ml.release import standing
from cd4ml.release.agreement import approving_roles
from cd4ml.store import people as store
from cd4ml.store import rows, tokens
from cd4ml.store.project import Project

_LONGEST = 100  # characters


def add_person(project: Project, name: str, *, roles: tuple[str, ...] | None, actor: str) -> Actor:
    """Add a person, or change their roles; the first one becomes an admin.

    `roles` replace the earlier ones; None says nothing about them, which is refused for somebody
    who has some.

    Raises:
        NotAllowed: If the actor is not an admin.
        InvalidInput: If the name or a role is no name, or the name is the system's.
    """
    for text in (name, *(roles or ())):
        _refuse_unless_name(text)
    if name == store.SYSTEM:
        msg = f"{name!r} is who does what nobody asked for; a person needs another name"
        raise InvalidInput(msg)
    with project.database.write() as connection:
        if roles is None:
            _refuse_without_roles(connection, name)
        return store.add(connection, name, roles=roles or (), by=actor, at=project.clock.now())


def remove_person(project: Project, name: str, *, reason: str, actor: str) -> Actor:
    """Let somebody act no more: their tokens and standing approvals end, their history stays.

    Raises:
        NotFound: If nobody has this name.
        NotAllowed: If the actor is not an admin, or nobody would be.
        InvalidInput: If no reason is given.
    """
    require_reason(reason, f"removing {name}", hint="say why they act no more")
    at = project.clock.now()
    with project.database.write() as connection:
        by = store.actor(connection, actor)
        person = store.remove(connection, name, by=actor, reason=reason, at=at)
        for token in rows.find(connection, Token, actor=name, revoked_at=None):
            tokens.revoke(connection, token.number, by=actor, at=at)
        standing.end_all_of(connection, name, by=by, reason=f"{name} was removed: {reason}", at=at)
    return person


def unused_roles(project: Project, person: Actor) -> tuple[str, ...]:
    """Those of a person's roles that `cd4ml.toml` does not mention."""
    settings = project.settings
    asked = {store.ADMIN, *settings.model.trusted_by}
    for environment in settings.environments.values():
        asked.update(approving_roles(environment))
        asked.update(environment.emergency.roles if environment.emergency else ())
    asked.update(*(data.readers for data in settings.data.values()))
    return tuple(role for role in person.roles if role not in asked)


def people(project: Project) -> list[Actor]:
    """Everybody who may act, by name."""
    with project.database.read() as connection:
        return rows.find(connection, Actor)


def _refuse_without_roles(connection: sa.Connection, name: str) -> None:
    for known in rows.find(connection, Actor, name=name):
        if known.roles:
            msg = (
                f"{name} works here already, as {', '.join(known.roles)}: which roles to have now?"
            )
            raise InvalidInput(msg, hint="--role says all of them, --no-role takes them away")


def _refuse_unless_name(text: str) -> None:
    is_name = text.isprintable() and text == text.strip() and 0 < len(text) <= _LONGEST
    if not is_name:
        msg = f"expected a name of 1 to {_LONGEST} printable characters, got {text!r}"
        raise InvalidInput(msg, hint="spaces may stand within it, not around it")
