"""Who works on the project."""

from __future__ import annotations

from cd4ml.records.actor import Actor
from cd4ml.store import people as store
from cd4ml.store import rows
from cd4ml.store.project import Project


def add_person(project: Project, name: str, *, roles: tuple[str, ...], actor: str) -> Actor:
    """Add a person, or change their roles; the first one becomes an admin.

    Raises:
        NotAllowed: If the actor is not an admin.
    """
    with project.database.write() as connection:
        return store.add(connection, name, roles=roles, by=actor, at=project.clock.now())


def people(project: Project) -> list[Actor]:
    """Everybody who may act, by name."""
    with project.database.read() as connection:
        return rows.find(connection, Actor)
