"""API tokens: random secrets, of which only a digest is kept.

A secret has 256 random bits, so nobody finds it by trying, and a plain SHA-256 of it
gives nothing away: slow password hashing would protect what needs no protection, and let
anybody who sends wrong tokens keep the server busy.
"""

from __future__ import annotations

import hashlib
import secrets
from datetime import datetime

import msgspec
import sqlalchemy as sa

from cd4ml.errors import NotAllowed
from cd4ml.records.actor import Actor
from cd4ml.records.token import Token
from cd4ml.store import ledger, people, rows

PREFIX = "cd4ml_"  # scanners of public code know a secret by its beginning
_RANDOM_BYTES = 32


def new_secret() -> str:
    """A new secret; it is shown once and kept nowhere.

    Examples:
        >>> secret = new_secret()
        >>> secret[:6], len(secret)
        ('cd4ml_', 49)
    """
    return PREFIX + secrets.token_urlsafe(_RANDOM_BYTES)


def digest_of(secret: str) -> str:
    """What is kept of a secret."""
    return hashlib.sha256(secret.encode("utf-8", "surrogatepass")).hexdigest()


def add(
    connection: sa.Connection, secret: str, *, actor: str, note: str = "", by: str, at: datetime
) -> Token:
    """Let who shows the secret act as a person.

    Args:
        connection: Of a write transaction.
        secret: Of `new_secret`.
        actor: Whose token it is.
        note: What it is for.
        by: Who hands it out: the person, or an admin.
        at: When.

    Raises:
        NotFound: If one of the two is not known.
        NotAllowed: If `by` is neither.
    """
    person = people.actor(connection, actor)
    _refuse_unless_own(connection, person.name, by, what=f"make a token for {actor}")
    token = Token(
        number=rows.next_number(connection, Token),
        actor=person.name,
        digest=digest_of(secret),
        note=note,
        created_at=at,
        created_by=by,
    )
    rows.insert(connection, token)
    _note(connection, token, "token.created", by=by, at=at)
    return token


def revoke(connection: sa.Connection, number: int, *, by: str, at: datetime) -> Token:
    """From now on nobody acts with this token; revoking it again changes nothing.

    Raises:
        NotFound: If there is no such token.
        NotAllowed: If `by` is neither its owner nor an admin.
    """
    token = rows.get(connection, Token, number, lock=True)
    _refuse_unless_own(connection, token.actor, by, what=f"revoke a token of {token.actor}")
    if token.revoked_at is not None:
        return token
    revoked = msgspec.structs.replace(token, revoked_at=at)
    rows.replace(connection, revoked)
    _note(connection, revoked, "token.revoked", by=by, at=at)
    return revoked


def owner_of(connection: sa.Connection, secret: str) -> Actor | None:
    """Who acts with this secret; None if nobody does (any more)."""
    for token in rows.find(connection, Token, digest=digest_of(secret)):
        if token.revoked_at is None:
            return people.actor(connection, token.actor)
    return None


def _refuse_unless_own(connection: sa.Connection, owner: str, by: str, *, what: str) -> None:
    who = people.actor(connection, by)
    if by == owner:
        return
    try:
        people.require_role(who, (people.ADMIN,), what=what)
    except NotAllowed as error:
        raise NotAllowed(error.message, hint=f"{owner} may do it too") from None


def _note(connection: sa.Connection, token: Token, action: str, *, by: str, at: datetime) -> None:
    ledger.append(
        connection,
        at=at,
        actor=by,
        action=action,
        subject=f"token/{token.number}",
        reason=token.note,
        details={"actor": token.actor},
    )
