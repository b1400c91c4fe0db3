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

from cd4ml.errors import InvalidInput, NotAllowed
from cd4ml.records.token import Token
from cd4ml.store import ledger, people, rows, vouched
from cd4ml.store.scopes import ALL, deciding, require_scopes, wider

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
    connection: sa.Connection,
    secret: str,
    *,
    actor: str,
    note: str = "",
    scopes: tuple[str, ...] = (ALL,),
    by: str,
    at: datetime,
    made_at: datetime | None = None,
    expires_at: datetime,
    used: Token | None = None,
) -> Token:
    """Let who shows the secret act as a person, in what the scopes allow.

    Who has a secret acts as its owner. So nobody has one of somebody else's with which one could
    agree to one's own request, and no token makes another that goes further than itself.

    Args:
        connection: Of a write transaction.
        secret: Of `new_secret`.
        actor: Whose token it is.
        note: What it is for.
        scopes: What it is good for, see `scopes`.
        by: Who hands it out: the person, or an admin.
        at: When, by the project's clock: for the ledger.
        made_at: When, by the clock of `expires_at`; `at` without it.
        expires_at: When it becomes worthless, by a clock that no rehearsal moves.
        used: The token with which `by` does it; None where they need none.

    Raises:
        NotFound: If one of the two is not known.
        NotAllowed: If `by` is neither, if it is somebody else's and good for deciding, or if it
            would go further, or last longer, than the one used.
        InvalidInput: If a scope is none, or it would have expired already.
    """
    require_scopes(scopes)
    if expires_at <= (made_at or at):
        msg = f"a token ends in the future, got {expires_at:%Y-%m-%d %H:%M}"
        raise InvalidInput(msg, hint=f"it is {made_at or at:%Y-%m-%d %H:%M} now")
    person = people.actor(connection, actor)
    _refuse_unless_own(connection, person.name, by, what=f"make a token for {actor}")
    _refuse_others_voice(person.name, by, scopes)
    _refuse_beyond(used, scopes, expires_at)
    token = Token(
        number=rows.next_number(connection, Token),
        actor=person.name,
        digest=digest_of(secret),
        note=note,
        scopes=scopes,
        created_at=made_at or at,
        created_by=by,
        expires_at=expires_at,
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
    subject = f"token/{token.number}"
    vouched.require_or_say(connection, token, subject=subject, actor=by, at=at)
    revoked = msgspec.structs.replace(token, revoked_at=at, revoked_because=f"revoked by {by}")
    rows.replace(connection, revoked)
    _note(connection, revoked, "token.revoked", by=by, at=at)
    return revoked


def shown(connection: sa.Connection, secret: str) -> Token | None:
    """The token of a secret, also one that is worthless by now; None if it is nobody's.

    Raises:
        Corrupted: If it is not what the ledger says of it.
    """
    found = rows.find(connection, Token, digest=digest_of(secret))
    if not found:
        return None
    vouched.require(connection, found[0], subject=f"token/{found[0].number}")
    return found[0]


def is_over(token: Token, now: datetime) -> bool:
    """Whether it has come to the end of its time, by the clock of `expires_at`."""
    return token.expires_at <= now


def expire(connection: sa.Connection, number: int, *, at: datetime) -> Token:
    """Write down that a token was shown after its end.

    From then on it is worthless for good, also for a clock that goes back.
    """
    token = rows.get(connection, Token, number, lock=True)
    if token.revoked_at is not None:
        return token
    expired = msgspec.structs.replace(
        token, revoked_at=token.expires_at, revoked_because="it expired"
    )
    rows.replace(connection, expired)
    _note(connection, expired, "token.expired", by=people.SYSTEM, at=at)
    return expired


def _refuse_unless_own(connection: sa.Connection, owner: str, by: str, *, what: str) -> None:
    who = people.actor(connection, by)
    if by == owner:
        return
    try:
        people.require_role(who, (people.ADMIN,), what=what)
    except NotAllowed as error:
        raise NotAllowed(error.message, hint=f"{owner} may do it too") from None


def _refuse_others_voice(owner: str, by: str, scopes: tuple[str, ...]) -> None:
    if by != owner and (own := deciding(scopes)):
        msg = (
            f"{by} may not make a token for {owner} with {', '.join(own)}: whoever has the secret"
            f" would decide as {owner}"
        )
        flags = " ".join(f"--scope {each}" for each in own)
        raise NotAllowed(
            msg, hint=f"{owner} makes it: cd4ml --as {owner} token create {owner} {flags}"
        )


def _refuse_beyond(used: Token | None, scopes: tuple[str, ...], expires_at: datetime) -> None:
    if used is None:
        return
    if further := wider(scopes, used.scopes):
        msg = (
            f"token/{used.number} of {used.actor} makes no token that goes further than itself:"
            f" it has {', '.join(used.scopes)}, and not {', '.join(further)}"
        )
        raise NotAllowed(msg, hint="on the project's machine cd4ml token create needs no token")
    if expires_at > used.expires_at:
        msg = (
            f"token/{used.number} of {used.actor} makes no token that lasts longer than itself:"
            f" until {used.expires_at:%Y-%m-%d %H:%M}, got {expires_at:%Y-%m-%d %H:%M}"
        )
        raise NotAllowed(msg, hint="say an earlier end")


def _note(connection: sa.Connection, token: Token, action: str, *, by: str, at: datetime) -> None:
    ledger.append(
        connection,
        at=at,
        actor=by,
        action=action,
        subject=f"token/{token.number}",
        reason=token.note,
        details={
            "actor": token.actor,
            "scopes": token.scopes,
            "expires_at": token.expires_at,
        },
        records=(token,),
    )
