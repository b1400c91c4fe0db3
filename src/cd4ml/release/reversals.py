"""Going back: a rollout that is aborted, a release that is undone."""

from __future__ import annotations

from collections.abc import Callable
from datetime import datetime
from typing import Any

import sqlalchemy as sa

from cd4ml.errors import Conflict, Refused
from cd4ml.records.actor import Actor
from cd4ml.records.alert import Alert
from cd4ml.records.release import WAITING, Release
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
    if release.state not in (*WAITING, "rolling_out"):
        msg = f"{release.ref} is {release.state}; only one on its way can be aborted"
        undo_it = f"cd4ml undo --in {release.environment}"
        hint = undo_it if release.state == "released" else ""
        raise Conflict(msg, hint=hint)
    why = f"aborted by {by.name}: {reason}" if reason else f"aborted by {by.name}"
    return go_back(connection, release, reason=why, actor=by.name, at=at)


def undo(
    connection: sa.Connection,
    number: int,
    *,
    environments: Environments,
    by: Actor,
    reason: str,
    at: datetime,
    took_s: Callable[[], float] = lambda: 0.0,
) -> Release:
    """Put the version before a release in charge again, at once and without approval.

    Undoing the restored release goes back one further. The ledger has what it took: the time to
    restore, since the first alert about the release or since it took charge.

    Args:
        connection: Of a write transaction.
        number: Of the release in charge.
        environments: All of them, in the order of `cd4ml.toml`.
        by: Who undoes it.
        reason: Why, in words.
        at: Now.
        took_s: Seconds since somebody asked for it, by a clock that no rehearsal moves.

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
    _refuse_if_first(release, "undone")
    restored = _restore(connection, release, actor=by.name, at=at, why=f"{release.ref} was undone")
    details = {"restored": restored.ref, **_to_restore(connection, release, at)}
    releases.change(
        connection,
        release,
        actor=by.name,
        action="release.undone",
        reason=why,
        at=at,
        details={**details, "took_s": round(took_s(), 3)},
        may_wait=False,
        state="undone",
    )
    move_champion(connection, restored, environments=environments, by=by.name, at=at)
    return restored


def _to_restore(connection: sa.Connection, release: Release, at: datetime) -> dict[str, Any]:
    """How long a release did harm: since the first alert about it, else since it took charge."""
    alerts = rows.find(connection, Alert, environment=release.environment, model=release.model)
    of_it = (
        each
        for each in alerts
        if each.window_end > release.entered_at and each.kind != "capture"  # of a disk, not of it
    )
    first = min(of_it, key=lambda each: each.raised_at, default=None)
    since = first.raised_at if first else release.entered_at
    return {
        "in_charge_s": max(0.0, (at - release.entered_at).total_seconds()),
        "since": first.ref if first else release.ref,
        "time_to_restore_s": max(0.0, (at - since).total_seconds()),
    }


def go_back(
    connection: sa.Connection,
    release: Release,
    *,
    reason: str,
    actor: str,
    at: datetime,
    details: dict[str, Any] | None = None,
) -> Release:
    """Abort a held release; if it has traffic, the release it replaces answers alone again.

    Raises:
        Refused: If it has traffic and is the first in its environment: an endpoint without a
            version could not answer at all.
    """
    if release.state not in WAITING:
        _refuse_if_first(release, "aborted")
        _restore(connection, release, actor=actor, at=at, why=f"{release.ref} was aborted")
    return releases.change(
        connection,
        release,
        actor=actor,
        action="release.aborted",
        reason=reason,
        at=at,
        details=details,
        may_wait=False,
        state="aborted",
    )


def _refuse_if_first(release: Release, what: str) -> None:
    if not release.replaces:
        msg = f"{release.ref} was not {what}: it is the first in {release.environment}"
        raise Refused(msg, hint="release another version instead")


def _restore(
    connection: sa.Connection, ended: Release, *, actor: str, at: datetime, why: str
) -> Release:
    release = rows.get(connection, Release, ended.replaces)
    arms = plans.alone(plans.version_of(connection, release))
    plan = plans.make_plan(connection, release, arms, serves=(release,), at=at)
    return releases.change(
        connection,
        release,
        actor=actor,
        action="release.restored",
        reason=why,
        at=at,
        records=(plan,),
        may_wait=False,
        state="released",
        plan=plan.number,
    )
