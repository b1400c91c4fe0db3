"""Requests and responses over raw ASGI."""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Iterable, MutableMapping
from typing import Any

import msgspec

from cd4ml.errors import Cd4mlError
from cd4ml.models.violations import Violation
from cd4ml.serving.request import MAX_BYTES, MAX_ROWS, RequestRefused

Message = MutableMapping[str, Any]
Receive = Callable[[], Awaitable[Message]]
Send = Callable[[Message], Awaitable[None]]

JSON = (b"content-type", b"application/json")
MOST_THROWN_AWAY = 10 * MAX_BYTES  # of a body that is refused
_CLOSE = (b"connection", b"close")
TEXT = (b"content-type", b"text/plain; version=0.0.4")

_encode = msgspec.json.Encoder().encode


class ClientGone(Exception):
    """The caller left before the request was read."""


class Response(msgspec.Struct, frozen=True, gc=False):
    """What goes back to the caller."""

    status: int
    body: bytes
    kind: tuple[bytes, bytes] = JSON
    more: tuple[tuple[bytes, bytes], ...] = ()  # headers


class Request(msgspec.Struct, frozen=True, gc=False):
    """What came from the caller.

    `key` is the header `cd4ml-key`, "" without one; `encoding` how the body is said to be compressed.
    """

    body: bytes
    key: str
    kind: bytes  # the content type
    headers: Iterable[tuple[bytes, bytes]]
    query: bytes = b""
    encoding: bytes = b""

    def header(self, name: bytes) -> bytes:
        """A header's value; empty without one."""
        return next((value for key, value in self.headers if key == name), b"")


def in_json(content: Any, status: int = 200) -> Response:
    """A record or plain data as a response."""
    return Response(status, _encode(content))


def explained(status: int, error: Cd4mlError, violations: tuple[Violation, ...] = ()) -> Response:
    """What was wrong and what to do, as a response."""
    content = {"error": error.message, "hint": error.hint, "violations": violations}
    return in_json(content, status)


async def send_response(send: Send, response: Response, *, is_last: bool = False) -> None:
    """Send a response whole; after the last one the server closes the connection."""
    headers = [response.kind, (b"content-length", b"%d" % len(response.body)), *response.more]
    if is_last:
        headers.append(_CLOSE)
    await send({"type": "http.response.start", "status": response.status, "headers": headers})
    await send({"type": "http.response.body", "body": response.body})


class Incoming:
    """A request on its way; used by one task.

    Args:
        scope: Of ASGI, of which it takes the headers and the query.
        receive: Gives the parts of the body.
    """

    def __init__(self, scope: Message, receive: Receive) -> None:
        self._scope = scope
        self._receive = receive
        self._is_over = False  # all of its body has come

    async def whole(self) -> Request:
        """The request, once it is here.

        No more than MAX_BYTES of the body are kept; what comes after a refusal is thrown away
        by the server as it arrives.

        Raises:
            RequestRefused: If the body is larger than MAX_BYTES, as soon as that is known.
            ClientGone: If the caller left.
        """
        headers, query = self._scope["headers"], self._scope.get("query_string", b"")
        _refuse_too_large(length_in(headers))
        body = await self._part()
        _refuse_too_large(len(body))
        if self._is_over:  # nearly always: all of it came at once
            return request_of(body, headers, query)
        chunks, size = [body], len(body)
        while not self._is_over:
            chunks.append(await self._part())
            size += len(chunks[-1])
            _refuse_too_large(size)
        return request_of(b"".join(chunks), headers, query)

    async def thrown_away(self) -> None:
        """Read what is left of a body, up to MOST_THROWN_AWAY, and keep none of it.

        For a request after which the connection is closed: closed before all of it has come,
        it would be reset, and the caller never see the refusal. Who waits to be told to send a
        body is not told.
        """
        if any(name == b"expect" for name, _ in self._scope["headers"]):
            return
        size = 0
        while not self._is_over and size < MOST_THROWN_AWAY:
            size += len(await self._part())

    @property
    def is_last(self) -> bool:
        """Whether the caller wants the connection closed after the response."""
        headers = self._scope["headers"]
        return any(n == b"connection" and v.lower() == b"close" for n, v in headers)

    async def _part(self) -> bytes:
        message = await self._receive()
        if message["type"] == "http.disconnect":
            raise ClientGone
        self._is_over = not message.get("more_body", False)
        body: bytes = message.get("body", b"")
        return body


def request_of(body: bytes, headers: Iterable[tuple[bytes, bytes]], query: bytes = b"") -> Request:
    """A request that is here whole."""
    key, kind, encoding = "", b"", b""
    for name, value in headers:
        if name == b"content-type":
            kind = value
        elif name == b"content-encoding" and value.strip().lower() != b"identity":
            encoding = value.strip()
        elif name == b"cd4ml-key":
            key = _text(value.strip(b" \t"))  # no part of a value: RFC 9110, 5.5
    return Request(body, key, kind, headers, query, encoding)


def length_in(headers: Iterable[tuple[bytes, bytes]]) -> int:
    """How many bytes of body were announced; -1 if that was not said."""
    return next((int(value) for name, value in headers if name == b"content-length"), -1)


def _text(value: bytes) -> str:
    try:
        return value.decode()
    except UnicodeDecodeError:
        return value.decode("latin-1")  # what HTTP headers were before UTF-8 was recommended


def _refuse_too_large(size: int) -> None:
    if size > MAX_BYTES:
        msg = f"the body is larger than {MAX_BYTES // 2**20} MB"
        raise RequestRefused(413, msg, hint=f"send at most {MAX_ROWS} rows in one request")
