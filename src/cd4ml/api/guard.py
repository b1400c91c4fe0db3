"""What every request must keep, and every answer carries."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from typing import TYPE_CHECKING

from starlette.datastructures import Headers, MutableHeaders

from cd4ml.api.answers import error_response
from cd4ml.errors import Cd4mlError, NotAllowed

if TYPE_CHECKING:
    from starlette.types import ASGIApp, Message, Receive, Scope, Send

# No inline script or style, nothing from elsewhere, and nobody may frame the console.
CONTENT_SECURITY_POLICY = (
    "default-src 'none'; script-src 'self'; style-src 'self'; img-src 'self'; connect-src 'self'; "
    "base-uri 'none'; form-action 'self'; frame-ancestors 'none'"
)

HEADERS = {
    "content-security-policy": CONTENT_SECURITY_POLICY,
    "x-content-type-options": "nosniff",
    "referrer-policy": "same-origin",
    "cross-origin-resource-policy": "same-origin",
    "cross-origin-opener-policy": "same-origin",
}

LOOPBACK = ("127.0.0.1", "localhost", "[::1]")


class TooLarge(Cd4mlError):
    """A request's body is longer than is read."""

    http_status = 413


class Guard:
    """Refuses requests under a name that is not this server's, and endless bodies.

    A page of another site can make a browser send requests here. It cannot choose the
    Host header: a site whose name it points at 127.0.0.1 is refused (DNS rebinding).
    And it cannot send JSON or the actor's header without asking first, which this
    server never allows (CORS).
    """

    def __init__(
        self,
        app: ASGIApp,
        *,
        hosts: Iterable[str],
        max_body: int,
        is_streamed: Callable[[Scope], bool] = lambda _: False,
    ) -> None:
        """Guard an application.

        Args:
            app: What answers.
            hosts: Names besides the loopback ones under which it may be reached.
            max_body: The longest body that is read, in bytes.
            is_streamed: Which requests may be longer: their bodies go to disk as they arrive.
        """
        self._app = app
        self._is_streamed = is_streamed
        self._hosts = frozenset(name.lower() for name in (*LOOPBACK, *hosts))
        self._max_body = max_body

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """One request."""
        if scope["type"] != "http":
            await self._app(scope, receive, send)
            return

        async def send_with_headers(message: Message) -> None:
            if message["type"] == "http.response.start":
                headers = MutableHeaders(scope=message)
                for name, value in HEADERS.items():
                    headers.setdefault(name, value)
            await send(message)

        headers = Headers(scope=scope)
        is_limited = not self._is_streamed(scope)
        refusal = self._refusal(headers, is_limited=is_limited)
        if refusal is not None:
            await error_response(refusal)(scope, receive, send_with_headers)
            return
        read = self._limited(receive) if is_limited else receive
        await self._app(scope, read, send_with_headers)

    def _refusal(self, headers: Headers, *, is_limited: bool) -> Cd4mlError | None:
        name = host_name(headers.get("host", ""))
        if name not in self._hosts:
            hint = "cd4ml up --allow-host NAME lets browsers use another name"
            return NotAllowed(f"this server is not named {name!r}", hint=hint)
        length = headers.get("content-length", "0") if is_limited else "0"
        if not length.isdigit() or int(length) > self._max_body:
            return self._too_large()
        return None

    def _limited(self, receive: Receive) -> Receive:
        n_read = 0

        async def receive_some() -> Message:
            nonlocal n_read
            message = await receive()
            n_read += len(message.get("body", b""))
            if n_read > self._max_body:
                raise self._too_large()
            return message

        return receive_some

    def _too_large(self) -> TooLarge:
        limit = self._max_body / 1e6
        return TooLarge(f"the body is longer than {limit:g} MB", hint="send it in parts")


def host_name(header: str) -> str:
    """The name in a Host header, without the port.

    Examples:
        >>> host_name("localhost:8400"), host_name("[::1]:8400"), host_name("127.0.0.1")
        ('localhost', '[::1]', '127.0.0.1')
    """
    name, colon, port = header.rpartition(":")
    return (name if colon and port.isdigit() else header).lower()
