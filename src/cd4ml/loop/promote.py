"""Ask for a release, agree to it or not, and take it back."""

from __future__ import annotations

from datetime import datetime
from typing import Literal

import msgspec
import sqlalchemy as sa

from cd4ml.errors import InvalidInput, NotFound, Refused
from cd4ml.gates.policy import policy_of
from cd4ml.loop.consumers import refuse_breaking, refuse_if_moved
from cd4ml.loop.reasons import require_reason
from cd4ml.loop.refs import number_in, version_in
from cd4ml.loop.release_evidence import ReleaseEvidence, evidence_of
from cd4ml.loop.roll_out import evidence_on, roll_out
from cd4ml.loop.stored_model import refuse_damaged
from cd4ml.records.approval import Approval, StandingApproval
from cd4ml.records.ledger_entry import LedgerEntry
from cd4ml.records.model_version import ModelVersion
from cd4ml.records.plan import Plan
from cd4ml.records.release import Release
from cd4ml.release import approvals, requests, reversals, standing
from cd4ml.release.champion import champion_ref, unlike_champion
from cd4ml.release.environments import require_possible, settings_of
from cd4ml.release.margin import require_compared
from cd4ml.release.plans import version_of
from cd4ml.release.reconcile import waits_for
from cd4ml.release.releases import in_charge
from cd4ml.store import ledger, people, rows
from cd4ml.store.project import Project

_PREFIX = "blake3:"
_FEWEST_DIGITS = 12  # as addresses are shown


class ReleaseDetails(msgspec.Struct, frozen=True, kw_only=True):
    """A release with everything that was decided about it."""

    release: Release
    waits_for: str
    evidence: ReleaseEvidence
    approvals: tuple[Approval, ...]
    plans: tuple[Plan, ...]
    ledger: tuple[LedgerEntry, ...]


def request(
    project: Project,
    version: str,
    *,
    to: str,
    reason: str = "",
    is_retrained: bool = False,
    is_emergency: bool = False,
    caused_by: str = "",
    actor: str,
) -> Release:
    """Ask for a version to be released in an environment; where nobody has to agree it begins.

    An emergency needs no approval and heeds no freeze, where the policy allows one; somebody
    else reviews it afterwards. `caused_by` asked for the retraining that a retrained version
    comes from: who caused a request approves it as little as who made it.

    Raises:
        NotFound: If there is no such version or environment.
        Refused: If its stored model is damaged, its verdict is no pass or was not given beside the version in charge, an
            environment before has another version, or its contract breaks consumers and does not
            say so.
        NotAllowed: If it is an emergency, and the policy lets the actor call none.
        InvalidInput: If an emergency says no reason.
        Inconclusive: If its verdict is inconclusive.
        AlreadyExists: If exactly this is in charge there.
        Conflict: If another release is under way there.
        ConfigurationError: If under the settings nobody could agree, or a rollout not end.
    """
    require_possible(project.settings.environments)
    with project.database.read() as connection:
        wanted = rows.get(connection, ModelVersion, *version_in(version))
    refuse_damaged(project, wanted, "was not released")
    seen = refuse_breaking(project, wanted, to)
    with project.database.write() as connection:
        wanted = rows.get(connection, ModelVersion, *version_in(version))
        refuse_if_moved(connection, wanted.model, to, seen)
        release = requests.request_release(
            connection,
            wanted,
            environment=to,
            environments=project.settings.environments,
            by=people.actor(connection, actor),
            at=project.clock.now(),
            reason=reason,
            is_retrained=is_retrained,
            is_emergency=is_emergency,
            caused_by=caused_by,
        )
        _refuse_other_gates(project, release, hint=f"cd4ml gate run/{wanted.run} judges it again")
        _refuse_unlike_champion(project, connection, release, "was not released", "")
    return _settled(project, release)


def approve(
    project: Project, release: str, *, reason: str, content: str | None = None, actor: str
) -> Release:
    """Agree to a release, for exactly the content it names; it begins once enough have.

    Agreeing again changes nothing, also when the release is on its way because of it. `content`
    is what the actor looked at, where that is known; its first digits are enough.

    Raises:
        NotFound: If there is no such release.
        NotAllowed: If the actor requested it, or lacks the role.
        Refused: If the settings have changed since it was requested, the gates say something else
            about its version now, another version than the one it was judged beside is in charge,
            the actor looked at another content, or its version is no longer in charge in an
            environment before.
        Conflict: If it does not wait for approval.
        InvalidInput: If no reason is given, or a content that says nothing.
    """
    if content is not None and not content.removeprefix(_PREFIX).strip():
        msg = f"approving {release}: the content that was looked at is empty"
        raise InvalidInput(msg, hint=f"cd4ml release show {release} says it, or leave it out")
    require_reason(reason, f"approving {release}", hint="say what convinced you")
    _refuse_what_cannot_be_served(project, release)
    with project.database.write() as connection:
        asked = rows.get(connection, Release, number_in(release, "release"))
        if not _has_decided(project, connection, asked, actor, "approve"):
            _refuse_other_gates(project, asked, hint="reject it, judge the run again, ask again")
            _refuse_unless_as_requested(project, connection, asked)
            approvals.approve(
                connection,
                asked.number,
                subject=_looked_at(asked, content),
                settings=settings_of(project.settings.environments, asked.environment),
                by=people.actor(connection, actor),
                reason=reason,
                at=project.clock.now(),
            )
    return _settled(project, asked)


def reject(project: Project, release: str, *, reason: str, actor: str) -> Release:
    """Refuse a release for good. Errors as `approve`.

    Raises:
        InvalidInput: If no reason is given.
    """
    with project.database.write() as connection:
        asked = rows.get(connection, Release, number_in(release, "release"))
        if not _has_decided(project, connection, asked, actor, "reject"):
            approvals.reject(
                connection,
                asked.number,
                settings=settings_of(project.settings.environments, asked.environment),
                by=people.actor(connection, actor),
                reason=reason,
                at=project.clock.now(),
            )
    return _settled(project, asked)


def stand(
    project: Project,
    *,
    model: str,
    environment: str,
    until: datetime,
    reason: str,
    margins: dict[str, float] | None = None,
    actor: str,
) -> StandingApproval:
    """Approve in advance what is retrained and passes, under the policy as it is now.

    It covers what is made as the version in charge there, or one that people agree to later:
    the same code, configuration and contract. `margins` says by metric how much worse than the
    champion it may be at most, by the interval of the paired difference in its verdict.

    Raises:
        NotFound: If there is no such environment or model.
        NotAllowed: If the actor lacks the role.
        InvalidInput: If no reason is given, the end is past, or a margin is in a metric that no
            gate compares with the champion.
        ConfigurationError: As for `request`.
    """
    require_possible(project.settings.environments)
    require_compared(margins or {}, project.settings.gate)
    with project.database.write() as connection:
        _refuse_unknown_model(connection, model)
        return standing.give(
            connection,
            model=model,
            environment=environment,
            policy=policy_of(project.settings.gate, project.settings.model.key).address,
            settings=settings_of(project.settings.environments, environment),
            by=people.actor(connection, actor),
            reason=reason,
            expires_at=until,
            margins=margins,
            at=project.clock.now(),
        )


def revoke(project: Project, ref: str, *, reason: str, actor: str) -> StandingApproval:
    """End a standing approval now; what it let through before stays as it is.

    Raises:
        NotFound: If there is none, or `cd4ml.toml` no longer names its environment.
        NotAllowed: If the actor neither gave it nor has a role that may approve there.
        Conflict: If it was revoked already.
        InvalidInput: If no reason is given.
    """
    require_reason(reason, f"revoking {ref}", hint="say what has changed")
    number = number_in(ref, "standing-approval")
    with project.database.write() as connection:
        given = rows.get(connection, StandingApproval, number)
        return standing.revoke(
            connection,
            number,
            settings=settings_of(project.settings.environments, given.environment),
            by=people.actor(connection, actor),
            reason=reason,
            at=project.clock.now(),
        )


def undo(
    project: Project, *, environment: str, model: str = "", reason: str, actor: str
) -> Release:
    """Go back to the version that was in charge before, at once; returns its release.

    Raises:
        NotFound: If there is no such environment or model, or nothing is in charge there.
        Conflict: If there was nothing before it.
        InvalidInput: If no reason is given.
    """
    asked_at = project.clock.machine_time()
    require_reason(reason, f"going back in {environment}", hint="say what went wrong")
    settings_of(project.settings.environments, environment)
    with project.database.write() as connection:
        _refuse_unknown_model(connection, model)
        current = in_charge(connection, model or _only_model(connection), environment)
        if current is None:
            msg = f"nothing is in charge in {environment}, so there is nothing to undo"
            raise NotFound(msg, hint="cd4ml release list")
        return reversals.undo(
            connection,
            current.number,
            environments=project.settings.environments,
            by=people.actor(connection, actor),
            reason=reason,
            at=project.clock.now(),
            took_s=lambda: (project.clock.machine_time() - asked_at).total_seconds(),
        )


def undo_release(project: Project, ref: str, *, reason: str, actor: str) -> Release:
    """Go back from the release in charge that somebody looks at; returns the one before.

    Raises:
        NotFound: If there is no such release.
        Conflict: If it is not in charge.
        Refused: If there was nothing before it.
        InvalidInput: If no reason is given.
    """
    asked_at = project.clock.machine_time()
    require_reason(reason, f"undoing {ref}", hint="say what went wrong")
    with project.database.write() as connection:
        return reversals.undo(
            connection,
            number_in(ref, "release"),
            environments=project.settings.environments,
            by=people.actor(connection, actor),
            reason=reason,
            at=project.clock.now(),
            took_s=lambda: (project.clock.machine_time() - asked_at).total_seconds(),
        )


def abort(project: Project, release: str, *, reason: str, actor: str) -> Release:
    """Stop a rollout: all traffic goes back to the version in charge.

    Raises:
        NotFound: If there is no such release.
        Conflict: If it is not under way.
        InvalidInput: If no reason is given.
    """
    require_reason(reason, f"aborting {release}", hint="say what went wrong")
    with project.database.write() as connection:
        return reversals.abort(
            connection,
            number_in(release, "release"),
            by=people.actor(connection, actor),
            reason=reason,
            at=project.clock.now(),
        )


def releases(project: Project) -> list[Release]:
    """All releases, oldest first."""
    with project.database.read() as connection:
        return rows.find(connection, Release)


def release_details(project: Project, ref: str) -> ReleaseDetails:
    """One release, what it waits for, who decided what, and the plans it made.

    Raises:
        NotFound: If there is none.
    """
    with project.database.read() as connection:
        release = rows.get(connection, Release, number_in(ref, "release"))
    seen = evidence_on(project, release)
    with project.database.read() as connection:
        waiting = waits_for(
            connection,
            release,
            environments=project.settings.environments,
            evidence=seen,
            now=project.clock.now(),
        )
        return ReleaseDetails(
            release=release,
            waits_for=waiting,
            evidence=evidence_of(connection, release),
            approvals=tuple(approvals.of_release(connection, release)),
            plans=tuple(rows.find(connection, Plan, release=release.number)),
            ledger=tuple(reversed(ledger.entries(connection, release.ref))),
        )


def _has_decided(
    project: Project,
    connection: sa.Connection,
    release: Release,
    actor: str,
    decision: Literal["approve", "reject"],
) -> bool:
    given = approvals.of_release(connection, release)
    if decision == "approve" and release.state == "changes_requested":
        return False  # it waits for its requester, whoever agreed before
    if decision == "approve" and release.state == "awaiting_approval":
        now = max(release.entered_at, project.clock.now())
        given = list(approvals.valid(release, given, now))
    return any(
        (each.decided_by, each.decision, each.round) == (actor, decision, release.round)
        for each in given
    )


def _refuse_what_cannot_be_served(project: Project, release: str) -> None:
    """Since it was requested, another version may have come in charge, or its bytes been damaged."""
    with project.database.read() as connection:
        asked = rows.get(connection, Release, number_in(release, "release"))
        version = version_of(connection, asked)
    if asked.state == "awaiting_approval":
        refuse_damaged(project, version, f"({asked.ref}) was not approved")
    if asked.state == "awaiting_approval" and asked.environment in project.settings.environments:
        refuse_breaking(project, version, asked.environment)


def _looked_at(release: Release, content: str | None) -> str:
    """The content somebody looked at: the release's own, if that begins with what they say."""
    if content is None:
        return release.content
    plain = content.removeprefix(_PREFIX)
    is_it = len(plain) >= _FEWEST_DIGITS and release.content.removeprefix(_PREFIX).startswith(plain)
    return release.content if is_it else content


def _refuse_unless_as_requested(
    project: Project, connection: sa.Connection, asked: Release
) -> None:
    """Environments before, and what the gates say, may be others since it was requested."""
    if asked.state == "awaiting_approval":
        version = version_of(connection, asked)
        requests.refuse_unless_before(
            connection, version, asked.environment, project.settings.environments
        )
        requests.refuse_other_verdict(connection, version, asked)
        again = f"; then cd4ml release withdraw {asked.ref}, and request it anew"
        _refuse_unlike_champion(
            project, connection, asked, f"({asked.ref}) was not approved", again
        )


def _refuse_other_gates(project: Project, release: Release, *, hint: str) -> None:
    """A verdict counts under the gates that were asked; raising undoes the transaction."""
    if (
        policy_of(project.settings.gate, project.settings.model.key).address
        != release.decides["policy"]
    ):
        msg = (
            f"{release.model}/{release.version} was judged under other gates than those that"
            " cd4ml.toml has now"
        )
        raise Refused(msg, hint=hint)


def _refuse_unlike_champion(
    project: Project, connection: sa.Connection, release: Release, what: str, hint: str
) -> None:
    """What is good enough beside one version may be worse than the next."""
    if release.state != "awaiting_approval":
        return
    version = f"{release.model}/{release.version}"
    environments = project.settings.environments
    if unlike := unlike_champion(connection, release, environments):
        now = champion_ref(connection, release.model, environments)
        msg = f"{version} {what}: {unlike}"
        raise Refused(msg, hint=f"cd4ml gate {version} judges it again beside {now}{hint}")


def _settled(project: Project, release: Release) -> Release:
    """The release after everything that needs no waiting has happened."""
    roll_out(project, release.ref)
    with project.database.read() as connection:
        return rows.get(connection, Release, release.number)


def refuse_unknown_model(project: Project, model: str) -> None:
    """Refuse a model of which there is no version; "" stands for all of them.

    Raises:
        NotFound: If there is none; the hint lists those there are.
    """
    with project.database.read() as connection:
        _refuse_unknown_model(connection, model)


def _refuse_unknown_model(connection: sa.Connection, model: str) -> None:
    if model and not rows.count(connection, ModelVersion, model=model):
        known = sorted({version.model for version in rows.find(connection, ModelVersion)})
        raise NotFound(f"no model named {model!r}", hint=f"known: {', '.join(known) or 'none yet'}")


def _only_model(connection: sa.Connection) -> str:
    names = sorted({version.model for version in rows.find(connection, ModelVersion)})
    if len(names) == 1:
        return names[0]
    msg = f"which model? there are {', '.join(names) or 'none yet'}"
    raise NotFound(msg, hint="name one with --model")
