"""Ask for a release, and agree to it or not."""

from __future__ import annotations

from functools import partial
from typing import Literal

import sqlalchemy as sa

from cd4ml.errors import InvalidInput, Refused
from cd4ml.gates.policy import policy_of
from cd4ml.loop.consumers import refuse_breaking, refuse_if_moved
from cd4ml.loop.decision import record, settled
from cd4ml.loop.reasons import require_reason
from cd4ml.loop.refs import number_in, version_in
from cd4ml.loop.stored_model import refuse_damaged
from cd4ml.records.model_version import ModelVersion
from cd4ml.records.release import Release
from cd4ml.release import approvals, decisions, requests
from cd4ml.release.champion import champion_ref, unlike_champion
from cd4ml.release.environments import require_possible
from cd4ml.release.plans import version_of
from cd4ml.release.readiness import refuse_other_verdict, refuse_unless_before
from cd4ml.store import people, rows
from cd4ml.store.project import Project

_PREFIX = "blake3:"
_FEWEST_DIGITS = 12  # as addresses are shown


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
    return settled(project, release)


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
            agree = partial(approvals.approve, subject=_looked_at(asked, content))
            record(project, connection, asked, agree, reason=reason, actor=actor)
    return settled(project, asked)


def reject(project: Project, release: str, *, reason: str, actor: str) -> Release:
    """Refuse a release for good. Errors as `approve`.

    Raises:
        InvalidInput: If no reason is given.
    """
    with project.database.write() as connection:
        asked = rows.get(connection, Release, number_in(release, "release"))
        if not _has_decided(project, connection, asked, actor, "reject"):
            record(project, connection, asked, approvals.reject, reason=reason, actor=actor)
    return settled(project, asked)


def _has_decided(
    project: Project,
    connection: sa.Connection,
    release: Release,
    actor: str,
    decision: Literal["approve", "reject"],
) -> bool:
    given = decisions.of_release(connection, release)
    if decision == "approve" and release.state == "changes_requested":
        return False  # it waits for its requester, whoever agreed before
    if decision == "approve" and release.state == "awaiting_approval":
        now = max(release.entered_at, project.clock.now())
        given = list(decisions.valid(release, given, now))
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
        refuse_unless_before(connection, version, asked.environment, project.settings.environments)
        refuse_other_verdict(connection, version, asked)
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
