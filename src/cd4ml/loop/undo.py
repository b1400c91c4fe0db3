"""Go back: to the version before, or from a rollout."""

from __future__ import annotations

from datetime import datetime

import sqlalchemy as sa

from cd4ml.errors import NotFound
from cd4ml.loop.decision import act
from cd4ml.loop.model_names import only_model, refuse_unknown_model
from cd4ml.loop.reasons import require_reason
from cd4ml.loop.refs import number_in
from cd4ml.records.release import Release
from cd4ml.release import reversals
from cd4ml.release.environments import settings_of
from cd4ml.release.releases import in_charge
from cd4ml.store import people
from cd4ml.store.project import Project


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
        refuse_unknown_model(connection, model)
        current = in_charge(connection, model or only_model(connection), environment)
        if current is None:
            msg = f"nothing is in charge in {environment}, so there is nothing to undo"
            raise NotFound(msg, hint="cd4ml release list")
        return _gone_back(project, connection, current.number, reason, actor, asked_at)


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
    number = number_in(ref, "release")
    with project.database.write() as connection:
        return _gone_back(project, connection, number, reason, actor, asked_at)


def _gone_back(
    project: Project,
    connection: sa.Connection,
    number: int,
    reason: str,
    actor: str,
    asked_at: datetime,
) -> Release:
    return reversals.undo(
        connection,
        number,
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
    return act(project, release, reversals.abort, reason=reason, actor=actor)
