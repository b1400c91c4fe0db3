"""Secrets with which programs act for people over HTTP."""

from __future__ import annotations

from datetime import datetime

import msgspec

from cd4ml.errors import InvalidInput
from cd4ml.records.token import Token
from cd4ml.store import rows, tokens
from cd4ml.store.people import SYSTEM
from cd4ml.store.project import Project

_LONGEST_NOTE = 200  # characters
_MOST_NUMBER = 2**63 - 1


class TokenSeen(msgspec.Struct, frozen=True, kw_only=True):
    """A token as it is listed: everything but what is kept of its secret."""

    number: int
    actor: str
    note: str
    created_at: datetime
    created_by: str
    revoked_at: datetime | None


class NewToken(msgspec.Struct, frozen=True, kw_only=True):
    """A token with its secret, which is shown this once."""

    token: TokenSeen
    secret: str


def make_token(project: Project, name: str, *, note: str = "", actor: str) -> NewToken:
    """A new token that acts as a person; only a digest of the secret is kept.

    Args:
        project: Whose person.
        name: Who acts when the token is shown.
        note: What it is for.
        actor: Who hands it out: the person, or an admin.

    Raises:
        NotFound: If one of the two is not known.
        NotAllowed: If the actor is neither.
        InvalidInput: If the name is the system's, or the note is no line of text.
    """
    if name == SYSTEM:
        msg = f"nobody acts as {name!r} from outside"
        raise InvalidInput(msg, hint="make the token for a person")
    if not (note.isprintable() and len(note) <= _LONGEST_NOTE):
        msg = f"expected a note of at most {_LONGEST_NOTE} printable characters, got {note!r:.80}"
        raise InvalidInput(msg)
    secret, at = tokens.new_secret(), project.clock.now()
    with project.database.write() as connection:
        token = tokens.add(connection, secret, actor=name, note=note, by=actor, at=at)
    return NewToken(token=_seen(token), secret=secret)


def tokens_of(project: Project) -> list[TokenSeen]:
    """Every token, also the revoked ones, the oldest first."""
    with project.database.read() as connection:
        return [_seen(token) for token in rows.find(connection, Token)]


def revoke_token(project: Project, number: str, *, actor: str) -> TokenSeen:
    """From now on nobody acts with this token.

    Raises:
        NotFound: If there is none of this number.
        NotAllowed: If the actor is neither its owner nor an admin.
    """
    plain = number.removeprefix("token/")
    if not (plain.isascii() and plain.isdigit() and int(plain) <= _MOST_NUMBER):
        msg = f"expected the number of a token, got {number!r}"
        raise InvalidInput(msg, hint="cd4ml people tokens")
    with project.database.write() as connection:
        token = tokens.revoke(connection, int(plain), by=actor, at=project.clock.now())
    return _seen(token)


def actor_with(project: Project, secret: str) -> str | None:
    """The name of who acts with this secret; None if nobody does."""
    with project.database.read() as connection:
        owner = tokens.owner_of(connection, secret)
    return owner.name if owner else None


def _seen(token: Token) -> TokenSeen:
    return TokenSeen(
        number=token.number,
        actor=token.actor,
        note=token.note,
        created_at=token.created_at,
        created_by=token.created_by,
        revoked_at=token.revoked_at,
    )
