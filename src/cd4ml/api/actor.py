"""Who acts: the owner of a token, or the name that a header says."""

from __future__ import annotations

import base64
import binascii
from typing import TYPE_CHECKING, ClassVar, NamedTuple
from urllib.parse import unquote

from cd4ml.errors import Cd4mlError, NotAllowed
from cd4ml.loop import Project

if TYPE_CHECKING:
    from starlette.datastructures import Headers

ACTOR = "cd4ml-actor"


class NoActor(Cd4mlError):
    """Somebody has to do it, and the request does not say who, or shows no token."""

    http_status: ClassVar[int] = 401


class Credentials(NamedTuple):
    """A name and a secret as a client shows them; "" where it shows none."""

    name: str
    secret: str


def acting(
    project: Project, headers: Headers, *, needs_token: bool, act: str = "", on: str = ""
) -> str:
    """The name of who acts.

    Args:
        project: Whose people.
        headers: Of the request.
        needs_token: Whether it is not enough to say a name.
        act: What a token has to be good for.
        on: With which dataset or environment.

    Raises:
        NoActor: If nobody does.
        NoToken: If the token is worthless.
        NotAllowed: If it is too narrow, or the header names somebody else than its owner.
    """
    owner = owner_of(project, headers, act=act, on=on)
    if owner:
        return owner
    if needs_token:
        msg = "who sends this? the header authorization is missing"
        raise NoActor(msg, hint="authorization: Bearer SECRET, of cd4ml token create NAME")
    name = named(headers)
    if not name:
        msg = f"who does it? the header {ACTOR} is missing"
        raise NoActor(msg, hint="cd4ml people list shows the names")
    return name


def asking(project: Project, headers: Headers, *, act: str = "read") -> str:
    """The name of who asks: the token's owner, or who the header says; "" for nobody.

    Raises:
        NoToken: As `acting`.
        NotAllowed: As `acting`.
    """
    return owner_of(project, headers, act=act) or named(headers)


def named(headers: Headers) -> str:
    """The name that the header says; "" for nobody in particular."""
    return unquote(headers.get(ACTOR, ""))


def owner_of(project: Project, headers: Headers, *, act: str = "", on: str = "") -> str:
    """The owner of the token that is shown; "" if none is shown.

    Raises:
        NoToken: As `acting`.
        NotAllowed: As `acting`.
    """
    if not headers.get("authorization"):
        return ""
    from cd4ml.loop.tokens import actor_with

    shown = credentials(headers)
    owner = actor_with(project, shown.secret, act=act, on=on)
    if shown.name not in ("", owner):
        raise NotAllowed(f"the token is {owner}'s, and not {shown.name!r}'s")
    if named(headers) not in ("", owner):
        msg = f"the token is {owner}'s, and the header {ACTOR} says {named(headers)!r}"
        raise NotAllowed(msg, hint="leave the header out")
    return owner


def credentials(headers: Headers) -> Credentials:
    """What the header authorization says: `Bearer SECRET`, or a name and a secret as browsers do.

    Raises:
        NoActor: If it is not as it should be.
    """
    scheme, _, shown = headers.get("authorization", "").partition(" ")
    if scheme.lower() == "bearer":
        return Credentials("", shown.strip())
    if scheme.lower() != "basic":
        return Credentials("", "")
    try:
        name, _, secret = base64.b64decode(shown).decode().partition(":")
    except (binascii.Error, UnicodeDecodeError, ValueError):
        raise NoActor("expected a name and a token in the header authorization") from None
    return Credentials(name, secret)
