"""Approvals: a person's decision on one release, for exactly the content it names."""

from __future__ import annotations

from collections.abc import Iterable
from datetime import datetime, timedelta

import sqlalchemy as sa

from cd4ml.errors import Conflict, Corrupted, InvalidInput, NotAllowed, Refused
from cd4ml.records.actor import Actor
from cd4ml.records.approval import Approval, Decision, StandingApproval
from cd4ml.records.release import WAITING, Release
from cd4ml.records.run import Run
from cd4ml.records.settings import EnvironmentSettings
from cd4ml.records.verdict import Verdict
from cd4ml.release import releases
from cd4ml.release.agreement import approving_roles
from cd4ml.release.content import plan_address
from cd4ml.release.plans import version_of
from cd4ml.release.standing import ref as standing_ref
from cd4ml.store import ledger, lineage, people, rows, vouched
from cd4ml.store.address import short

_ACTIONS = {
    "approve": "approval.given",
    "reject": "approval.refused",
    "request_changes": "changes.requested",
    "review": "release.reviewed",
}


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
        raise NotAllowed(msg, hint=_somebody_else(settings))
    _refuse_unless_same(release, subject, settings)
    require_vouched(connection, release)
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
    release = _waiting(connection, number, tuple(WAITING))
    if not reason.strip():
        raise InvalidInput(f"rejecting {release.ref} needs a reason", hint="say what to do better")
    return _decide(connection, release, "reject", settings, by, reason, at)


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
    return _decide(connection, release, "request_changes", settings, by, reason, at)


def review(
    connection: sa.Connection,
    number: int,
    *,
    settings: EnvironmentSettings,
    by: Actor,
    reason: str,
    at: datetime,
) -> Release:
    """Look at an emergency release afterwards; it stays marked as one.

    Args:
        connection: Of a write transaction.
        number: Of the release.
        settings: Of its environment.
        by: A person who may approve there, or release in an emergency; not who did.
        reason: What was found, in words.
        at: Now.

    Raises:
        NotFound: If there is no such release.
        Conflict: If it was no emergency, took no effect, or was reviewed already.
        NotAllowed: If the actor is no person, requested it, or lacks the role.
        InvalidInput: If no reason is given.
    """
    release = releases.hold(connection, number)
    if not release.needs_review:
        raise Conflict(f"{release.ref} {_why_no_review(release)}")
    if not reason.strip():
        raise InvalidInput(f"reviewing {release.ref} needs a reason", hint="say what you found")
    if by.name == release.requested_by:
        msg = f"{by.name} may not review {release.ref}: who releases in an emergency does not"
        raise NotAllowed(msg, hint=_somebody_else(settings))
    found = _decide(connection, release, "review", settings, by, reason, at)
    return releases.change(
        connection,
        release,
        actor=by.name,
        action=_ACTIONS["review"],
        reason=reason,
        at=at,
        details={"approval": found.number, "content": release.content},
        entered_at=release.entered_at,
        state_reason=release.state_reason,
        records=(found,),
        review=found.number,
    )


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


def require_vouched(
    connection: sa.Connection, release: Release, standing: Iterable[StandingApproval] = ()
) -> None:
    """Let nothing go on whose records are not what the ledger says of them.

    Raises:
        Corrupted: If the release, its version, its verdict, a decision on it or a standing approval
            is not, or if the version is not the model that the release names.
    """
    vouched.require(connection, release, subject=release.ref)
    _require_version(connection, release)
    verdict = rows.get(connection, Verdict, release.verdict)
    vouched.require(connection, verdict, subject=verdict.ref)
    vouched.require_made(connection, verdict, rows.get(connection, Run, verdict.run))
    for each in of_release(connection, release):
        vouched.require(connection, each, subject=release.ref)
    for given in standing:
        vouched.require(connection, given, subject=standing_ref(given))
        people.actor(connection, given.given_by)  # whose roles count as they are now


def _require_version(connection: sa.Connection, release: Release) -> None:
    """What would go is what the release names: approvals count for exactly this."""
    version = version_of(connection, release)
    vouched.require(connection, version, subject=version.ref)
    goes = {"model": version.artifact, "contract": version.contract}
    for name, digest in goes.items():
        if digest != release.decides[name]:
            was, now = short(release.decides[name]), short(digest)
            msg = f"{release.ref} names the {name} {was}, and {version.ref} has {now}"
            raise Corrupted(msg, hint="request it anew, and look at what it is")


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


def _decide(
    connection: sa.Connection,
    release: Release,
    decision: Decision,
    settings: EnvironmentSettings,
    by: Actor,
    reason: str,
    at: datetime,
) -> Approval:
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
        action=_ACTIONS[approval.decision],
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


def _somebody_else(settings: EnvironmentSettings) -> str:
    roles = reviewing_roles(settings)
    return f"somebody else{' with the role ' + ' or '.join(roles) if roles else ''} has to"


def _why_no_review(release: Release) -> str:
    if not release.is_emergency:
        return "was no emergency: people agreed to it before"
    return "was reviewed already" if release.review else "has not begun, so nothing is to review"
