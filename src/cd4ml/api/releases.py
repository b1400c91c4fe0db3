"""What the API answers about releases."""

from __future__ import annotations

from cd4ml.api import bodies
from cd4ml.api.endpoint import Acting, Endpoint, Reading
from cd4ml.loop import Project


def _releases(project: Project, _: bodies.Nothing) -> object:
    from cd4ml.loop.releases import releases

    return releases(project)


def _release(project: Project, asked: bodies.Number) -> object:
    from cd4ml.loop.releases import release_details

    return release_details(project, asked.number)


def _offer(project: Project, asked: bodies.Offer, actor: str) -> object:
    from cd4ml.loop.promote import request

    return request(
        project,
        asked.version,
        to=asked.to,
        reason=asked.reason,
        is_emergency=asked.emergency,
        actor=actor,
    )


def _approve(project: Project, asked: bodies.Agree, actor: str) -> object:
    from cd4ml.loop.promote import approve

    return approve(project, asked.number, reason=asked.reason, content=asked.content, actor=actor)


def _reject(project: Project, asked: bodies.Decide, actor: str) -> object:
    from cd4ml.loop.promote import reject

    return reject(project, asked.number, reason=asked.reason, actor=actor)


def _abort(project: Project, asked: bodies.Decide, actor: str) -> object:
    from cd4ml.loop.undo import abort

    return abort(project, asked.number, reason=asked.reason, actor=actor)


def _stand(project: Project, asked: bodies.StandAsked, actor: str) -> object:
    from cd4ml.loop.standing import stand

    return stand(
        project,
        model=asked.model,
        environment=asked.environment,
        until=asked.until,
        reason=asked.reason,
        margins=asked.margins,
        actor=actor,
    )


def _undo(project: Project, asked: bodies.UndoAsked, actor: str) -> object:
    from cd4ml.loop.restored import restored
    from cd4ml.loop.undo import undo

    release = undo(
        project,
        environment=asked.environment,
        model=asked.model,
        reason=asked.reason,
        actor=actor,
    )
    return restored(project, release)


def _request_changes(project: Project, asked: bodies.Decide, actor: str) -> object:
    """Let a release wait until its requester asks again."""
    from cd4ml.loop.govern import request_changes as send_back

    return send_back(project, asked.number, reason=asked.reason, actor=actor)


def _ask_again(project: Project, asked: bodies.Decide, actor: str) -> object:
    """Ask for a release once more."""
    from cd4ml.loop.govern import ask_again as ask

    return ask(project, asked.number, reason=asked.reason, actor=actor)


def _withdraw(project: Project, asked: bodies.Decide, actor: str) -> object:
    """Take a request back before it begins."""
    from cd4ml.loop.govern import withdraw as take_back

    return take_back(project, asked.number, reason=asked.reason, actor=actor)


def _review(project: Project, asked: bodies.Decide, actor: str) -> object:
    """Look at an emergency release afterwards."""
    from cd4ml.loop.govern import review as look_at

    return look_at(project, asked.number, reason=asked.reason, actor=actor)


def _reviews(project: Project, _: bodies.Nothing) -> object:
    """The emergency releases that nobody has looked at since."""
    from cd4ml.loop.govern import open_reviews

    return open_reviews(project)


def _undo_release(project: Project, asked: bodies.Decide, actor: str) -> object:
    """Put the version before a release back in charge."""
    from cd4ml.loop.restored import restored
    from cd4ml.loop.undo import undo_release as go_back

    return restored(project, go_back(project, asked.number, reason=asked.reason, actor=actor))


def _revoke_standing(project: Project, asked: bodies.Decide, actor: str) -> object:
    """End a standing approval."""
    from cd4ml.loop.standing import revoke

    return revoke(project, asked.number, reason=asked.reason, actor=actor)


RELEASES: tuple[Endpoint, ...] = (
    Reading("/releases", bodies.Nothing, _releases, "All releases."),
    Reading("/releases/{number}", bodies.Number, _release, "One release and its history."),
    Acting("/releases", bodies.Offer, _offer, "Request a release."),
    Acting("/releases/{number}/approve", bodies.Agree, _approve, "Agree to a release."),
    Acting("/releases/{number}/reject", bodies.Decide, _reject, "Decide against a release."),
    Acting(
        "/releases/{number}/request-changes",
        bodies.Decide,
        _request_changes,
        "Let a release wait until its requester asks again.",
    ),
    Acting("/releases/{number}/again", bodies.Decide, _ask_again, "Ask once more."),
    Acting("/releases/{number}/withdraw", bodies.Decide, _withdraw, "Take it back."),
    Acting("/releases/{number}/abort", bodies.Decide, _abort, "Stop a rollout."),
    Acting("/releases/{number}/undo", bodies.Decide, _undo_release, "Go back from it."),
    Acting("/releases/{number}/review", bodies.Decide, _review, "Review an emergency."),
    Reading("/reviews", bodies.Nothing, _reviews, "Emergencies that nobody reviewed."),
    Acting("/standing-approvals", bodies.StandAsked, _stand, "Approve retrained versions ahead."),
    Acting(
        "/standing-approvals/{number}/revoke",
        bodies.Decide,
        _revoke_standing,
        "End a standing approval.",
    ),
    Acting("/undo", bodies.UndoAsked, _undo, "Put the version before back in charge."),
)
