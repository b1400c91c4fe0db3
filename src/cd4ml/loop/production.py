"""What was in production at a moment, by which release, and who had approved it."""

from __future__ import annotations

from datetime import datetime
from typing import NamedTuple

import msgspec
import sqlalchemy as sa

from cd4ml.errors import InvalidInput
from cd4ml.records.approval import Approval
from cd4ml.records.lineage import Edge
from cd4ml.records.plan import Arm, Plan, Role
from cd4ml.records.release import Release
from cd4ml.release.decisions import valid
from cd4ml.release.environments import settings_of
from cd4ml.store import rows, vouched
from cd4ml.store.answer_counts import in_hour
from cd4ml.store.project import Project
from cd4ml.store.tables import TABLES

_PLANS, _EDGES, _RELEASES = TABLES[Plan], TABLES[Edge], TABLES[Release]
_APPROVALS = TABLES[Approval]


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
        Corrupted: If a plan, a release of it or an approval is not what the ledger says of it.
    """
    now = project.clock.now()
    moment = at or now
    if moment > now:
        msg = f"{moment:%Y-%m-%d %H:%M} UTC is yet to come, it is {now:%Y-%m-%d %H:%M}"
        raise InvalidInput(msg, hint="leave out --at for what is in production now")
    with project.database.read() as connection:
        name = _environment(project, connection, environment)
        found = _in_force(connection, name, moment, model)
        for plan, _ in found:
            vouched.require(connection, plan, subject=plan.made_by)
        answered = in_hour(connection, name, moment)
        agreed = _agreed(connection, [plan for plan, _ in found], moment)
    return [
        InProduction(
            environment=name,
            model=plan.model,
            at=moment,
            plan=plan.ref,
            since=plan.made_at,
            until=until,
            versions=tuple(
                _serving(arm, agreed.get((plan.ref, arm.ref)), answered) for arm in plan.arms
            ),
        )
        for plan, until in found
    ]


def _environment(project: Project, connection: sa.Connection, name: str) -> str:
    known = project.settings.environments
    if not name:
        return list(known)[-1] if known else project.settings.monitoring.environment
    if name not in known and not rows.count(connection, Plan, environment=name):
        settings_of(known, name)
    return name


def _in_force(
    connection: sa.Connection, environment: str, moment: datetime, model: str
) -> list[tuple[Plan, datetime | None]]:
    """The newest plan of each model by its number, and when the next one was made, if one was.

    By its number: a clock that went back hides none.
    """
    here = _PLANS.c.environment == environment
    newest = sa.select(sa.func.max(_PLANS.c.number)).where(here, _PLANS.c.made_at <= moment)
    chosen = newest.group_by(_PLANS.c.model)
    later = sa.func.lead(_PLANS.c.made_at, type_=_PLANS.c.made_at.type)
    following = later.over(partition_by=_PLANS.c.model, order_by=_PLANS.c.number).label("until")
    all_of_them = sa.select(_PLANS, following).where(here).subquery()
    statement = sa.select(all_of_them).where(all_of_them.c.number.in_(chosen))
    found = rows.fetch_with(connection, Plan, statement.order_by(all_of_them.c.model))
    return [(plan, until) for plan, (until,) in found if model in ("", plan.model)]


class _Agreed(NamedTuple):
    """A release, and who had approved it by then."""

    release: Release
    by: tuple[Decision, ...]


def _agreed(
    connection: sa.Connection, plans: list[Plan], moment: datetime
) -> dict[tuple[str, str], _Agreed]:
    """The releases by which the versions of some plans came there, by plan and version."""
    led = sa.and_(_EDGES.c.child.in_([plan.ref for plan in plans]), _EDGES.c.role == "served by")
    edges = rows.fetch(connection, Edge, _EDGES.select().where(led))
    numbers = {edge.parent: int(edge.parent.rpartition("/")[2]) for edge in edges}
    of_them = _RELEASES.c.number.in_(numbers.values())
    releases = {
        each.ref: each
        for each in rows.fetch(connection, Release, _RELEASES.select().where(of_them))
    }
    for release in releases.values():
        vouched.require(connection, release, subject=release.ref)
    about = _APPROVALS.select().where(_APPROVALS.c.release.in_(numbers.values()))
    given: dict[int, list[Approval]] = {}
    for approval in rows.fetch(connection, Approval, about.order_by(_APPROVALS.c.number)):
        vouched.require(connection, approval, subject=f"release/{approval.release}")
        given.setdefault(approval.release, []).append(approval)
    return {
        (edge.child, f"{release.model}/{release.version}"): _Agreed(
            release, _decisions(release, given.get(release.number, []), moment)
        )
        for edge in edges
        for release in [releases[edge.parent]]
    }


def _serving(arm: Arm, agreed: _Agreed | None, answered: dict[str, int]) -> Serving:
    return Serving(
        version=arm.ref,
        role=arm.role,
        weight_percent=arm.weight_percent,
        release=agreed.release.ref if agreed else "",
        requested_by=agreed.release.requested_by if agreed else "",
        approved=agreed.by if agreed else (),
        answered=0 if arm.role == "shadow" else answered.get(arm.ref, 0),
    )


def _decisions(
    release: Release, approvals: list[Approval], moment: datetime
) -> tuple[Decision, ...]:
    given = [each for each in approvals if each.decided_at <= moment]
    # what expires once it has begun has been agreed to all the same
    return tuple(
        Decision(
            by=approval.decided_by,
            at=approval.decided_at,
            reason=approval.reason,
            is_standing=approval.standing > 0,
        )
        for approval in valid(release, given, release.requested_at)
    )
