"""What people decide about a request besides yes and no, and who looks at an emergency afterwards."""

from __future__ import annotations

from cd4ml.loop.reasons import require_reason
from cd4ml.loop.refs import number_in
from cd4ml.loop.roll_out import roll_out
from cd4ml.records.release import Release
from cd4ml.release import approvals, requests
from cd4ml.release.environments import settings_of
from cd4ml.store import people, rows
from cd4ml.store.project import Project


def request_changes(project: Project, release: str, *, reason: str, actor: str) -> Release:
    """Let a release wait until its requester asks again; approvals before no longer count.

    Raises:
        NotFound: If there is no such release.
        NotAllowed: If the actor lacks the role.
        Conflict: If it does not wait for approval.
        InvalidInput: If no reason is given.
    """
    with project.database.write() as connection:
        asked = rows.get(connection, Release, number_in(release, "release"))
        approvals.request_changes(
            connection,
            asked.number,
            settings=settings_of(project.settings.environments, asked.environment),
            by=people.actor(connection, actor),
            reason=reason,
            at=project.clock.now(),
        )
    return _settled(project, asked)


def ask_again(project: Project, release: str, *, reason: str, actor: str) -> Release:
    """Ask for a release once more, after changes were requested of it; everybody looks again.

    Raises:
        NotFound: If there is no such release.
        NotAllowed: If somebody else requested it.
        Conflict: If nobody requested changes.
        Refused: If the settings have changed since: it would be another release.
        InvalidInput: If no reason is given.
    """
    require_reason(reason, f"asking again for {release}", hint="say what has changed")
    with project.database.write() as connection:
        asked = rows.get(connection, Release, number_in(release, "release"))
        requests.ask_again(
            connection,
            asked.number,
            settings=settings_of(project.settings.environments, asked.environment),
            by=people.actor(connection, actor),
            reason=reason,
            at=project.clock.now(),
        )
    return _settled(project, asked)


def withdraw(project: Project, release: str, *, reason: str, actor: str) -> Release:
    """Take a request back before it begins.

    Raises:
        NotFound: If there is no such release.
        NotAllowed: If somebody else requested it.
        Conflict: If it has begun or ended.
        InvalidInput: If no reason is given.
    """
    require_reason(reason, f"withdrawing {release}", hint="say why it is not wanted any more")
    with project.database.write() as connection:
        return requests.withdraw(
            connection,
            number_in(release, "release"),
            by=people.actor(connection, actor),
            reason=reason,
            at=project.clock.now(),
        )


def review(project: Project, release: str, *, reason: str, actor: str) -> Release:
    """Look at an emergency release afterwards; it stays marked as one.

    Raises:
        NotFound: If there is no such release.
        NotAllowed: If the actor released it, or lacks the role.
        Conflict: If it was no emergency, took no effect, or was reviewed already.
        InvalidInput: If no reason is given.
    """
    with project.database.write() as connection:
        asked = rows.get(connection, Release, number_in(release, "release"))
        return approvals.review(
            connection,
            asked.number,
            settings=settings_of(project.settings.environments, asked.environment),
            by=people.actor(connection, actor),
            reason=reason,
            at=project.clock.now(),
        )


def open_reviews(project: Project) -> list[Release]:
    """The emergency releases that nobody has looked at since, the oldest first."""
    with project.database.read() as connection:
        found = rows.find(connection, Release, is_emergency=True)
    return [release for release in found if release.needs_review]


def _settled(project: Project, release: Release) -> Release:
    """The release after everything that needs no waiting has happened."""
    roll_out(project, release.ref)
    with project.database.read() as connection:
        return rows.get(connection, Release, release.number)
