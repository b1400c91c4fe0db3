"""Standing approvals: a person's approval in advance, for retrained candidates of one model."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from datetime import datetime
from typing import NamedTuple

import msgspec
import sqlalchemy as sa

from cd4ml.errors import Conflict, InvalidInput, NotAllowed
from cd4ml.records.actor import Actor
from cd4ml.records.approval import Approval, StandingApproval
from cd4ml.records.finding import Finding
from cd4ml.records.release import Release
from cd4ml.records.settings import EnvironmentSettings
from cd4ml.release.agreement import approving_roles, needed
from cd4ml.release.content import made_as, plan_address, scope_address
from cd4ml.release.margin import beyond
from cd4ml.release.releases import in_charge
from cd4ml.store import ledger, lineage, people, rows, vouched


class Agreed(NamedTuple):
    """How a version is made that people, and not a standing approval, brought into charge."""

    made: dict[str, str]
    at: datetime  # when the last of them agreed


class Known(NamedTuple):
    """What a standing approval is held against, beside the release itself."""

    roles: Mapping[str, tuple[str, ...]]  # by person: those that they have now
    agreed: Sequence[Agreed] = ()
    findings: Sequence[Finding] = ()  # of the release's verdict
    beside: str = ""  # the version that the verdict compares it with
    champion: str = ""  # the version in charge there now


class Coverage(NamedTuple):
    """Whether a standing approval covers a release, and if not, why."""

    is_covered: bool
    reason: str


def give(
    connection: sa.Connection,
    *,
    model: str,
    environment: str,
    policy: str,
    settings: EnvironmentSettings,
    by: Actor,
    reason: str,
    expires_at: datetime,
    margins: dict[str, float] | None = None,
    at: datetime,
) -> StandingApproval:
    """Approve in advance what the system will request after retraining.

    It covers what is made as the version that is in charge there now: the same code,
    configuration and contract, learned from other data.

    Args:
        connection: Of a write transaction.
        model: Whose candidates.
        environment: Where to.
        policy: Address of the gates in force; with other gates it covers nothing.
        settings: That environment's settings; with other settings it covers nothing.
        by: A person with one of the roles that may approve there.
        reason: Why, in words: what the person relies on.
        expires_at: When it ends.
        margins: By metric, how much worse than the champion a candidate may surely not be more.
        at: Now.

    Raises:
        NotAllowed: If the actor is no person, or lacks the role.
        InvalidInput: If it needs no approval there, says no reason, or has expired already.
    """
    what = f"give a standing approval for {model} in {environment}"
    _require_approver(by, settings, what=what)
    if not reason.strip():
        raise InvalidInput("a standing approval says why", hint="give a reason")
    if expires_at <= at:
        msg = f"a standing approval ends in the future, got {expires_at:%Y-%m-%d %H:%M}"
        raise InvalidInput(msg, hint=f"it is {at:%Y-%m-%d %H:%M} now")
    there = in_charge(connection, model, environment)
    standing = StandingApproval(
        number=rows.next_number(connection, StandingApproval),
        model=model,
        environment=environment,
        policy=scope_address(policy, plan_address(settings)),
        reason=reason,
        given_at=at,
        given_by=by.name,
        roles=tuple(role for role in approving_roles(settings) if role in by.roles),
        basis=made_as(there.decides) if there else {},
        margins=margins or {},
        expires_at=expires_at,
    )
    rows.insert(connection, standing)
    lineage.note(
        connection, address=ref(standing), kind="standing approval", name=ref(standing), at=at
    )
    _write_down(connection, standing, "standing_approval.given", by, reason, at)
    return standing


def revoke(
    connection: sa.Connection,
    number: int,
    *,
    settings: EnvironmentSettings,
    by: Actor,
    reason: str,
    at: datetime,
) -> StandingApproval:
    """End a standing approval now; what it let through before stays as it is.

    Raises:
        NotFound: If there is none with this number.
        NotAllowed: If the actor neither gave it nor has a role that may approve there.
        Conflict: If it was revoked already.
    """
    standing = rows.get(connection, StandingApproval, number, lock=True)
    if by.name != standing.given_by:
        people.require_role(by, approving_roles(settings), what=f"revoke {ref(standing)}")
    if standing.revoked_at is not None:
        raise Conflict(f"{ref(standing)} was revoked at {standing.revoked_at:%Y-%m-%d %H:%M}")
    return _end(connection, standing, by, reason, at)


def end_all_of(
    connection: sa.Connection, person: str, *, by: Actor, reason: str, at: datetime
) -> list[StandingApproval]:
    """End every standing approval that a person gave; what they let through stays as it is."""
    given = rows.find(connection, StandingApproval, given_by=person, revoked_at=None)
    return [_end(connection, each, by, reason, at) for each in given]


def _end(
    connection: sa.Connection, standing: StandingApproval, by: Actor, reason: str, at: datetime
) -> StandingApproval:
    vouched.require_or_say(connection, standing, subject=ref(standing), actor=by.name, at=at)
    revoked = msgspec.structs.replace(standing, revoked_at=at)
    rows.replace(connection, revoked)
    _write_down(connection, revoked, "standing_approval.revoked", by, reason, at)
    return revoked


def covers(release: Release, standing: StandingApproval, now: datetime, known: Known) -> Coverage:
    """Whether a standing approval stands in for its giver's approval of a release.

    It does for a release that the system requested after retraining, after the approval was
    given, of the same model to the same environment, under the same gates and rollout plan,
    while it is neither expired nor revoked, and its giver has one of the roles. The candidate is
    made as the version that was in charge when it was given, or as one that people agreed to
    since, and within its margins.
    """
    scope = scope_address(release.decides["policy"], release.decides["plan"])
    reasons = (
        (standing.model != release.model, f"it is for {standing.model}"),
        (standing.environment != release.environment, f"it is for {standing.environment}"),
        (not release.is_retrained, "it is for what the system requests after retraining"),
        (standing.policy != scope, "the gates or the rollout plan are others now"),
        (
            standing.given_at > release.requested_at,
            f"it was given after {release.ref} was requested",
        ),
        (standing.revoked_at is not None, "it was revoked"),
        (standing.expires_at <= now, f"it expired at {standing.expires_at:%Y-%m-%d %H:%M}"),
        (standing.given_by == release.requested_by, "its giver requested the release"),
        (standing.given_by in release.requesters, "its giver asked for the retraining"),
        (
            not still(standing, known.roles),
            f"{standing.given_by} has the role {' or '.join(standing.roles)} no more",
        ),
    )
    against = next((reason for is_so, reason in reasons if is_so), "")
    against = against or _otherwise_made(release, standing, known.agreed)
    against = against or _beyond_margin(standing, known)
    return Coverage(not against, against)


def still(standing: StandingApproval, roles: Mapping[str, tuple[str, ...]]) -> tuple[str, ...]:
    """The roles in which its giver gave it and that they still have."""
    return tuple(role for role in standing.roles if role in roles.get(standing.given_by, ()))


def agreed_to(
    releases: Sequence[Release], approvals: Mapping[int, Sequence[Approval]]
) -> tuple[Agreed, ...]:
    """How those releases are made that people agreed to, each of them, and that were in charge.

    Args:
        releases: Of one model to one environment.
        approvals: By the number of the release, what was decided about it.
    """
    found = []
    for release in releases:
        given = [
            each
            for each in approvals.get(release.number, ())
            if each.decision == "approve" and each.subject == release.content
        ]
        was_there = release.state in ("released", "superseded") and not release.is_emergency
        if was_there and given and not any(each.standing for each in given):
            at = max(each.decided_at for each in given)
            found.append(Agreed(made_as(release.decides), at))
    return tuple(found)


def _otherwise_made(release: Release, standing: StandingApproval, agreed: Sequence[Agreed]) -> str:
    """What of a candidate nobody has agreed to, in words; "" if it is made as one known."""
    made = made_as(release.decides)
    since = [each.made for each in agreed if each.at >= standing.given_at]
    others = [
        [name for name, digest in made.items() if basis[name] != digest]
        for basis in (standing.basis, *since)
        if basis
    ]
    if not others:
        return "nothing was in charge when it was given, so nobody knows how it is made"
    fewest = min(others, key=len)
    if not fewest:
        return ""
    verb = "is" if len(fewest) == 1 else "are"
    return f"its {' and '.join(fewest)} {verb} not what people agreed to"


def _beyond_margin(standing: StandingApproval, known: Known) -> str:
    if not standing.margins:
        return ""
    if known.beside != known.champion:
        return (
            f"its verdict is beside {known.beside or 'no version'}, and {known.champion} is there"
        )
    return beyond(standing.margins, known.findings)


def of_model(connection: sa.Connection, model: str, environment: str) -> list[StandingApproval]:
    """All standing approvals ever given for a model in an environment, oldest first."""
    return rows.find(connection, StandingApproval, model=model, environment=environment)


def ref(standing: StandingApproval) -> str:
    """`standing-approval/number`."""
    return f"standing-approval/{standing.number}"


def _require_approver(by: Actor, settings: EnvironmentSettings, *, what: str) -> None:
    if needed(settings) == 0:
        raise InvalidInput(f"nobody needs to {what}: no approval is asked for there")
    if by.kind != "person":
        raise NotAllowed(f"{by.name} may not {what}: only a person approves")
    people.require_role(by, approving_roles(settings), what=what)


def _write_down(
    connection: sa.Connection,
    standing: StandingApproval,
    action: str,
    by: Actor,
    reason: str,
    at: datetime,
) -> None:
    ledger.append(
        connection,
        at=at,
        actor=by.name,
        action=action,
        subject=ref(standing),
        reason=reason,
        details={
            "model": standing.model,
            "environment": standing.environment,
            "policy": standing.policy,
            "roles": standing.roles,
            "basis": standing.basis,
            "margins": standing.margins,
            "expires_at": standing.expires_at.isoformat(),
        },
        records=(standing,),
    )
