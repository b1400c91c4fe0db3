"""A release in an emergency: who may call one, and what makes room for it."""

from __future__ import annotations

from datetime import datetime

import sqlalchemy as sa

from cd4ml.errors import (
    InvalidInput,
    NotAllowed,
)
from cd4ml.records.actor import Actor
from cd4ml.records.model_version import ModelVersion
from cd4ml.records.release import WAITING, Release
from cd4ml.records.settings import EnvironmentSettings
from cd4ml.release.releases import change, hold, rolling_out
from cd4ml.release.reversals import go_back
from cd4ml.store import people, rows


def refuse_emergency(
    version: ModelVersion, environment: str, settings: EnvironmentSettings, by: Actor, reason: str
) -> None:
    """Let nobody call an emergency whom the policy does not name, or without a reason.

    Raises:
        NotAllowed: If the policy allows none there, the actor is no person, or lacks the role.
        InvalidInput: If no reason is given.
    """
    what = f"release {version.ref} to {environment} in an emergency"
    if settings.emergency is None:
        msg = f"{by.name} may not {what}: the policy allows none there"
        hint = f"[environments.{environment}.emergency] with roles, in cd4ml.toml, allows it"
        raise NotAllowed(msg, hint=hint)
    if by.kind != "person":
        raise NotAllowed(f"{by.name} may not {what}: only a person knows of one")
    people.require_role(by, settings.emergency.roles, what=what)
    if not reason.strip():
        raise InvalidInput("an emergency release says why", hint="what happens if it waits?")


def take_over(
    connection: sa.Connection,
    version: ModelVersion,
    environment: str,
    by: Actor,
    reason: str,
    at: datetime,
) -> None:
    """End what is in an emergency's way: what rolls out there, and requests of its version."""
    why = f"an emergency of {by.name} took its place: {reason}"
    rolling = rolling_out(connection, version.model, environment)
    if rolling is not None and rolling.replaces:  # the first has nothing to go back to
        go_back(connection, hold(connection, rolling.number), reason=why, actor=by.name, at=at)
    of_model = rows.find(connection, Release, model=version.model, environment=environment)
    for each in of_model:
        if each.version == version.number and each.state in WAITING:
            change(
                connection,
                hold(connection, each.number),
                actor=by.name,
                action="release.withdrawn",
                reason=why,
                at=at,
                state="withdrawn",
            )
