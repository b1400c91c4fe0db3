"""What is alike in everything that people decide about a release."""

from __future__ import annotations

from datetime import datetime
from typing import Protocol, TypeVar

import sqlalchemy as sa

from cd4ml.loop.refs import number_in
from cd4ml.loop.roll_out import roll_out
from cd4ml.records.actor import Actor
from cd4ml.records.release import Release
from cd4ml.records.settings import EnvironmentSettings
from cd4ml.release.environments import settings_of
from cd4ml.store import people, rows
from cd4ml.store.project import Project

T_co = TypeVar("T_co", covariant=True)


class Decision(Protocol[T_co]):
    """What writes down a decision on a release, by the settings of its environment."""

    def __call__(
        self,
        connection: sa.Connection,
        number: int,
        /,
        *,
        settings: EnvironmentSettings,
        by: Actor,
        reason: str,
        at: datetime,
    ) -> T_co:
        """Write it down."""


class Action(Protocol[T_co]):
    """What is done with a release, whatever its environment says."""

    def __call__(
        self, connection: sa.Connection, number: int, /, *, by: Actor, reason: str, at: datetime
    ) -> T_co:
        """Do it."""


def decide(
    project: Project, ref: str, decision: Decision[object], *, reason: str, actor: str
) -> Release:
    """Write down what a person says of a release; returns it as it is then.

    Args:
        project: Whose release.
        ref: Which.
        decision: What writes it down, by the settings of the release's environment.
        reason: Why, in words.
        actor: Who decides.

    Raises:
        NotFound: If there is no such release, person or environment.
    """
    with project.database.write() as connection:
        asked = rows.get(connection, Release, number_in(ref, "release"))
        record(project, connection, asked, decision, reason=reason, actor=actor)
    return settled(project, asked)


def record(
    project: Project,
    connection: sa.Connection,
    asked: Release,
    decision: Decision[T_co],
    *,
    reason: str,
    actor: str,
) -> T_co:
    """Write down a decision in a transaction that looks at more than it; returns what it gives."""
    return decision(
        connection,
        asked.number,
        settings=settings_of(project.settings.environments, asked.environment),
        by=people.actor(connection, actor),
        reason=reason,
        at=project.clock.now(),
    )


def act(project: Project, ref: str, action: Action[T_co], *, reason: str, actor: str) -> T_co:
    """Do something with a release whatever its environment says: it may be gone from `cd4ml.toml`.

    Raises:
        NotFound: If there is no such release or person.
    """
    with project.database.write() as connection:
        return action(
            connection,
            number_in(ref, "release"),
            by=people.actor(connection, actor),
            reason=reason,
            at=project.clock.now(),
        )


def settled(project: Project, release: Release) -> Release:
    """The release after everything that needs no waiting has happened."""
    roll_out(project, release.ref)
    with project.database.read() as connection:
        return rows.get(connection, Release, release.number)
