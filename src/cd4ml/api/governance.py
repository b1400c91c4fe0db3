"""What the API answers about requests, tokens and the ledger's checkpoints."""

from __future__ import annotations

from cd4ml.api import bodies
from cd4ml.loop import Project


def request_changes(project: Project, asked: bodies.Decide, actor: str) -> object:
    """Let a release wait until its requester asks again."""
    from cd4ml.loop.govern import request_changes as send_back

    return send_back(project, asked.number, reason=asked.reason, actor=actor)


def ask_again(project: Project, asked: bodies.Decide, actor: str) -> object:
    """Ask for a release once more."""
    from cd4ml.loop.govern import ask_again as ask

    return ask(project, asked.number, reason=asked.reason, actor=actor)


def withdraw(project: Project, asked: bodies.Decide, actor: str) -> object:
    """Take a request back before it begins."""
    from cd4ml.loop.govern import withdraw as take_back

    return take_back(project, asked.number, reason=asked.reason, actor=actor)


def review(project: Project, asked: bodies.Decide, actor: str) -> object:
    """Look at an emergency release afterwards."""
    from cd4ml.loop.govern import review as look_at

    return look_at(project, asked.number, reason=asked.reason, actor=actor)


def reviews(project: Project, _: bodies.Nothing) -> object:
    """The emergency releases that nobody has looked at since."""
    from cd4ml.loop.govern import open_reviews

    return open_reviews(project)


def undo_release(project: Project, asked: bodies.Decide, actor: str) -> object:
    """Put the version before a release back in charge."""
    from cd4ml.loop.promote import undo_release as go_back
    from cd4ml.loop.restored import restored

    return restored(project, go_back(project, asked.number, reason=asked.reason, actor=actor))


def checkpoint(project: Project, _: bodies.Nothing, actor: str) -> object:
    """Sign the ledger as it is."""
    from cd4ml.loop.audit import checkpoint as sign

    return sign(project, actor=actor)


def tokens(project: Project, _: bodies.Nothing) -> object:
    """Every token, never its secret."""
    from cd4ml.loop.tokens import tokens_of

    return tokens_of(project)


def create_token(project: Project, asked: bodies.TokenAsked, actor: str, secret: str) -> object:
    """A new token, with its secret; it goes no further than the one that is shown."""
    from cd4ml.loop.tokens import make_token

    return make_token(
        project,
        asked.name,
        note=asked.note,
        scopes=asked.scopes,
        until=asked.until,
        used=secret,
        actor=actor,
    )


def revoke_token(project: Project, asked: bodies.Number, actor: str) -> object:
    """Make a token worthless."""
    from cd4ml.loop.tokens import revoke_token as end

    return end(project, asked.number, actor=actor)


def revoke_standing(project: Project, asked: bodies.Decide, actor: str) -> object:
    """End a standing approval."""
    from cd4ml.loop.promote import revoke

    return revoke(project, asked.number, reason=asked.reason, actor=actor)
