"""Requests that are answered straight from their connection, and those that go by ASGI."""

import asyncio
import json
import socket
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from email.message import Message
from http.client import parse_headers
from io import BufferedReader
from typing import Any, NamedTuple

import pytest
import uvicorn

from cd4ml.serving import turns
from cd4ml.serving.answering import Answering, Call, Outcome, protocol_of
from cd4ml.serving.app import App
from cd4ml.serving.direct import protocol_for
from cd4ml.serving.patience import Patience
from cd4ml.serving.server import connections_of
from cd4ml.serving.together import answers_to
from cd4ml.serving.turns import Turns
from cd4ml.serving.watcher import Watcher
from cd4ml.serving.wire import request_of
from tests.models.builders import ROW, fragile
from tests.serving.builders import BODY, Caller, Released, Server, arm, until

KEEP_ALIVE_S = 0.3
LARGE = json.dumps({"rows": [ROW] * 900}).encode()


def request(body: bytes = BODY, *, path: str = "/predict", version: str = "1.1") -> bytes:
    head = f"POST {path} HTTP/{version}\r\nhost: x\r\ncontent-length: {len(body)}\r\n\r\n"
    return head.encode() + body


def chunked(body: bytes) -> bytes:
    head = b"POST /predict HTTP/1.1\r\nhost: x\r\ntransfer-encoding: chunked\r\n\r\n"
    return head + b"%x\r\n%b\r\n0\r\n\r\n" % (len(body), body)


class Reply(NamedTuple):
    status: int
    headers: Message
    content: Any


def reply_in(connection: socket.socket | BufferedReader) -> Reply:
    """The next reply on a connection."""
    file = connection.makefile("rb") if isinstance(connection, socket.socket) else connection
    status = int(file.readline().split()[1])
    headers = parse_headers(file)
    return Reply(status, headers, json.loads(file.read(int(headers["content-length"]))))


def replies(port: int, sent: bytes, n: int = 1) -> list[Reply]:
    """What comes back, in order."""
    with socket.create_connection(("127.0.0.1", port), timeout=20) as connection:
        connection.sendall(sent)
        file = connection.makefile("rb")
        return [reply_in(file) for _ in range(n)]


def scores(content: Any) -> list[float]:
    return [prediction["score"] for prediction in content["predictions"]]


class Local:
    """A server in a thread of this process; `by_asgi` are the paths that went by ASGI."""

    def __init__(self, released: Released) -> None:
        self.by_asgi: list[str] = []
        project = released.project
        watcher = Watcher(project, "production", "local", "http://127.0.0.1")
        self.app = App(watcher, clock=project.clock, segments=project.segments, worker="local")
        self.listening = socket.create_server(("127.0.0.1", 0))
        self.port: int = self.listening.getsockname()[1]
        configuration = uvicorn.Config(
            self._noted,
            http=protocol_for(self.app.answering),
            interface="asgi3",
            lifespan="on",
            log_config=None,
            timeout_keep_alive=KEEP_ALIVE_S,  # type: ignore[arg-type] - seconds may be parts
        )
        self.connections = configuration.http
        self.server = uvicorn.Server(configuration)
        self.watcher = watcher

    async def _noted(self, scope: Any, receive: Any, send: Any) -> None:
        if scope["type"] == "http":
            self.by_asgi.append(scope["path"])
        await self.app(scope, receive, send)


@contextmanager
def local(released: Released) -> Iterator[Local]:
    made = Local(released)
    thread = threading.Thread(target=made.server.run, kwargs={"sockets": [made.listening]})
    thread.start()
    try:
        until(lambda: made.watcher.endpoint is not None)
        yield made
    finally:
        made.server.should_exit = True
        thread.join()
        made.listening.close()


@pytest.fixture(scope="module")
def here(released: Released) -> Iterator[Local]:
    with local(released) as made:
        yield made


@pytest.mark.parametrize(
    ("sent", "is_direct"),
    [
        (request(), True),
        (request(path="/predict?contributions=0"), False),
        (request(version="1.0"), False),
        (chunked(BODY), False),
        (request().replace(b"host: x", b"host: x\r\nconnection: close"), False),
    ],
)
def test_both_ways_give_the_same_answer_and_record_it(
    sent: bytes, is_direct: bool, here: Local, released: Released
) -> None:
    here.by_asgi.clear()

    ((status, headers, content),) = replies(here.port, sent)

    assert status == 200
    assert scores(content) == pytest.approx(scores(replies(here.port, request())[0][2]))
    assert here.by_asgi == ([] if is_direct else ["/predict"])
    assert {"date", "content-type", "content-length"} <= set(headers)
    ids = {line["prediction_id"] for line in released.captured()}
    assert content["predictions"][0]["prediction_id"] in ids


def test_a_uvicorn_whose_insides_are_not_known_answers_by_asgi(
    here: Local, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    assert connections_of(here.app) != "auto"
    monkeypatch.setattr(uvicorn, "__version__", "0.99.0")

    assert connections_of(here.app) == "auto"
    assert caplog.messages == ["uvicorn 0.99.0 is not 0.54.x: answers take longer"]


def test_a_caller_that_waits_to_be_told_to_go_on_is_told(here: Local) -> None:
    head, _, body = (
        request().replace(b"host: x", b"host: x\r\nexpect: 100-continue").partition(b"\r\n\r\n")
    )
    with socket.create_connection(("127.0.0.1", here.port), timeout=20) as connection:
        connection.sendall(head + b"\r\n\r\n")
        told = connection.recv(100)
        connection.sendall(body)
        reply = connection.recv(1000)

    assert told == b"HTTP/1.1 100 Continue\r\n\r\n"
    assert reply.startswith(b"HTTP/1.1 200 ")


def test_requests_that_are_sent_without_waiting_are_answered_in_their_order(here: Local) -> None:
    wrong = request(b'{"rows": []}')
    health = b"GET /health HTTP/1.1\r\nhost: x\r\n\r\n"
    large = request(LARGE)
    sent = [request(), wrong, health, request(), large, request(), wrong, request()]

    found = replies(here.port, b"".join(sent), len(sent))

    assert [status for status, _, _ in found] == [200, 422, 200, 200, 200, 200, 422, 200]
    assert found[2][2] == {"health": "ok"}
    assert len(found[4][2]["predictions"]) == 900
    ids = [found[i][2]["predictions"][0]["prediction_id"] for i in (0, 3, 4, 5, 7)]
    assert ids == sorted(ids)


def test_a_request_may_come_in_pieces(here: Local) -> None:
    sent = request()
    with socket.create_connection(("127.0.0.1", here.port), timeout=20) as connection:
        for i in range(0, len(sent), 40):
            connection.sendall(sent[i : i + 40])
            time.sleep(0.001)
        reply = connection.recv(1000)

    assert reply.startswith(b"HTTP/1.1 200 ")


@pytest.mark.parametrize("cut", [1, 30, len(BODY) - 1])
def test_a_body_may_come_after_a_head_that_came_before(cut: int, here: Local) -> None:
    sent = request()
    expected = scores(replies(here.port, sent + sent, 2)[1].content)  # now the head is known

    with socket.create_connection(("127.0.0.1", here.port), timeout=20) as connection:
        file = connection.makefile("rb")
        for _ in range(2):
            connection.sendall(sent[: -len(BODY) + cut])
            time.sleep(0.005)
            connection.sendall(sent[-len(BODY) + cut :])
            assert scores(reply_in(file).content) == pytest.approx(expected)
        connection.sendall(sent + sent[:20])
        assert scores(reply_in(file).content) == pytest.approx(expected)
        connection.sendall(sent[20:])
        assert scores(reply_in(file).content) == pytest.approx(expected)


def test_a_known_head_with_other_rows_of_the_same_length_is_answered_by_these(here: Local) -> None:
    early, late = (json.dumps({"rows": [ROW | {"hour": hour}]}).encode() for hour in (10, 22))
    assert len(early) == len(late)

    alone = [scores(replies(here.port, request(body))[0].content) for body in (early, late)]
    found = replies(here.port, request(early) + request(late) + request(early), 3)

    assert alone[0] != alone[1]
    assert [scores(each.content) for each in found] == [
        pytest.approx(alone[0]),
        pytest.approx(alone[1]),
        pytest.approx(alone[0]),
    ]


def test_heads_that_are_remembered_do_not_grow_without_end(here: Local) -> None:
    for i in range(600):
        named = request().replace(b"host: x", b"host: x%d" % i)
        (reply,) = replies(here.port, named)
        assert reply.status == 200

    turn = here.connections.turn
    assert 0 < len(turn.heads) <= 512


def test_what_many_connections_send_is_answered_to_each_and_recorded_once(
    here: Local, released: Released
) -> None:
    before = len(released.captured())
    bodies = [json.dumps({"rows": [ROW | {"hour": hour}]}).encode() for hour in range(24)]
    expected = [scores(replies(here.port, request(body))[0][2]) for body in bodies]
    connections = [socket.create_connection(("127.0.0.1", here.port)) for _ in bodies]

    for connection, body in zip(connections, bodies, strict=True):
        connection.sendall(request(body))
    found = []
    for connection in connections:
        found.append(reply_in(connection).content)
        connection.close()

    assert [scores(content) for content in found] == [pytest.approx(each) for each in expected]
    lines = released.captured()[before:]
    assert len({line["prediction_id"] for line in lines}) == len(lines) == 2 * len(bodies)


@pytest.mark.alone
def test_a_connection_on_which_nothing_comes_is_closed_after_a_while(here: Local) -> None:
    with socket.create_connection(("127.0.0.1", here.port), timeout=20) as connection:
        for _ in range(3):
            connection.sendall(request())
            assert connection.recv(1000).startswith(b"HTTP/1.1 200 ")
            time.sleep(0.6 * KEEP_ALIVE_S)  # it is used again in time
        began = time.monotonic()
        assert connection.recv(1000) == b""

    assert time.monotonic() - began < 3 * KEEP_ALIVE_S


def look(here: Local, patience: Patience, now: float) -> int:
    """On the loop's own thread, as the server does."""
    closed: list[int] = []
    connections = here.server.server_state.connections
    loop = next(iter(connections)).loop
    loop.call_soon_threadsafe(lambda: closed.append(patience.look(connections, now)))
    until(lambda: closed)
    return closed[0]


def test_a_connection_that_goes_on_asking_is_kept_however_long(here: Local) -> None:
    patience = Patience(head_s=20, body_s=60)
    with socket.create_connection(("127.0.0.1", here.port), timeout=20) as connection:
        for now in range(0, 200, 10):
            connection.sendall(request())
            assert connection.recv(1000).startswith(b"HTTP/1.1 200 ")
            assert look(here, patience, now) == 0


@pytest.mark.parametrize(("n_sent", "limit_s"), [(30, 20), (-5, 60)])
def test_the_next_request_of_a_connection_has_to_end(
    here: Local, n_sent: int, limit_s: int
) -> None:
    patience = Patience(head_s=20, body_s=60)
    with socket.create_connection(("127.0.0.1", here.port), timeout=20) as connection:
        for now in (0, 100):  # a part of one that comes later is not the same one
            connection.sendall(request()[:n_sent])
            time.sleep(0.05)
            assert look(here, patience, now) == 0
            connection.sendall(request()[n_sent:])
            assert connection.recv(1000).startswith(b"HTTP/1.1 200 ")
        connection.sendall(request()[:n_sent])
        time.sleep(0.05)
        assert [look(here, patience, at) for at in (200, 200 + limit_s)] == [0, 0]
        assert look(here, patience, 201 + limit_s) == 1


@pytest.mark.alone
def test_a_slow_model_keeps_nobody_else_waiting(project: Released) -> None:
    project.plan(arm(project.model(fragile())))
    slow = json.dumps(ROW | {"wind": 99.25}).encode()
    ended: list[str] = []

    def ask_slow() -> None:
        assert replies(here.port, request(slow))[0].status == 200
        ended.append("slow")

    with local(project) as here:
        ask_slow()  # nobody could know
        thread = threading.Thread(target=ask_slow)
        thread.start()
        time.sleep(0.1)
        with Caller(here.port) as caller:
            assert caller.get("/live").status == 200
        ended.append("live")
        thread.join()

    assert ended == ["slow", "live", "slow"]


def test_a_wish_for_http_2_is_not_heard_and_the_request_answered(here: Local) -> None:
    wish = b"host: x\r\nConnection: Upgrade, HTTP2-Settings\r\nUpgrade: h2c\r\nHTTP2-Settings: AA"
    for sent in (request(), request(LARGE)):
        (reply,) = replies(here.port, sent.replace(b"host: x", wish))
        assert reply.status == 200


def test_a_head_without_end_is_refused(here: Local) -> None:
    with socket.create_connection(("127.0.0.1", here.port), timeout=20) as connection:
        connection.sendall(b"POST /predict HTTP/1.1\r\nhost: x\r\nlong: ")
        with suppress(ConnectionError):
            for _ in range(200):
                connection.sendall(b"x" * 2000)
                time.sleep(0.001)
        status, _, content = reply_in(connection)

    assert status == 431
    assert content["error"] == "the request's line and headers are larger than 64 kB"


def test_what_is_no_http_is_refused_in_json(here: Local) -> None:
    ((status, headers, content),) = replies(here.port, b"nonsense\r\n\r\n")

    assert (status, headers["connection"]) == (400, "close")
    assert content["error"] == "Invalid HTTP request received"


def test_the_server_counts_what_it_answers_either_way(running: Server, caller: Caller) -> None:
    def counted() -> int:
        metrics = caller.get("/metrics").body.decode()
        name = 'cd4ml_requests_total{status="200"}'
        return next(int(x.split()[-1]) for x in metrics.splitlines() if x.startswith(name))

    caller.ask()
    before = counted()
    replies(running.port, request() + chunked(BODY), 2)

    assert counted() == before + 2


class Noting(Answering):
    """How many calls came at once."""

    def __init__(self, answering: Answering) -> None:
        self.__dict__ = answering.__dict__
        self.turns: list[int] = []

    def outcomes(self, calls: Any) -> list[Outcome]:
        self.turns.append(len(calls))
        return super().outcomes(calls)


def call(body: bytes = BODY) -> Call:
    protocol = protocol_of("/predict")
    assert protocol is not None
    return Call(protocol, "/predict", request_of(body, []))


def test_by_asgi_a_request_that_is_alone_does_not_wait(here: Local) -> None:
    noting = Noting(here.app.answering)
    answering = Turns(noting, lambda: 1).outcome(call())

    with pytest.raises(StopIteration) as done:
        answering.send(None)  # no event loop is there

    assert done.value.value.response.status == 200


def test_small_requests_do_not_wait_for_a_large_one(
    here: Local, monkeypatch: pytest.MonkeyPatch
) -> None:
    is_small_answered = threading.Event()

    def slowly(requests: Any) -> Any:
        assert is_small_answered.wait(20)
        return answers_to(requests)

    monkeypatch.setattr(turns, "answers_to", slowly)

    async def both() -> tuple[Outcome, Outcome]:
        gathering = Turns(here.app.answering)
        large = asyncio.create_task(gathering.outcome(call(LARGE)))
        small = await gathering.outcome(call())
        is_small_answered.set()
        return small, await large

    small, large = asyncio.run(both())

    assert small.given is not None
    assert large.given is not None
    assert len(large.given.answers) == 900
    assert large.given.answers.scores[-1] == pytest.approx(small.given.answers.scores[0])


def test_by_asgi_requests_of_one_turn_are_answered_together(here: Local) -> None:
    noting = Noting(here.app.answering)

    async def three() -> list[Outcome]:
        gathering = Turns(noting)
        return await asyncio.gather(*(gathering.outcome(call()) for _ in range(3)))

    outcomes = asyncio.run(three())

    assert noting.turns == [3]
    assert [outcome.response.status for outcome in outcomes] == [200, 200, 200]
