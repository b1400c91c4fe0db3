"""Take the releases that are under way as far as the facts allow."""

from __future__ import annotations

from cd4ml.errors import Cd4mlError
from cd4ml.loop.refs import number_in
from cd4ml.loop.stored_model import refuse_damaged
from cd4ml.monitoring.rollout import evidence
from cd4ml.records.plan import Plan
from cd4ml.records.release import Release
from cd4ml.records.rollout import RolloutEvidence
from cd4ml.release.plans import version_of
from cd4ml.release.reconcile import reconcile, waits_for
from cd4ml.store import rows
from cd4ml.store.people import SYSTEM
from cd4ml.store.project import Project


def roll_out(project: Project, release: str = "") -> list[Release]:
    """Reconcile one release, or all that are under way; returns each step that was taken.

    A step counts also if another process took it while this one looked. Each transition
    is a transaction of its own, so that a process that dies between two of them leaves
    nothing half done; any process may go on. A release that cannot be taken further
    holds up no other.

    Raises:
        Refused: If a release would begin whose stored model is damaged; it waits.
        NotFound: If there is no such release, or `cd4ml.toml` no longer names the
            environment of one; raised when all others have moved.
    """
    moved: list[Release] = []
    errors: list[Cd4mlError] = []
    for before in _under_way(project, release):
        try:
            moved += _settle(project, before)
        except Cd4mlError as error:
            errors.append(error)
    if errors:
        raise errors[0]
    return moved


def _under_way(project: Project, release: str) -> list[Release]:
    with project.database.read() as connection:
        if release:
            return [rows.get(connection, Release, number_in(release, "release"))]
        return [
            *rows.find(connection, Release, state="awaiting_approval"),
            *rows.find(connection, Release, state="changes_requested"),
            *rows.find(connection, Release, state="rolling_out"),
        ]


def _settle(project: Project, release: Release) -> list[Release]:
    moved: list[Release] = []
    while True:
        seen = evidence_on(project, release)
        _refuse_to_begin_damaged(project, release)
        with project.database.write() as connection:
            after = reconcile(
                connection,
                release,
                environments=project.settings.environments,
                evidence=seen,
                now=project.clock.now(),
                actor=SYSTEM,
            )
        if after.transitions == release.transitions:
            return moved
        moved.append(after)
        release = after


def _refuse_to_begin_damaged(project: Project, release: Release) -> None:
    """Read the model before the plan that brings it to the endpoints is written."""
    if release.state != "awaiting_approval":
        return
    with project.database.read() as connection:
        version = version_of(connection, release)
        is_waiting = waits_for(
            connection,
            release,
            environments=project.settings.environments,
            evidence=None,
            now=project.clock.now(),
        )
    if not is_waiting:
        refuse_damaged(project, version, f"({release.ref}) did not begin")


def evidence_on(project: Project, release: Release) -> RolloutEvidence | None:
    """What was measured under a release's plan in force; None if it does not roll out.

    Read it before a transaction, never in one: it looks through the prediction log.
    """
    if release.state != "rolling_out" or not release.plan:
        return None
    with project.database.read() as connection:
        plan = rows.get(connection, Plan, release.plan)
    return evidence(project.log, plan, known_at=project.clock.now())
