"""What people decide about a request besides yes and no, and who looks at an emergency afterwards."""

from __future__ import annotations

from cd4ml.loop.decision import act, decide, record
from cd4ml.loop.reasons import require_reason
from cd4ml.loop.refs import number_in
from cd4ml.records.release import Release
from cd4ml.release import approvals, requests, reviews
from cd4ml.store import rows
from cd4ml.store.project import Project


def request_changes(project: Project, release: str, *, reason: str, actor: str) -> Release:
    """Let a release wait until its requester asks again; approvals before no longer count.

    Raises:
        NotFound: If there is no such release.
        NotAllowed: If the actor lacks the role.
        Conflict: If it does not wait for approval.
        InvalidInput: If no reason is given.
    """
    return decide(project, release, approvals.request_changes, reason=reason, actor=actor)


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
    return decide(project, release, requests.ask_again, reason=reason, actor=actor)


def withdraw(project: Project, release: str, *, reason: str, actor: str) -> Release:
    """Take a request back before it begins.

    Raises:
        NotFound: If there is no such release.
        NotAllowed: If somebody else requested it.
        Conflict: If it has begun or ended.
        InvalidInput: If no reason is given.
    """
    require_reason(reason, f"withdrawing {release}", hint="say why it is not wanted any more")
    return act(project, release, requests.withdraw, reason=reason, actor=actor)


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
        return record(project, connection, asked, reviews.review, reason=reason, actor=actor)


def open_reviews(project: Project) -> list[Release]:
    """The emergency releases that nobody has looked at since, the oldest first."""
    with project.database.read() as connection:
        found = rows.find(connection, Release, is_emergency=True)
    return [release for release in found if release.needs_review]
