"""What was in production at a moment, by which release, and who had approved it."""

from __future__ import annotations

from datetime import datetime

import msgspec
import sqlalchemy as sa

from cd4ml.errors import InvalidInput
from cd4ml.records.approval import Approval
from cd4ml.records.lineage import Edge
from cd4ml.records.plan import Arm, Plan, Role
from cd4ml.records.release import Release
from cd4ml.release.approvals import approvers
from cd4ml.release.environments import settings_of
from cd4ml.store import rows
from cd4ml.store.answer_counts import in_hour
from cd4ml.store.project import Project
from cd4ml.store.tables import TABLES

_PLANS = TABLES[Plan]


class Decision(msgspec.Struct, frozen=True, kw_only=True):
    """Somebody who had approved what was in production."""

    by: str
    at: datetime
    reason: str
    is_standing: bool  # approved in advance


class Serving(msgspec.Struct, frozen=True, kw_only=True):
    """A version that a plan let answer: its share, and the release by which it came there.

    `answered` is how many of that hour's collected answers it gave; a shadow's go to nobody,
    so that there it is 0.
    """

    version: str
    role: Role
    weight_percent: float
    release: str
    requested_by: str
    approved: tuple[Decision, ...]
    answered: int


class InProduction(msgspec.Struct, frozen=True, kw_only=True):
    """The plan of an environment at a moment; it held from `since` until `until`.

    `until` is None while it is the newest. Endpoints take up a new plan within a second, those
    that cannot reach the database when they reach it again.
    """

    environment: str
    model: str
    at: datetime
    plan: str
    since: datetime
    until: datetime | None
    versions: tuple[Serving, ...]


def production(
    project: Project, *, at: datetime | None = None, environment: str = "", model: str = ""
) -> list[InProduction]:
    """What answered at a moment, by environment and model.

    Args:
        project: Whose.
        at: The moment; now by default.
        environment: Which one; the last of `cd4ml.toml` by default.
        model: Only this one.

    Raises:
        InvalidInput: If the moment is yet to come.
        NotFound: If neither `cd4ml.toml` nor a plan names the environment.
    """
    now = project.clock.now()
    moment = at or now
    if moment > now:
        msg = f"{moment:%Y-%m-%d %H:%M} UTC is yet to come, it is {now:%Y-%m-%d %H:%M}"
        raise InvalidInput(msg, hint="leave out --at for what is in production now")
    with project.database.read() as connection:
        name = _environment(project, connection, environment)
        found = _in_force(connection, name, moment)
        return [_shown(connection, plan, moment) for plan in found if model in ("", plan.model)]


def _environment(project: Project, connection: sa.Connection, name: str) -> str:
    known = project.settings.environments
    if not name:
        return list(known)[-1] if known else project.settings.monitoring.environment
    if name not in known and not rows.count(connection, Plan, environment=name):
        settings_of(known, name)
    return name


def _in_force(connection: sa.Connection, environment: str, moment: datetime) -> list[Plan]:
    """The newest plan of each model by its number: a clock that went back hides none."""
    newest = (
        sa.select(sa.func.max(_PLANS.c.number))
        .where(_PLANS.c.environment == environment, _PLANS.c.made_at <= moment)
        .group_by(_PLANS.c.model)
    )
    chosen = _PLANS.select().where(_PLANS.c.number.in_(newest)).order_by(_PLANS.c.model)
    return rows.fetch(connection, Plan, chosen)


def _until(connection: sa.Connection, plan: Plan) -> datetime | None:
    same = sa.and_(_PLANS.c.environment == plan.environment, _PLANS.c.model == plan.model)
    later = sa.select(_PLANS.c.made_at).where(same, _PLANS.c.number > plan.number)
    return connection.execute(later.order_by(_PLANS.c.number).limit(1)).scalar()


def _shown(connection: sa.Connection, plan: Plan, moment: datetime) -> InProduction:
    releases = _releases(connection, plan)
    answered = in_hour(connection, plan.environment, moment)
    return InProduction(
        environment=plan.environment,
        model=plan.model,
        at=moment,
        plan=plan.ref,
        since=plan.made_at,
        until=_until(connection, plan),
        versions=tuple(
            _serving(connection, arm, releases.get(arm.number), moment, answered)
            for arm in plan.arms
        ),
    )


def _releases(connection: sa.Connection, plan: Plan) -> dict[int, Release]:
    """The release by which each version of a plan came there, as the lineage has it."""
    edges = rows.find(connection, Edge, child=plan.ref, role="served by")
    found = [rows.get(connection, Release, int(edge.parent.split("/")[1])) for edge in edges]
    return {release.version: release for release in found}


def _serving(
    connection: sa.Connection,
    arm: Arm,
    release: Release | None,
    moment: datetime,
    answered: dict[str, int],
) -> Serving:
    return Serving(
        version=arm.ref,
        role=arm.role,
        weight_percent=arm.weight_percent,
        release=release.ref if release else "",
        requested_by=release.requested_by if release else "",
        approved=_approved(connection, release, moment) if release else (),
        answered=0 if arm.role == "shadow" else answered.get(arm.ref, 0),
    )


def _approved(
    connection: sa.Connection, release: Release, moment: datetime
) -> tuple[Decision, ...]:
    given = [
        approval
        for approval in rows.find(connection, Approval, release=release.number)
        if approval.decision == "approve" and approval.decided_at <= moment
    ]
    counted = approvers(release, given)
    return tuple(
        Decision(
            by=approval.decided_by,
            at=approval.decided_at,
            reason=approval.reason,
            is_standing=approval.standing > 0,
        )
        for approval in given
        if approval.decided_by in counted and approval.subject == release.content
    )
