"""Approvals: a person's decision on one release, for exactly the content it names."""

from __future__ import annotations

from collections.abc import Iterable
from datetime import datetime
from typing import Literal

import sqlalchemy as sa

from cd4ml.errors import Conflict, InvalidInput, NotAllowed, Refused
from cd4ml.records.actor import Actor
from cd4ml.records.approval import Approval, StandingApproval
from cd4ml.records.release import Release
from cd4ml.records.settings import EnvironmentSettings
from cd4ml.release import releases
from cd4ml.release.content import plan_address
from cd4ml.release.standing import ref as standing_ref
from cd4ml.store import ledger, lineage, people, rows
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
    """
    release = _waiting(connection, number)
    if by.name == release.requested_by:
        msg = f"{by.name} may not approve {release.ref}: who requests a release does not approve it"
        raise NotAllowed(msg, hint=f"somebody else with the role {_any_of(settings)} has to")
    _refuse_unless_same(release, subject, settings)
    return _decide(connection, release, "approve", settings, by, reason, at)


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
    release = _waiting(connection, number)
    if not reason.strip():
        raise InvalidInput(f"rejecting {release.ref} needs a reason", hint="say what to do better")
    return _decide(connection, release, "reject", settings, by, reason, at)


def approvers(release: Release, approvals: Iterable[Approval]) -> tuple[str, ...]:
    """Who approved exactly this content, each once, never who requested it."""
    names = (
        approval.decided_by
        for approval in approvals
        if approval.decision == "approve" and approval.subject == release.content
    )
    return tuple(dict.fromkeys(name for name in names if name != release.requested_by))


def rejection(release: Release, approvals: Iterable[Approval]) -> Approval | None:
    """The first rejection of exactly this content."""
    return next(
        (
            approval
            for approval in approvals
            if approval.decision == "reject" and approval.subject == release.content
        ),
        None,
    )


def of_release(connection: sa.Connection, release: Release) -> list[Approval]:
    """All decisions on a release, oldest first."""
    return rows.find(connection, Approval, release=release.number)


def rest_on(
    connection: sa.Connection,
    release: Release,
    standing: StandingApproval,
    *,
    actor: str,
    at: datetime,
) -> Approval:
    """Write down that a release goes on under a standing approval.

    The approval is its giver's; the ledger names `actor`, who found that it covers the release.
    """
    reason = f"covered by {standing_ref(standing)} until {standing.expires_at:%Y-%m-%d %H:%M}"
    approval = _approval(
        connection,
        release,
        "approve",
        reason,
        by=standing.given_by,
        at=at,
        standing=standing.number,
    )
    _add(connection, release, approval, actor=actor)
    lineage.link(connection, _ref(approval), standing_ref(standing), "approved by")
    return approval


def _waiting(connection: sa.Connection, number: int) -> Release:
    release = releases.hold(connection, number)
    if release.state != "awaiting_approval":
        msg = f"{release.ref} is {release.state}; only one that awaits approval can be decided on"
        raise Conflict(msg)
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


def _decide(
    connection: sa.Connection,
    release: Release,
    decision: Literal["approve", "reject"],
    settings: EnvironmentSettings,
    by: Actor,
    reason: str,
    at: datetime,
) -> Approval:
    if by.kind != "person":
        raise NotAllowed(f"{by.name} may not {decision} {release.ref}: only a person decides")
    if settings.roles:
        people.require_role(by, settings.roles, what=f"{decision} {release.ref}")
    earlier = [a for a in of_release(connection, release) if a.decided_by == by.name]
    if any(approval.decision == decision for approval in earlier):
        return next(approval for approval in earlier if approval.decision == decision)
    if any(approval.decision == "reject" for approval in earlier):
        raise Conflict(
            f"{by.name} has rejected {release.ref} already; it has to be requested again"
        )
    approval = _approval(connection, release, decision, reason, by=by.name, at=at)
    _add(connection, release, approval, actor=by.name)
    return approval


def _approval(
    connection: sa.Connection,
    release: Release,
    decision: Literal["approve", "reject"],
    reason: str,
    *,
    by: str,
    at: datetime,
    standing: int = 0,
) -> Approval:
    return Approval(
        number=rows.next_number(connection, Approval),
        release=release.number,
        subject=release.content,
        decision=decision,
        reason=reason,
        standing=standing,
        decided_at=at,
        decided_by=by,
    )


def _add(connection: sa.Connection, release: Release, approval: Approval, *, actor: str) -> None:
    rows.insert(connection, approval)
    ref, at = _ref(approval), approval.decided_at
    if approval.decision == "approve":
        name = f"{ref} by {approval.decided_by}"
        lineage.note(connection, address=ref, kind="approval", name=name, at=at)
        lineage.link(connection, release.ref, ref, "approved by")
    ledger.append(
        connection,
        at=at,
        actor=actor,
        action="approval.given" if approval.decision == "approve" else "approval.refused",
        subject=release.ref,
        reason=approval.reason,
        details={
            "approval": approval.number,
            "content": release.content,
            "standing": approval.standing,
        },
    )


def _ref(approval: Approval) -> str:
    return f"approval/{approval.number}"


def _any_of(settings: EnvironmentSettings) -> str:
    return " or ".join(settings.roles)
