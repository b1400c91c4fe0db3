"""Going back: a rollout that is aborted, a release that is undone."""

from __future__ import annotations

from datetime import datetime
from typing import Any, Literal

import sqlalchemy as sa

from cd4ml.errors import Conflict, Refused
from cd4ml.records.actor import Actor
from cd4ml.records.release import Release
from cd4ml.release import plans, releases
from cd4ml.release.champion import move_champion
from cd4ml.release.environments import Environments
from cd4ml.store import rows


def abort(
    connection: sa.Connection, number: int, *, by: Actor, reason: str, at: datetime
) -> Release:
    """Stop a release that is on its way; the version before answers alone again, at once.

    Raises:
        NotFound: If there is no such release.
        Conflict: If it has arrived or ended.
        Refused: If it has traffic already and there is no version before it.
    """
    release = releases.hold(connection, number)
    if release.state not in ("awaiting_approval", "rolling_out"):
        msg = f"{release.ref} is {release.state}; only one on its way can be aborted"
        undo_it = f"cd4ml undo --in {release.environment}"
        hint = undo_it if release.state == "released" else ""
        raise Conflict(msg, hint=hint)
    why = f"aborted by {by.name}: {reason}" if reason else f"aborted by {by.name}"
    return go_back(connection, release, state="aborted", reason=why, actor=by.name, at=at)


def undo(
    connection: sa.Connection,
    number: int,
    *,
    environments: Environments,
    by: Actor,
    reason: str,
    at: datetime,
) -> Release:
    """Put the version before a release in charge again, at once and without approval.

    Undoing the restored release goes back one further.

    Args:
        connection: Of a write transaction.
        number: Of the release in charge.
        environments: All of them, in the order of `cd4ml.toml`.
        by: Who undoes it.
        reason: Why, in words.
        at: Now.

    Returns:
        The release that is in charge again.

    Raises:
        NotFound: If there is no such release.
        Conflict: If it is not in charge, or another one is rolling out there.
        Refused: If it was the first: there is nothing to go back to.
    """
    release = releases.hold(connection, number)
    if release.state != "released":
        raise Conflict(f"{release.ref} is {release.state}; only one in charge can be undone")
    rival = releases.rolling_out(connection, release.model, release.environment)
    if rival:
        msg = f"{release.ref} was not undone: {rival.ref} is rolling out in its place"
        raise Conflict(msg, hint=f"first: cd4ml release abort {rival.ref}")
    why = f"undone by {by.name}: {reason}" if reason else f"undone by {by.name}"
    go_back(connection, release, state="undone", reason=why, actor=by.name, at=at)
    restored = rows.get(connection, Release, release.replaces)
    move_champion(connection, restored, environments=environments, by=by.name, at=at)
    return restored


def go_back(
    connection: sa.Connection,
    release: Release,
    *,
    state: Literal["aborted", "undone"],
    reason: str,
    actor: str,
    at: datetime,
    details: dict[str, Any] | None = None,
) -> Release:
    """End a held release; if it has traffic, the release it replaces answers alone again.

    Raises:
        Refused: If it has traffic and is the first in its environment: an endpoint without a
            version could not answer at all.
    """
    has_traffic = release.state != "awaiting_approval"
    if has_traffic and not release.replaces:
        msg = f"{release.ref} was not {state}: it is the first in {release.environment}"
        raise Refused(msg, hint="release another version instead")
    if has_traffic:
        _restore(connection, release, actor=actor, at=at, why=f"{release.ref} was {state}")
    return releases.change(
        connection,
        release,
        actor=actor,
        action=f"release.{state}",
        reason=reason,
        at=at,
        details=details,
        state=state,
    )


def _restore(
    connection: sa.Connection, ended: Release, *, actor: str, at: datetime, why: str
) -> None:
    release = rows.get(connection, Release, ended.replaces)
    arms = plans.alone(plans.version_of(connection, release))
    plan = plans.make_plan(connection, release, arms, serves=(release,), at=at)
    releases.change(
        connection,
        release,
        actor=actor,
        action="release.restored",
        reason=why,
        at=at,
        state="released",
        plan=plan.number,
    )
