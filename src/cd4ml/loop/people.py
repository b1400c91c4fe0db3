"""Who works on the project."""

from __future__ import annotations

from cd4ml.errors import InvalidInput
from cd4ml.records.actor import Actor
from cd4ml.release.agreement import approving_roles
from cd4ml.store import people as store
from cd4ml.store import rows
from cd4ml.store.project import Project

_LONGEST = 100  # characters


def add_person(project: Project, name: str, *, roles: tuple[str, ...], actor: str) -> Actor:
    """Add a person, or change their roles; the first one becomes an admin.

    Raises:
        NotAllowed: If the actor is not an admin.
        InvalidInput: If the name or a role is no name, or the name is the system's.
    """
    for text in (name, *roles):
        _refuse_unless_name(text)
    if name == store.SYSTEM:
        msg = f"{name!r} is who does what nobody asked for; a person needs another name"
        raise InvalidInput(msg)
    with project.database.write() as connection:
        return store.add(connection, name, roles=roles, by=actor, at=project.clock.now())


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


def _refuse_unless_name(text: str) -> None:
    is_name = text.isprintable() and text == text.strip() and 0 < len(text) <= _LONGEST
    if not is_name:
        msg = f"expected a name of 1 to {_LONGEST} printable characters, got {text!r}"
        raise InvalidInput(msg, hint="spaces may stand within it, not around it")
