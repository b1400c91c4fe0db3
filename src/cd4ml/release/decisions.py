"""Decisions of people on releases: written down once, and which of them count."""

from __future__ import annotations

from collections.abc import Iterable
from datetime import datetime, timedelta

import sqlalchemy as sa

from cd4ml.errors import Conflict, NotAllowed
from cd4ml.records.actor import Actor
from cd4ml.records.approval import Approval, Decision, StandingApproval
from cd4ml.records.release import Release
from cd4ml.records.settings import EnvironmentSettings
from cd4ml.release.agreement import approving_roles
from cd4ml.release.standing import ref as standing_ref
from cd4ml.store import ledger, lineage, people, rows

ACTIONS = {
    "approve": "approval.given",
    "reject": "approval.refused",
    "request_changes": "changes.requested",
    "review": "release.reviewed",
}


def valid(release: Release, approvals: Iterable[Approval], now: datetime) -> tuple[Approval, ...]:
    """The approvals that count at a moment: of this content and round, not expired.

    Never who requested it, and of nobody two.
    """
    first: dict[str, Approval] = {}
    for each in approvals:
        if (
            _is_about(release, each)
            and each.decision == "approve"
            and each.decided_by not in release.requesters
            and (each.expires_at is None or each.expires_at > now)
        ):
            first.setdefault(each.decided_by, each)
    return tuple(first.values())


def decision_of(
    decision: Decision, release: Release, approvals: Iterable[Approval]
) -> Approval | None:
    """The first such decision on exactly this content in this round."""
    return next(
        (each for each in approvals if _is_about(release, each) and each.decision == decision),
        None,
    )


def _is_about(release: Release, approval: Approval) -> bool:
    return (approval.subject, approval.round) == (release.content, release.round)


def of_release(connection: sa.Connection, release: Release) -> list[Approval]:
    """All decisions on a release, oldest first."""
    return rows.find(connection, Approval, release=release.number)


def rest_on(
    connection: sa.Connection,
    release: Release,
    standing: StandingApproval,
    *,
    roles: tuple[str, ...],
    actor: str,
    at: datetime,
) -> Approval:
    """Write down that a release goes on under a standing approval.

    The approval is its giver's, with the roles that they have of it now; the ledger names
    `actor`, who found that it covers the release.
    """
    reason = f"covered by {standing_ref(standing)} until {standing.expires_at:%Y-%m-%d %H:%M}"
    approval = _approval(
        connection,
        release,
        "approve",
        reason,
        by=standing.given_by,
        roles=roles,
        at=at,
        standing=standing.number,
    )
    _add(connection, release, approval, actor=actor)
    lineage.link(connection, _ref(approval), standing_ref(standing), "approved by")
    return approval


def decide(
    connection: sa.Connection,
    release: Release,
    decision: Decision,
    settings: EnvironmentSettings,
    by: Actor,
    reason: str,
    at: datetime,
) -> Approval:
    """Write down a person's decision; the same one again gives the first.

    Raises:
        NotAllowed: If the actor is no person, or lacks the role.
        Conflict: If the person rejected it before.
    """
    verb = "request changes of" if decision == "request_changes" else decision
    what = f"{verb} {release.ref}"
    if by.kind != "person":
        raise NotAllowed(f"{by.name} may not {what}: only a person decides")
    roles = reviewing_roles(settings) if decision == "review" else approving_roles(settings)
    if roles:
        people.require_role(by, roles, what=what)
    now = max(at, release.entered_at)  # what has expired stays so when a clock goes back
    earlier = [
        each
        for each in of_release(connection, release)
        if each.decided_by == by.name and _is_about(release, each) and not _is_over(each, now)
    ]
    if same := decision_of(decision, release, earlier):
        return same
    if decision_of("reject", release, earlier):
        raise Conflict(
            f"{by.name} has rejected {release.ref} already; it has to be requested again"
        )
    approval = _approval(
        connection,
        release,
        decision,
        reason,
        by=by.name,
        roles=tuple(role for role in roles if role in by.roles),
        at=at,
        hours=settings.approval_expires_hours if decision == "approve" else None,
    )
    _add(connection, release, approval, actor=by.name)
    return approval


def reviewing_roles(settings: EnvironmentSettings) -> tuple[str, ...]:
    """The roles with which somebody may review an emergency: who approves; else who may call one."""
    emergency = settings.emergency.roles if settings.emergency else ()
    return approving_roles(settings) or emergency


def _is_over(approval: Approval, at: datetime) -> bool:
    return approval.expires_at is not None and approval.expires_at <= at


def _approval(
    connection: sa.Connection,
    release: Release,
    decision: Decision,
    reason: str,
    *,
    by: str,
    roles: tuple[str, ...],
    at: datetime,
    standing: int = 0,
    hours: float | None = None,
) -> Approval:
    return Approval(
        number=rows.next_number(connection, Approval),
        release=release.number,
        subject=release.content,
        decision=decision,
        reason=reason,
        roles=roles,
        round=release.round,
        standing=standing,
        decided_at=at,
        decided_by=by,
        expires_at=None if hours is None else at + timedelta(hours=hours),
    )


def _add(connection: sa.Connection, release: Release, approval: Approval, *, actor: str) -> None:
    rows.insert(connection, approval)
    ref, at = _ref(approval), approval.decided_at
    if approval.decision == "approve":
        name = f"{ref} by {approval.decided_by}"
        lineage.note(connection, address=ref, kind="approval", name=name, at=at)
        lineage.link(connection, release.ref, ref, "approved by")
    if approval.decision == "review":  # the change of the release says it
        return
    ledger.append(
        connection,
        at=at,
        actor=actor,
        action=ACTIONS[approval.decision],
        subject=release.ref,
        reason=approval.reason,
        details={
            "approval": approval.number,
            "content": release.content,
            "round": approval.round,
            "roles": approval.roles,
            "standing": approval.standing,
            "expires_at": approval.expires_at,
        },
        records=(approval,),
    )


def _ref(approval: Approval) -> str:
    return f"approval/{approval.number}"


def somebody_else(settings: EnvironmentSettings) -> str:
    """Who has to decide instead, in words."""
    roles = reviewing_roles(settings)
    return f"somebody else{' with the role ' + ' or '.join(roles) if roles else ''} has to"
