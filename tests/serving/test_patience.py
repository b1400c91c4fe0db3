"""A connection whose request does not end is closed; one that is idle, or answered, is not."""

import asyncio
import contextlib
import socket
import threading
from collections.abc import Iterator
from typing import Any

import httptools
import pytest
import uvicorn
from uvicorn.protocols.http.h11_impl import H11Protocol
from uvicorn.protocols.http.httptools_impl import HttpToolsProtocol

from cd4ml.serving.connection import Connection
from cd4ml.serving.patience import Patience
from tests.serving.builders import until

assert httptools  # the one that serves
ANSWER = b"HTTP/1.1 200 OK"


async def slow_app(scope: Any, receive: Any, send: Any) -> None:
    """Answers once the body is there; /wait a moment later."""
    while (await receive()).get("more_body"):
        pass
    if scope["path"] == "/wait":
        await asyncio.sleep(0.3)
    await send(
        {"type": "http.response.start", "status": 200, "headers": [(b"content-length", b"0")]}
    )
    await send({"type": "http.response.body", "body": b""})


class Served:
    """A server in a thread, and a look at its connections at a time that tests choose."""

    def __init__(self, server: uvicorn.Server, port: int) -> None:
        self.server = server
        self.port = port
        self.patience = Patience(head_s=20, body_s=60)

    @property
    def connections(self) -> set[Any]:
        return set(self.server.server_state.connections)

    def opened(self, sent: bytes) -> socket.socket:
        n = len(self.connections)
        connection = socket.create_connection(("127.0.0.1", self.port), timeout=10)
        connection.sendall(sent)
        until(lambda: len(self.connections) == n + 1)
        return connection

    def look(self, now: float) -> int:
        """On the loop's own thread, as the server does."""
        done: list[int] = []
        loop = next(iter(self.connections)).loop
        loop.call_soon_threadsafe(lambda: done.append(self.patience.look(self.connections, now)))
        until(lambda: done)
        return done[0]


@pytest.fixture(params=[Connection, HttpToolsProtocol, H11Protocol])
def served(request: pytest.FixtureRequest) -> Iterator[Served]:
    with socket.create_server(("127.0.0.1", 0)) as listener:
        config = uvicorn.Config(
            slow_app, http=request.param, lifespan="off", log_level="critical", access_log=False
        )
        server = uvicorn.Server(config)
        thread = threading.Thread(target=server.run, kwargs={"sockets": [listener]})
        thread.start()
        until(lambda: server.started)
        yield Served(server, listener.getsockname()[1])
        server.force_exit = server.should_exit = True
        thread.join()


def is_closed(connection: socket.socket) -> bool:
    with contextlib.suppress(ConnectionError):
        return connection.recv(100) == b""
    return True


@pytest.mark.parametrize(
    ("sent", "limit_s"),
    [
        (b"POST / HTTP/1.1\r\nho", 20),
        (b"", 20),
        (b"POST / HTTP/1.1\r\nhost: a\r\ncontent-length: 5\r\n\r\nab", 60),
    ],
)
def test_a_request_that_does_not_end_is_not_waited_for(
    sent: bytes, limit_s: float, served: Served
) -> None:
    with served.opened(sent) as connection:
        assert [served.look(at) for at in (0, limit_s - 1, limit_s)] == [0, 0, 0]

        connection.sendall(sent[:0] if not sent else b"x")  # one byte more is no progress
        assert served.look(limit_s + 1) == 1

        assert is_closed(connection)


def test_who_is_idle_between_requests_or_waits_for_an_answer_stays(served: Served) -> None:
    with (
        served.opened(b"GET / HTTP/1.1\r\nhost: a\r\n\r\n") as idle,
        served.opened(b"GET /wait HTTP/1.1\r\nhost: a\r\n\r\n") as waiting,
    ):
        assert idle.recv(100).startswith(ANSWER)
        assert [served.look(at) for at in (0, 1000)] == [0, 0]

        assert waiting.recv(100).startswith(ANSWER)
        idle.sendall(b"GET / HTTP/1.1\r\nhost: a\r\n\r\n")
        assert idle.recv(100).startswith(ANSWER)


def test_each_request_of_a_connection_has_its_own_time(served: Served) -> None:
    with served.opened(b"GET / HT") as connection:
        assert served.look(0) == 0
        connection.sendall(b"TP/1.1\r\nhost: a\r\n\r\n")
        assert connection.recv(100).startswith(ANSWER)
        connection.sendall(b"GET / HT")
        until(lambda: next(iter(served.connections)).timeout_keep_alive_task is None)

        assert [served.look(at) for at in (25, 40)] == [0, 0]
        assert served.look(46) == 1
        assert is_closed(connection)
