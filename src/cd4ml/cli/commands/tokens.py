"""Tokens with which programs act for people over HTTP."""

from __future__ import annotations

from typing import TYPE_CHECKING

from cd4ml.cli.given import Answer, Given
from cd4ml.cli.words import Commands, UsageError, day_or_time

if TYPE_CHECKING:
    from cd4ml.cli.screen import Screen
    from cd4ml.loop.tokens import NewToken, TokenSeen


def add(commands: Commands) -> None:
    """`token create|list|revoke`."""
    nouns = commands.group("token", "secrets with which programs act for people over HTTP")
    parser = nouns.add(
        "create",
        create,
        "make a token with which a program acts for a person",
        "The secret is shown once; only a digest of it is kept. Programs send it in the header\n"
        "`Authorization: Bearer SECRET`. Everybody makes their own; admins make for others those\n"
        "with which nobody decides (read, data, predict, push, track, gate, model). It is\n"
        "good for what its scopes allow and its owner may, until it expires or is revoked.\n"
        "The console knows of it at once, endpoints (`cd4ml serve --tokens`) within 2 s.",
    )
    parser.add_argument("name", metavar="NAME", help="who acts when the token is shown")
    parser.add_argument(
        "--scope",
        dest="scopes",
        metavar="SCOPE",
        action="append",
        default=[],
        help="read, data, predict, push, track, gate, model, release, approve, operate, label, admin or"
        " all; push:DATASET, and predict:, release:, approve: and operate:ENVIRONMENT, are narrower; may be"
        " repeated, and has to be said",
    )
    parser.add_argument("--note", default="", help="what it is for")
    parser.add_argument("--until", metavar="DATE", type=day_or_time, help="(default: 90 days)")
    nouns.add("list", list_tokens, "list the tokens there are, never their secrets")
    parser = nouns.add(
        "revoke", revoke, "make a token worthless, here at once and for endpoints within 2 s"
    )
    parser.add_argument("number", metavar="NUMBER", help="of a token, such as 3")


def create(given: Given) -> Answer[NewToken]:
    """Make a token."""
    words = given.words
    if not words.scopes:
        msg = "cd4ml token create: what may be done with it? say one --scope or more"
        raise UsageError(msg, hint="for example --scope push:flights; --scope all is everything")
    from cd4ml.loop.tokens import make_token

    made = make_token(
        given.project,
        words.name,
        note=words.note,
        scopes=tuple(words.scopes),
        until=words.until,
        actor=given.actor,
    )
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
    from cd4ml.cli.screen import moment

    screen.title(f"token/{made.token.number}")
    screen.facts(
        (
            ("acts as", made.token.actor),
            ("for", made.token.note),
            ("may", ", ".join(made.token.scopes)),
            ("until", f"{moment(made.token.expires_at)} UTC"),
            ("secret", made.secret),
        )
    )
    screen.line("the secret is shown this once")


def _show_tokens(screen: Screen, tokens: list[TokenSeen]) -> None:
    from cd4ml.cli.screen import moment

    screen.table(
        ("token", "acts as", "may", "for", "since", "until", "worthless"),
        (
            (
                str(token.number),
                token.actor,
                ", ".join(token.scopes),
                token.note,
                moment(token.created_at),
                moment(token.expires_at),
                f"{moment(token.revoked_at)}, {token.revoked_because}" if token.revoked_at else "",
            )
            for token in tokens
        ),
    )
