"""What the API answers about who may act, and the tokens they show."""

from __future__ import annotations

from cd4ml.api import bodies
from cd4ml.api.endpoint import Acting, Endpoint, Minting, Reading
from cd4ml.loop import Project


def _people(project: Project, _: bodies.Nothing) -> object:
    from cd4ml.loop.people import people

    return people(project)


def _add_person(project: Project, asked: bodies.PersonAsked, actor: str) -> object:
    from cd4ml.loop.people import add_person

    return add_person(project, asked.name, roles=asked.roles, actor=actor)


def _remove_person(project: Project, asked: bodies.RemovalAsked, actor: str) -> object:
    from cd4ml.loop.people import remove_person

    return remove_person(project, asked.name, reason=asked.reason, actor=actor)


def _tokens(project: Project, _: bodies.Nothing) -> object:
    """Every token, never its secret."""
    from cd4ml.loop.tokens import tokens_of

    return tokens_of(project)


def _create_token(project: Project, asked: bodies.TokenAsked, actor: str, secret: str) -> object:
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


def _revoke_token(project: Project, asked: bodies.Number, actor: str) -> object:
    """Make a token worthless."""
    from cd4ml.loop.tokens import revoke_token as end

    return end(project, asked.number, actor=actor)


PEOPLE: tuple[Endpoint, ...] = (
    Reading("/people", bodies.Nothing, _people, "Everybody who may act."),
    Acting("/people", bodies.PersonAsked, _add_person, "Add a person, or replace their roles."),
    Acting("/people/remove", bodies.RemovalAsked, _remove_person, "Let a person act no more."),
    Reading("/tokens", bodies.Nothing, _tokens, "Every token, never its secret."),
    Minting("/tokens", bodies.TokenAsked, _create_token, "Make a token."),
    Acting("/tokens/{number}/revoke", bodies.Number, _revoke_token, "End a token."),
)
