"""The door of a control plane that lets in only who shows a token."""

from __future__ import annotations

from typing import TYPE_CHECKING

from starlette.concurrency import run_in_threadpool
from starlette.datastructures import Headers

from cd4ml.api.actor import NoActor, owner_of
from cd4ml.api.answers import error_response
from cd4ml.errors import Cd4mlError
from cd4ml.loop import Project

if TYPE_CHECKING:
    from starlette.types import ASGIApp, Receive, Scope, Send

_REALM = 'Basic realm="cd4ml: your name, and a token as the password", charset="UTF-8"'

_HEALTH = "/health"  # says that it is there and nothing else, to who balances load


class Door:
    """Answers only who shows a token that is good for something.

    Browsers ask for a name and a password, which is the token. What a token is good for is
    looked at where it matters; the console's pages take one that may read.

    Args:
        app: What answers behind it.
        project: Whose tokens.
    """

    def __init__(self, app: ASGIApp, project: Project) -> None:
        self._app = app
        self._project = project

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """One request."""
        if scope["type"] == "http" and scope["path"] != _HEALTH:
            try:
                await run_in_threadpool(self._refuse_strangers, scope)
            except Cd4mlError as error:
                answer = error_response(error)
                if error.http_status == 401:
                    answer.headers["www-authenticate"] = _REALM
                await answer(scope, receive, send)
                return
        await self._app(scope, receive, send)

    def _refuse_strangers(self, scope: Scope) -> None:
        act = "" if scope["path"].startswith("/api/") else "read"
        if not owner_of(self._project, Headers(scope=scope), act=act):
            msg = "who asks? this server answers only who shows a token"
            raise NoActor(msg, hint="authorization: Bearer SECRET, of cd4ml token create NAME")
