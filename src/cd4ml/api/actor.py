"""Who acts: the owner of a token, or the name that a header says."""

from __future__ import annotations

from typing import TYPE_CHECKING, ClassVar
from urllib.parse import unquote

from cd4ml.errors import Cd4mlError, NotAllowed
from cd4ml.loop import Project

if TYPE_CHECKING:
    from starlette.datastructures import Headers

ACTOR = "cd4ml-actor"
_SCHEME = "bearer"


class NoActor(Cd4mlError):
    """Somebody has to do it, and the request does not say who, or shows a wrong token."""

    http_status: ClassVar[int] = 401


def acting(project: Project, headers: Headers, *, needs_token: bool) -> str:
    """The name of who acts.

    Args:
        project: Whose people.
        headers: Of the request.
        needs_token: Whether it is not enough to say a name.

    Raises:
        NoActor: If nobody does, or the token is nobody's.
        NotAllowed: If the header names somebody else than the token's owner.
    """
    shown = headers.get("authorization", "")
    name = named(headers)
    if shown:
        return _owner(project, shown, name)
    if needs_token:
        msg = "who sends this? the header authorization is missing"
        raise NoActor(msg, hint="authorization: Bearer SECRET, of cd4ml people token NAME")
    if not name:
        msg = f"who does it? the header {ACTOR} is missing"
        raise NoActor(msg, hint="cd4ml people list shows the names")
    return name


def named(headers: Headers) -> str:
    """The name that the header says; "" for nobody in particular."""
    return unquote(headers.get(ACTOR, ""))


def _owner(project: Project, shown: str, name: str) -> str:
    from cd4ml.loop.tokens import actor_with

    scheme, _, secret = shown.partition(" ")
    owner = actor_with(project, secret.strip()) if scheme.lower() == _SCHEME else None
    if owner is None:
        msg = "the token is nobody's, or was revoked"
        raise NoActor(msg, hint="cd4ml people token NAME makes another one")
    if name not in ("", owner):
        msg = f"the token is {owner}'s, and the header {ACTOR} says {name!r}"
        raise NotAllowed(msg, hint="leave the header out")
    return owner
