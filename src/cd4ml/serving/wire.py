"""Requests and responses over raw ASGI."""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Iterable, MutableMapping
from typing import Any, NamedTuple

import msgspec

from cd4ml.errors import Cd4mlError
from cd4ml.models.violations import Violation
from cd4ml.serving.request import MAX_BYTES, MAX_ROWS, RequestRefused

Message = MutableMapping[str, Any]
Receive = Callable[[], Awaitable[Message]]
Send = Callable[[Message], Awaitable[None]]

JSON = (b"content-type", b"application/json")
MOST_THROWN_AWAY = 10 * MAX_BYTES  # of a body that is refused
TEXT = (b"content-type", b"text/plain; version=0.0.4")

_encode = msgspec.json.Encoder().encode


class ClientGone(Exception):
    """The caller left before the request was read."""


class Response(NamedTuple):
    """What goes back to the caller."""

    status: int
    body: bytes
    kind: tuple[bytes, bytes] = JSON
    more: tuple[tuple[bytes, bytes], ...] = ()  # headers


class Request(NamedTuple):
    """What came from the caller; `key` is the header `cd4ml-key`, "" without one."""

    body: bytes
    key: str
    kind: bytes  # the content type
    headers: Iterable[tuple[bytes, bytes]]
    query: bytes = b""

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


async def send_response(send: Send, response: Response) -> None:
    """Send a response whole."""
    headers = [response.kind, (b"content-length", b"%d" % len(response.body)), *response.more]
    await send({"type": "http.response.start", "status": response.status, "headers": headers})
    await send({"type": "http.response.body", "body": response.body})


async def read_request(scope: Message, receive: Receive) -> Request:
    """The whole request.

    No more than MAX_BYTES of the body are kept; what comes after a refusal is thrown away
    by the server as it arrives. A caller that wants the connection closed is refused when all of
    it has come: closed before, it would be reset, and the caller never see the refusal.

    Raises:
        RequestRefused: If the body is larger than MAX_BYTES, as soon as that is known.
        ClientGone: If the caller left.
    """
    try:
        return await _read_request(scope, receive)
    except RequestRefused:
        if _is_last(scope):
            await _throw_away(receive)
        raise


async def _read_request(scope: Message, receive: Receive) -> Request:
    headers = scope["headers"]
    _refuse_too_large(length_in(headers))
    size = 0
    chunks: list[bytes] = []
    while True:
        message = await receive()
        if not (chunks or message.get("more_body")) and message["type"] == "http.request":
            body: bytes = message.get("body", b"")  # nearly always: all of it came at once
            _refuse_too_large(len(body))
            return request_of(body, headers, scope.get("query_string", b""))
        if message["type"] == "http.disconnect":
            raise ClientGone
        chunks.append(message.get("body", b""))
        size += len(chunks[-1])
        _refuse_too_large(size)
        if not message.get("more_body"):
            return request_of(b"".join(chunks), headers, scope.get("query_string", b""))


def _is_last(scope: Message) -> bool:
    """Whether the connection is closed after the response, though the body is on its way."""
    said = {name: value.lower() for name, value in scope["headers"]}
    return said.get(b"connection") == b"close" and b"expect" not in said


async def _throw_away(receive: Receive) -> None:
    """Read what is left of a body, up to MOST_THROWN_AWAY; `receive` keeps none of it."""
    size, is_over = 0, False
    while not is_over and size < MOST_THROWN_AWAY:
        message = await receive()
        size += len(message.get("body", b""))
        is_over = not message.get("more_body", False)


def request_of(body: bytes, headers: Iterable[tuple[bytes, bytes]], query: bytes = b"") -> Request:
    """A request that is here whole."""
    key, kind = "", b""
    for name, value in headers:
        if name == b"content-type":
            kind = value
        elif name == b"cd4ml-key":
            key = _text(value)
    return Request(body, key, kind, headers, query)


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
