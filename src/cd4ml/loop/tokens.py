"""Secrets with which programs act for people over HTTP."""

from __future__ import annotations

from datetime import datetime, timedelta
from typing import ClassVar

import msgspec

from cd4ml.errors import Cd4mlError, InvalidInput, NotAllowed
from cd4ml.records.release import Release
from cd4ml.records.token import Token
from cd4ml.release.environments import settings_of
from cd4ml.store import rows, tokens
from cd4ml.store.people import SYSTEM
from cd4ml.store.project import Project
from cd4ml.store.scopes import ALL, OF_ENVIRONMENTS, SCOPES, allows

__all__ = ["ALL", "DAYS", "SCOPES"]

DAYS = 90  # for which a token is good, unless it is said otherwise

_LONGEST_NOTE = 200  # characters
_MOST_NUMBER = 2**63 - 1
_MAKE = "cd4ml token create NAME makes another one"


class NoToken(Cd4mlError):
    """A secret that is nobody's, or not any more."""

    exit_code: ClassVar[int] = 3
    http_status: ClassVar[int] = 401


class TokenSeen(msgspec.Struct, frozen=True, kw_only=True):
    """A token as it is listed: everything but what is kept of its secret."""

    number: int
    actor: str
    note: str
    scopes: tuple[str, ...]
    created_at: datetime
    created_by: str
    expires_at: datetime
    revoked_at: datetime | None
    revoked_because: str


class NewToken(msgspec.Struct, frozen=True, kw_only=True):
    """A token with its secret, which is shown this once."""

    token: TokenSeen
    secret: str


def make_token(
    project: Project,
    name: str,
    *,
    note: str = "",
    scopes: tuple[str, ...] = (ALL,),
    until: datetime | None = None,
    used: str = "",
    actor: str,
) -> NewToken:
    """A new token that acts as a person; only a digest of the secret is kept.

    Args:
        project: Whose person.
        name: Who acts when the token is shown.
        note: What it is for.
        scopes: What it is good for: of `SCOPES`, some of them limited to a thing (`push:flights`).
        until: When it expires, in the machine's time; 90 days from now by default.
        used: The secret that the actor shows to do it; "" where none is needed. The new token
            goes no further and lasts no longer than that one.
        actor: Who hands it out: the person, or an admin. With which somebody decides (`release`,
            `approve`, `operate`, `label`, `admin`, `all`), only they make themselves.

    Raises:
        NotFound: If one of the two is not known, or a scope is limited to no environment.
        NotAllowed: If the actor is neither, or it would go too far.
        InvalidInput: If the name is the system's, the note is no line of text, a scope is none,
            or the end is past.
    """
    if name == SYSTEM:
        msg = f"nobody acts as {name!r} from outside"
        raise InvalidInput(msg, hint="make the token for a person")
    if not (note.isprintable() and len(note) <= _LONGEST_NOTE):
        msg = f"expected a note of at most {_LONGEST_NOTE} printable characters, got {note!r:.80}"
        raise InvalidInput(msg)
    for scope in scopes:
        _refuse_unknown_environment(project, scope)
    secret, now = tokens.new_secret(), project.clock.machine_time()
    with project.database.write() as connection:
        shown = tokens.shown(connection, used) if used else None
        usual = now + timedelta(days=DAYS)
        usual = min(usual, shown.expires_at) if shown else usual
        token = tokens.add(
            connection,
            secret,
            actor=name,
            note=note,
            scopes=tuple(dict.fromkeys(scopes)),
            by=actor,
            at=project.clock.now(),
            made_at=now,
            expires_at=until or usual,
            used=shown,
        )
    return NewToken(token=_seen(token), secret=secret)


def _refuse_unknown_environment(project: Project, scope: str) -> None:
    act, _, thing = scope.partition(":")
    if thing and act in OF_ENVIRONMENTS:
        settings_of(project.settings.environments, thing)


def tokens_of(project: Project) -> list[TokenSeen]:
    """Every token, also the worthless ones, the oldest first."""
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
        raise InvalidInput(msg, hint="cd4ml token list")
    with project.database.write() as connection:
        token = tokens.revoke(connection, int(plain), by=actor, at=project.clock.now())
    return _seen(token)


def actor_with(project: Project, secret: str, *, act: str = "", on: str = "") -> str:
    """The name of who acts with this secret, if it is good for that.

    Args:
        project: Whose people.
        secret: What was shown.
        act: What is to be done, of `SCOPES`; "" for nothing in particular.
        on: The dataset or environment with which; "" for none in particular.

    Raises:
        NoToken: If it is nobody's, was revoked, or has expired.
        NotAllowed: If its scopes do not go as far.
    """
    with project.database.read() as connection:
        token = tokens.shown(connection, secret)
    if token is None:
        raise NoToken("the token is nobody's", hint=_MAKE)
    if token.revoked_at is None and tokens.is_over(token, project.clock.machine_time()):
        with project.database.write() as connection:
            token = tokens.expire(connection, token.number, at=project.clock.now())
    if token.revoked_at is not None:
        why = f"{token.revoked_because} at {token.revoked_at:%Y-%m-%d %H:%M}"
        msg = f"token/{token.number} of {token.actor} is worthless: {why}"
        raise NoToken(msg, hint=_MAKE)
    if act and not allows(token.scopes, act, on):
        needed = f"{act}:{on}" if on else act
        has = ", ".join(token.scopes)
        msg = f"token/{token.number} of {token.actor} is too narrow: this needs {needed}, it has {has}"
        raise NotAllowed(msg, hint=f"cd4ml token create {token.actor} --scope {needed}")
    return token.actor


def environment_of(project: Project, release: str) -> str:
    """The environment of a release, as scopes may be limited to one; "" if there is none such."""
    plain = release.removeprefix("release/")
    if not (plain.isascii() and plain.isdigit() and int(plain) <= _MOST_NUMBER):
        return ""
    with project.database.read() as connection:
        found = rows.find(connection, Release, number=int(plain))
    return found[0].environment if found else ""


def _seen(token: Token) -> TokenSeen:
    return TokenSeen(
        number=token.number,
        actor=token.actor,
        note=token.note,
        scopes=token.scopes,
        created_at=token.created_at,
        created_by=token.created_by,
        expires_at=token.expires_at,
        revoked_at=token.revoked_at,
        revoked_because=token.revoked_because,
    )
