"""Approve in advance what is retrained, and end that."""

from __future__ import annotations

from datetime import datetime

from cd4ml.gates.policy import policy_of
from cd4ml.loop.model_names import refuse_unknown_model
from cd4ml.loop.reasons import require_reason
from cd4ml.loop.refs import number_in
from cd4ml.records.approval import StandingApproval
from cd4ml.release import standing
from cd4ml.release.environments import require_possible, settings_of
from cd4ml.release.margin import require_compared
from cd4ml.store import people, rows
from cd4ml.store.project import Project


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
        refuse_unknown_model(connection, model)
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
