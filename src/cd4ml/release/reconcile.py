"""Carrying out what `states` decides, one transition a transaction."""

from __future__ import annotations

from datetime import datetime
from math import isfinite
from typing import Any, NamedTuple

import msgspec
import sqlalchemy as sa

from cd4ml.models import registry
from cd4ml.records.actor import Actor
from cd4ml.records.approval import StandingApproval
from cd4ml.records.release import WAITING, Release
from cd4ml.records.rollout import RolloutEvidence
from cd4ml.records.verdict import Verdict
from cd4ml.release import decisions, plans, releases, reversals, standing
from cd4ml.release.champion import move_champion, unlike_champion
from cd4ml.release.content import verdict_address
from cd4ml.release.environments import Environments, settings_of
from cd4ml.release.standing import Known
from cd4ml.release.states import Facts, Transition, Waiting, advance
from cd4ml.release.vouching import require_vouched
from cd4ml.store import rows

_STOPS = {
    "rejected": "release.rejected",
    "expired": "release.expired",
    "changes_requested": "release.sent_back",
    "awaiting_approval": "approval.expired",
}


class _Tick(NamedTuple):
    """The transaction and what the caller knows."""

    connection: sa.Connection
    environments: Environments
    evidence: RolloutEvidence | None
    now: datetime
    actor: str


def reconcile(
    connection: sa.Connection,
    seen: Release,
    *,
    environments: Environments,
    evidence: RolloutEvidence | None,
    now: datetime,
    actor: str,
) -> Release:
    """Take a release one transition further if the facts allow it.

    Idempotent: without new facts nothing changes, and any number of processes may do it at
    once. Whoever comes second finds the release further than it saw it and does nothing: its
    evidence is about a plan that is no longer in force. Repeat until `transitions` stays.

    Args:
        connection: Of a write transaction; the transition is this transaction.
        seen: The release as it was when the evidence was gathered.
        environments: All environments, in the order of `cd4ml.toml`.
        evidence: What was measured under `seen.plan`; None for nothing.
        now: The project's time.
        actor: Who ticks, for the ledger: usually the system.

    Returns:
        The release as it is now.

    Raises:
        NotFound: If `cd4ml.toml` no longer names its environment.
        Corrupted: If it would begin, and what it rests on is not what the ledger says of it.
    """
    release = releases.hold(connection, seen.number)
    if release.transitions != seen.transitions:
        return release
    tick = _Tick(connection, environments, evidence, now, actor)
    outcome = advance(release, _facts(tick, release))
    return release if isinstance(outcome, Waiting) else _carry_out(tick, release, outcome)


def waits_for(
    connection: sa.Connection,
    release: Release,
    *,
    environments: Environments,
    evidence: RolloutEvidence | None,
    now: datetime,
) -> str:
    """What a release waits for, in words; "" when the next reconcile takes it further."""
    tick = _Tick(connection, environments, evidence, now, actor="")
    outcome = advance(release, _facts(tick, release))
    return outcome.reason if isinstance(outcome, Waiting) else ""


def _facts(tick: _Tick, release: Release) -> Facts:
    settings = settings_of(tick.environments, release.environment)
    rival = releases.rolling_out(tick.connection, release.model, release.environment)
    given = standing.of_model(tick.connection, release.model, release.environment)
    missing = releases.missing_before(
        tick.connection,
        release.model,
        release.version,
        release.environment,
        environments=tick.environments,
    )
    return Facts(
        settings=settings,
        verdict=_verdict_now(tick.connection, release),
        unlike_champion=_unlike_champion(tick, release),
        approvals=tuple(decisions.of_release(tick.connection, release)),
        standing=tuple(given),
        known=_known(tick.connection, release, given),
        evidence=tick.evidence,
        rival=rival if rival and rival.number != release.number else None,
        missing_before=missing.words if missing else "",
        now=tick.now,
    )


def _known(connection: sa.Connection, release: Release, given: list[StandingApproval]) -> Known:
    """What standing approvals are held against; only a retrained release that waits asks."""
    if not given or not release.is_retrained or release.state not in WAITING:
        return Known({})
    names = {each.given_by for each in given}
    roles = {
        person.name: person.roles
        for name in names
        for person in rows.find(connection, Actor, name=name)
    }
    model, environment = release.model, release.environment
    others = rows.find(connection, Release, model=model, environment=environment)
    there = releases.in_charge(connection, model, environment)
    verdict = rows.get(connection, Verdict, release.verdict)
    return Known(
        roles=roles,
        agreed=standing.agreed_to(
            others, {each.number: decisions.of_release(connection, each) for each in others}
        ),
        findings=verdict.findings,
        beside=verdict.champion,
        champion=f"{there.model}/{there.version}" if there else "",
    )


def _verdict_now(connection: sa.Connection, release: Release) -> str:
    """The address of what the gates say now about a release that has not begun; else ""."""
    if release.state not in WAITING:
        return ""
    verdict = registry.verdict_about(connection, plans.version_of(connection, release))
    return verdict_address(verdict) if verdict else ""


def _unlike_champion(tick: _Tick, release: Release) -> str:
    if release.state not in WAITING:
        return ""
    return unlike_champion(tick.connection, release, tick.environments)


def _carry_out(tick: _Tick, release: Release, outcome: Transition) -> Release:
    if outcome.state == "rolling_out":
        if release.state in WAITING:
            require_vouched(tick.connection, release, outcome.standing)
        return _enter_step(tick, release, outcome)
    if outcome.state == "released":
        return _take_charge(tick, release, outcome)
    if outcome.state == "aborted":
        return reversals.go_back(
            tick.connection,
            release,
            reason=outcome.reason,
            details=_shown(tick.evidence),
            actor=tick.actor,
            at=tick.now,
        )
    return _change(tick, release, outcome, _STOPS[outcome.state], {})


def _enter_step(tick: _Tick, release: Release, outcome: Transition) -> Release:
    """The next rollout step: its traffic, the standing approvals it rests on, its row."""
    champion = releases.in_charge(tick.connection, release.model, release.environment)
    settings = settings_of(tick.environments, release.environment)
    steps = plans.steps_of(
        settings, has_champion=champion is not None, is_emergency=release.is_emergency
    )
    arms = plans.arms_at(
        steps[outcome.step - 1],
        candidate=plans.version_of(tick.connection, release),
        champion=plans.version_of(tick.connection, champion) if champion else None,
    )
    serves = (release, champion) if champion and len(arms) > 1 else (release,)
    plan = plans.make_plan(tick.connection, release, arms, serves=serves, at=tick.now)
    # After the plan has its number: whoever holds the ledger must not wait for another counter.
    for given in outcome.standing:
        decisions.rest_on(
            tick.connection,
            release,
            given,
            roles=_roles_still(tick.connection, given),
            actor=tick.actor,
            at=tick.now,
        )
    return _change(
        tick,
        release,
        outcome,
        "release.begun" if outcome.step == 1 else "release.advanced",
        {"arms": msgspec.to_builtins(arms), "steps": len(steps), **_shown(tick.evidence)},
        records=(plan,),
        plan=plan.number,
        replaces=champion.number if champion else 0,
    )


def _roles_still(connection: sa.Connection, given: StandingApproval) -> tuple[str, ...]:
    found = rows.find(connection, Actor, name=given.given_by)
    return standing.still(given, {person.name: person.roles for person in found})


def _take_charge(tick: _Tick, release: Release, outcome: Transition) -> Release:
    """The end of a rollout: the release before steps back, the champion's name moves."""
    before = releases.in_charge(tick.connection, release.model, release.environment)
    if before:
        releases.change(
            tick.connection,
            before,
            actor=tick.actor,
            action="release.superseded",
            reason=f"{release.ref} took its place",
            at=tick.now,
            state="superseded",
        )
    move_champion(
        tick.connection, release, environments=tick.environments, by=tick.actor, at=tick.now
    )
    return _change(tick, release, outcome, "release.released", _shown(tick.evidence))


def _change(
    tick: _Tick,
    release: Release,
    outcome: Transition,
    action: str,
    details: dict[str, Any],
    **changes: Any,
) -> Release:
    return releases.change(
        tick.connection,
        release,
        actor=tick.actor,
        action=action,
        reason=outcome.reason,
        at=tick.now,
        details=details,
        state=outcome.state,
        step=outcome.step,
        **changes,
    )


def _shown(evidence: RolloutEvidence | None) -> dict[str, Any]:
    """Evidence for the ledger, whose JSON knows no infinity: an open end is left as None."""
    if evidence is None:
        return {}
    values = msgspec.structs.asdict(evidence).items()
    return {
        "evidence": {
            name: None if value is None or not isfinite(value) else value for name, value in values
        }
    }
