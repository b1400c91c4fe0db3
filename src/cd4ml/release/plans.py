"""Serving plans: which version answers which share at each step of a rollout."""

from __future__ import annotations

from collections.abc import Iterable
from datetime import datetime

import sqlalchemy as sa

from cd4ml.records.model_version import ModelVersion
from cd4ml.records.plan import Arm, Plan, Role
from cd4ml.records.release import Release
from cd4ml.records.rollout import RolloutStep
from cd4ml.records.settings import EnvironmentSettings
from cd4ml.store import lineage, rows

_AT_ONCE = (RolloutStep(mode="full"),)


def steps_of(
    settings: EnvironmentSettings, *, has_champion: bool, is_emergency: bool = False
) -> tuple[RolloutStep, ...]:
    """The steps of a rollout; with nothing to compare with, all traffic moves at once.

    Those of an emergency are its own. Where the policy no longer knows any, they are the usual.

    Examples:
        >>> shadowed = EnvironmentSettings(
        ...     rollout=(RolloutStep(mode="shadow", predictions=100), RolloutStep(mode="full"))
        ... )
        >>> [step.mode for step in steps_of(shadowed, has_champion=True)]
        ['shadow', 'full']
        >>> [step.mode for step in steps_of(shadowed, has_champion=False)]
        ['full']
    """
    if not has_champion:
        return _AT_ONCE
    if is_emergency and settings.emergency:
        return settings.emergency.rollout
    return settings.rollout


def arms_at(
    step: RolloutStep, candidate: ModelVersion, champion: ModelVersion | None
) -> tuple[Arm, ...]:
    """The versions that answer during a step; weights of champion and canary sum to 100."""
    if champion is None or step.mode == "full":
        return alone(candidate)
    if step.mode == "shadow":
        return (_arm("champion", champion, 100.0), _arm("shadow", candidate, 0.0))
    return (
        _arm("champion", champion, 100.0 - step.weight_percent),
        _arm("canary", candidate, step.weight_percent),
    )


def alone(version: ModelVersion) -> tuple[Arm, ...]:
    """One version that answers everything."""
    return (_arm("champion", version, 100.0),)


def version_of(connection: sa.Connection, release: Release) -> ModelVersion:
    """The model version a release offers."""
    return rows.get(connection, ModelVersion, release.model, release.version)


def make_plan(
    connection: sa.Connection,
    release: Release,
    arms: tuple[Arm, ...],
    *,
    serves: Iterable[Release],
    at: datetime,
) -> Plan:
    """Write down a new serving plan; endpoints take it up as the newest of their environment.

    Args:
        connection: Of the write transaction that changes the release.
        release: The release whose traffic it is.
        arms: Who answers.
        serves: The releases its versions came by, for lineage.
        at: Now.
    """
    plan = Plan(
        number=rows.next_number(connection, Plan),
        environment=release.environment,
        model=release.model,
        arms=arms,
        release=release.number,
        made_at=at,
    )
    rows.insert(connection, plan)
    lineage.note(connection, address=plan.ref, kind="plan", name=plan.ref, at=at)
    for served in serves:
        lineage.link(connection, plan.ref, served.ref, "served by")
    return plan


def _arm(role: Role, version: ModelVersion, weight_percent: float) -> Arm:
    return Arm(
        role=role,
        model=version.model,
        number=version.number,
        artifact=version.artifact,
        weight_percent=weight_percent,
    )
