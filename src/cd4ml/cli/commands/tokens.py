"""Tokens with which programs act for people over HTTP."""

from __future__ import annotations

from typing import TYPE_CHECKING

from cd4ml.cli.given import Answer, Given
from cd4ml.cli.words import Commands

if TYPE_CHECKING:
    from cd4ml.cli.screen import Screen
    from cd4ml.loop.tokens import NewToken, TokenSeen


def add_to(nouns: Commands) -> None:
    """`people token|tokens|revoke`."""
    parser = nouns.add(
        "token",
        make,
        "make a token with which a program acts for a person over HTTP",
        "The secret is shown once; only a digest of it is kept. Programs send it in the header\n"
        "`Authorization: Bearer SECRET`. Everybody makes their own; admins make anybody's.",
    )
    parser.add_argument("name", metavar="NAME", help="who acts when the token is shown")
    parser.add_argument("--note", default="", help="what it is for")
    nouns.add("tokens", list_tokens, "list the tokens there are, never their secrets")
    parser = nouns.add("revoke", revoke, "make a token worthless, from the next request on")
    parser.add_argument("number", metavar="NUMBER", help="of a token, such as 3")


def make(given: Given) -> Answer[NewToken]:
    """Make a token."""
    from cd4ml.loop.tokens import make_token

    words = given.words
    made = make_token(given.project, words.name, note=words.note, actor=given.actor)
    return Answer(made, _show_new)


def list_tokens(given: Given) -> Answer[list[TokenSeen]]:
    """Every token."""
    from cd4ml.loop.tokens import tokens_of

    return Answer(tokens_of(given.project), _show_tokens)


def revoke(given: Given) -> Answer[TokenSeen]:
    """Revoke a token."""
    from cd4ml.loop.tokens import revoke_token

    revoked = revoke_token(given.project, given.words.number, actor=given.actor)
    return Answer(revoked, lambda screen, token: _show_tokens(screen, [token]))


def _show_new(screen: Screen, made: NewToken) -> None:
    screen.title(f"token/{made.token.number}")
    screen.facts(
        (
            ("acts as", made.token.actor),
            ("for", made.token.note),
            ("secret", made.secret),
        )
    )
    screen.line("the secret is shown this once")


def _show_tokens(screen: Screen, tokens: list[TokenSeen]) -> None:
    from cd4ml.cli.screen import moment

    screen.table(
        ("token", "acts as", "for", "since", "made by", "revoked"),
        (
            (
                str(token.number),
                token.actor,
                token.note,
                moment(token.created_at),
                token.created_by,
                moment(token.revoked_at) if token.revoked_at else "",
            )
            for token in tokens
        ),
    )
