"""Approvals: a person's decision on one release, for exactly the content it names."""

from __future__ import annotations

from datetime import datetime

import sqlalchemy as sa

from cd4ml.errors import Conflict, InvalidInput, NotAllowed, Refused
from cd4ml.records.actor import Actor
from cd4ml.records.approval import Approval
from cd4ml.records.release import WAITING, Release
from cd4ml.records.settings import EnvironmentSettings
from cd4ml.release import releases
from cd4ml.release.content import plan_address
from cd4ml.release.decisions import decide, somebody_else
from cd4ml.release.vouching import require_vouched
from cd4ml.store import vouched
from cd4ml.store.address import short


def approve(
    connection: sa.Connection,
    number: int,
    *,
    subject: str,
    settings: EnvironmentSettings,
    by: Actor,
    reason: str,
    at: datetime,
) -> Approval:
    """Agree to a release; it begins at the next reconcile once enough people have.

    Approving twice counts once and gives the first approval again.

    Args:
        connection: Of a write transaction.
        number: Of the release.
        subject: The content the person looked at (`Release.content`).
        settings: The settings of the release's environment as they are now.
        by: A person with one of its roles, and not who requested the release.
        reason: Why, in words; may be empty.
        at: Now.

    Raises:
        NotFound: If there is no such release.
        Conflict: If it does not wait for approval, or the person rejected it before.
        Refused: If the person saw another content, or the settings have changed since the request.
        NotAllowed: If the actor is no person, requested it, or lacks the role.
        Corrupted: If the release, or its verdict, is not what the ledger says of it.
    """
    release = _waiting(connection, number, ("awaiting_approval",))
    if by.name in release.requesters:
        did = "requests a release" if by.name == release.requested_by else "asks for a retraining"
        what = "it" if by.name == release.requested_by else "what comes of it"
        msg = f"{by.name} may not approve {release.ref}: who {did} does not approve {what}"
        raise NotAllowed(msg, hint=somebody_else(settings))
    _refuse_unless_same(release, subject, settings)
    require_vouched(connection, release)
    return decide(connection, release, "approve", settings, by, reason, at)


def reject(
    connection: sa.Connection,
    number: int,
    *,
    settings: EnvironmentSettings,
    by: Actor,
    reason: str,
    at: datetime,
) -> Approval:
    """Refuse a release for good; a new request may follow. Args and errors as `approve`.

    Raises:
        InvalidInput: If no reason is given.
    """
    release = _waiting(connection, number, tuple(WAITING))
    if not reason.strip():
        raise InvalidInput(f"rejecting {release.ref} needs a reason", hint="say what to do better")
    return decide(connection, release, "reject", settings, by, reason, at)


def request_changes(
    connection: sa.Connection,
    number: int,
    *,
    settings: EnvironmentSettings,
    by: Actor,
    reason: str,
    at: datetime,
) -> Approval:
    """Let a release wait until its requester asks again; args and errors as `approve`.

    Approvals given before do not count any more: everybody looks again.

    Raises:
        InvalidInput: If no reason is given.
    """
    release = _waiting(connection, number, ("awaiting_approval",))
    if not reason.strip():
        msg = f"asking for changes of {release.ref} needs a reason"
        raise InvalidInput(msg, hint="say what to change")
    return decide(connection, release, "request_changes", settings, by, reason, at)


def _waiting(connection: sa.Connection, number: int, states: tuple[str, ...]) -> Release:
    release = releases.hold(connection, number)
    if release.state not in states:
        msg = f"{release.ref} is {release.state.replace('_', ' ')}; only one that awaits approval can be"
        raise Conflict(f"{msg} decided on")
    vouched.require(connection, release, subject=release.ref)
    return release


def _refuse_unless_same(release: Release, subject: str, settings: EnvironmentSettings) -> None:
    if subject != release.content:
        seen, now = short(subject), short(release.content)
        msg = (
            f"{release.ref} was not approved: what was looked at is {seen}, what would go is {now}"
        )
        raise Refused(msg, hint=f"look again: cd4ml release show {release.ref}")
    if plan_address(settings) != release.decides["plan"]:
        msg = (
            f"{release.ref} was not approved: the settings of {release.environment} in cd4ml.toml"
            " have changed since it was requested"
        )
        raise Refused(msg, hint="reject it and request it again, or restore the settings")
