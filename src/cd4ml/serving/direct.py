"""Predictions straight from the server's connections, without a task and a scope for each.

Half of what the bare server costs is what ASGI needs and a prediction does not: a task, a scope,
two messages. A request that is plain enough is therefore answered at the end of the turn of the
event loop in which its last byte came, by the very same `Answering`. Everything else goes
the way of ASGI: pages, large and chunked bodies, HTTP/1.0, upgrades, a caller that reads slowly.
"""

from __future__ import annotations

import asyncio
from time import perf_counter
from typing import Any, ClassVar, NamedTuple

from uvicorn.config import Config
from uvicorn.protocols.http.httptools_impl import HttpToolsProtocol
from uvicorn.server import ServerState

from cd4ml.serving.answering import Answering, Call, protocol_of
from cd4ml.serving.connection import Connection, whole
from cd4ml.serving.protocols import Protocol
from cd4ml.serving.turns import LARGE
from cd4ml.serving.wire import Request, Response, length_in, request_of

_HEADS, _LONG = 512, 1024  # heads that are remembered, and bytes of one


class Head(NamedTuple):
    """The head of a plain request, as it was parsed once."""

    protocol: Protocol
    path: str
    request: Request  # without its body
    length: int  # of the body


class DirectProtocol(Connection):
    """One connection. What `answering` and `turn` are is set on a subclass by `protocol_for`."""

    answering: ClassVar[Answering]
    turn: ClassVar[Turn | None] = None

    def __init__(
        self,
        config: Config,
        server_state: ServerState,
        app_state: dict[str, Any],
        _loop: asyncio.AbstractEventLoop | None = None,
    ) -> None:
        super().__init__(config, server_state, app_state, _loop)
        kind = type(self)
        if kind.turn is None:  # the first connection of a server
            kind.turn = Turn(self.answering, server_state, self.loop)
        self._turn = kind.turn
        self._direct: Head | None = None  # of the request that arrives now
        self._n_read = 0  # plain requests so far
        self._read: Head | None = None  # of the request that was read last, if it was plain
        self._body = b""
        self._n_waiting = 0  # requests that wait for the end of the turn
        self._is_ending = False
        self._answered_at = 0.0
        self._idle_timer: asyncio.TimerHandle | None = None

    def data_received(self, data: bytes) -> None:
        """Take what came: a caller sends the same head again and again, so it is parsed once."""
        heads = self._turn.heads
        if not self._is_between:
            super().data_received(data)
            return
        end = data.find(b"\r\n\r\n") + 4
        head = heads.get(data[:end])
        if head is not None and len(data) == end + head.length and self._is_free:
            self._unset_keepalive_if_required()
            self._n_begun += 1
            self._answer(head, data[end:])
            return
        n_read = self._n_read
        super().data_received(data)
        if self._read is not None and self._is_between and self._n_read == n_read + 1:
            self._turn.learn(data[:end], self._read, len(data) - end)

    def on_message_begin(self) -> None:
        """Begin a request; its scope is made only if ASGI needs it."""
        self._begin()
        self.url = b""
        self.headers = []
        self.expect_100_continue = False
        self._direct = None

    def on_headers_complete(self) -> None:
        """Choose the way of the request."""
        self._is_head = False
        self._direct = self._plain_head()
        if self._direct is not None:
            self._body = b""
            return
        url, headers, expects = self.url, self.headers, self.expect_100_continue
        HttpToolsProtocol.on_message_begin(self)
        self.url, self.expect_100_continue = url, expects
        self.headers += headers
        super().on_headers_complete()

    def on_body(self, body: bytes) -> None:
        """Take a part of the body."""
        if self._direct is None:
            super().on_body(body)
        else:
            self._body = self._body + body if self._body else body

    def on_message_complete(self) -> None:
        """Let a request be answered that is here whole."""
        head, self._direct, self._read = self._direct, None, self._direct
        if head is None:
            super().on_message_complete()
            return
        self._is_between = True
        self._n_read += 1
        self._answer(head, self._body)

    def _answer(self, head: Head, body: bytes) -> None:
        self._n_waiting += 1
        like = head.request
        request = Request(body, like.key, like.kind, like.headers)
        self._turn.put(self, Call(head.protocol, head.path, request))

    def respond(self, response: Response, date: bytes, now: float, *, is_draining: bool) -> None:
        """Send the response to the oldest request that waits; the process may be about to end."""
        self._n_waiting -= 1
        self.server_state.total_requests += 1
        if self.transport.is_closing():
            return
        is_ending = is_draining or self._is_ending
        has_more = self._n_waiting or self._is_with_asgi or not self._is_between
        is_last = is_ending and not has_more
        self.transport.write(whole(response, date, is_last=is_last))
        self._answered_at = now
        if is_last:
            self.transport.close()
        elif self._idle_timer is None:
            self._idle_timer = self.loop.call_later(self.timeout_keep_alive, self._end_if_idle)

    def shutdown(self) -> None:
        """End once what was read is answered."""
        self._is_ending = True
        if self._is_with_asgi or (self._direct is None and not self._n_waiting):
            super().shutdown()

    def connection_lost(self, exc: Exception | None) -> None:
        """Forget the timer."""
        super().connection_lost(exc)
        if self._idle_timer is not None:
            self._idle_timer.cancel()
            self._idle_timer = None

    @property
    def _is_with_asgi(self) -> bool:
        return self.cycle is not None and not self.cycle.response_complete

    @property
    def _is_free(self) -> bool:
        """Whether a request may be answered at once: answers keep the order of requests."""
        is_kept = self._is_with_asgi or self._is_ending or self.flow.write_paused
        return not is_kept and self.answering.is_quick

    def _plain_head(self) -> Head | None:
        parser = self.parser
        is_post = parser.get_method() == b"POST" and parser.get_http_version() == "1.1"
        is_usual = parser.should_keep_alive() and not parser.should_upgrade()
        if not (is_post and is_usual and self._is_free) or self.expect_100_continue:
            return None
        length, path = length_in(self.headers), self.url.decode("latin-1")
        protocol = protocol_of(path) if "?" not in path else None
        if protocol is None or not 0 <= length <= LARGE:
            return None
        request = request_of(b"", self.headers)
        return None if request.encoding else Head(protocol, path, request, length)

    def _end_if_idle(self) -> None:
        """Close the connection after a while in which nothing came; uvicorn's timer is for ASGI."""
        self._idle_timer = None
        is_busy = self._direct is not None or self._n_waiting or self.timeout_keep_alive_task
        if is_busy or self._is_with_asgi:
            return  # the next response sets a timer again
        left_s = self._answered_at + self.timeout_keep_alive - self.loop.time()
        if left_s > 0:
            self._idle_timer = self.loop.call_later(left_s, self._end_if_idle)
        elif not self.transport.is_closing():
            self.transport.close()


class Turn:
    """Requests that were read in one turn of the event loop, and wait for its end."""

    def __init__(
        self, answering: Answering, state: ServerState, loop: asyncio.AbstractEventLoop
    ) -> None:
        self._answering = answering
        self._state = state
        self._loop = loop
        self._waiting: list[tuple[DirectProtocol, Call, float]] = []  # with when it was read
        self.heads: dict[bytes, Head] = {}
        self._headers: list[tuple[bytes, bytes]] = []  # of the server, new every second
        self._date = b""

    def put(self, connection: DirectProtocol, call: Call) -> None:
        """Answer at the end of the turn; at once, if there is no other connection.

        While the process ends, the rest of what came with it may hold further requests.
        """
        waiting = self._waiting
        waiting.append((connection, call, perf_counter()))
        if len(waiting) == 1:
            if len(self._state.connections) == 1 and not self._answering.is_draining:
                self._answer_all()
            else:
                self._loop.call_soon(self._answer_all)

    def learn(self, text: bytes, head: Head, n_body: int) -> None:
        """Remember the head of a request that came by itself and whole."""
        is_whole = text.endswith(b"\r\n\r\n") and n_body == head.length
        if not is_whole or len(text) > _LONG or head.request.key:
            return  # with a key it hardly comes again
        if len(self.heads) >= _HEADS:
            self.heads.clear()
        self.heads[text] = head

    def _answer_all(self) -> None:
        waiting, self._waiting = self._waiting, []
        answering = self._answering
        outcomes = answering.outcomes([call for _, call, _ in waiting])
        date, now, ended = self._server_headers(), self._loop.time(), perf_counter()
        is_draining = answering.is_draining
        for (connection, _, read_at), outcome in zip(waiting, outcomes, strict=True):
            answering.left(outcome, ended - read_at)
            connection.respond(outcome.response, date, now, is_draining=is_draining)
        for (_, call, read_at), outcome in zip(waiting, outcomes, strict=True):
            if answering.is_traced:
                headers = call.request.headers
                answering.trace(outcome, ended - read_at, "POST", call.path, headers)
            answering.copy(outcome)

    def _server_headers(self) -> bytes:
        if self._headers is not self._state.default_headers:
            self._headers = self._state.default_headers
            self._date = b"".join(b"%b: %b\r\n" % pair for pair in self._headers)
        return self._date


def protocol_for(answering: Answering) -> type[DirectProtocol]:
    """The class of a server's connections; only where answers leave without being shipped."""
    return type("Connection", (DirectProtocol,), {"answering": answering})
