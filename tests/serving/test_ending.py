"""An endpoint that is told to end breaks no request, also not of callers that keep connections."""

import json
import socket
import threading
from collections.abc import Iterator
from contextlib import ExitStack
from http.client import HTTPConnection
from pathlib import Path

import pytest

from tests.models.builders import ROW, boosted
from tests.serving.builders import BODY, Released, Server, arm, server, until
from tests.serving.test_direct import Reply, chunked, local, reply_in, request

HEALTH = b"GET /live HTTP/1.1\r\nhost: x\r\n\r\n"
UNREADABLE = b"POST /predict HTTP/1.1\r\nhost: x\r\ncontent-length: %d\r\n\r\n" % 11_000_000


class Keeping:
    """Callers that keep their connections, ask without a pause, and leave when they are told to.

    `goes_on` makes each open another one then, as long as it can.
    """

    def __init__(self, running: Server, n_callers: int, *, goes_on: bool) -> None:
        self.n_answered = 0
        self.n_told = 0
        self.broken: list[Exception] = []
        self._port = running.port
        self._goes_on = goes_on
        self._threads = [threading.Thread(target=self._live) for _ in range(n_callers)]
        for thread in self._threads:
            thread.start()

    def wait(self) -> None:
        for thread in self._threads:
            thread.join(30)
            assert not thread.is_alive()

    def stop_coming_back(self) -> None:
        self._goes_on = False

    def _live(self) -> None:
        try:
            self._ask_until_told()
            while self._goes_on:
                self._ask_until_told()
        except Exception as error:
            self.broken.append(error)

    def _ask_until_told(self) -> None:
        connection = HTTPConnection("127.0.0.1", self._port, timeout=20)
        is_told = False
        while not is_told:
            connection.request("POST", "/predict", BODY)
            reply = connection.getresponse()
            assert len(json.loads(reply.read())["predictions"]) == 1
            is_told = reply.getheader("connection") == "close"
            self.n_answered += 1
        self.n_told += 1
        assert connection.sock is None  # it is closed by its end
        connection.close()


@pytest.fixture(scope="module")
def released(tmp_path_factory: pytest.TempPathFactory, sqlite_template: Path) -> Iterator[Released]:
    made = Released(tmp_path_factory.mktemp("ending") / "project", sqlite_template)
    made.plan(arm(made.model(boosted())))
    yield made
    made.project.close()


def set_notice(project: Released, seconds: float) -> None:
    (project.folder / "cd4ml.toml").write_text(
        f'[project]\nname = "flights"\n[serving]\nnotice_s = {seconds}\n'
    )


@pytest.mark.parametrize("workers", [0, pytest.param(2, marks=pytest.mark.slow)])
@pytest.mark.parametrize("notice_s", [0.0, 0.6])
def test_told_to_end_under_load_no_request_is_broken(
    workers: int, notice_s: float, released: Released
) -> None:
    set_notice(released, notice_s)
    before = len(released.captured())

    with server(released.folder, workers=workers) as running:
        under = Keeping(running, 4, goes_on=notice_s > 0)
        until(lambda: under.n_answered > 50)
        running.process.terminate()
        until(lambda: under.n_told > 3)
        under.stop_coming_back()
        code = running.process.wait(20)
        under.wait()

    assert code == 0
    assert under.broken == []
    assert under.n_told >= 4
    assert len(released.captured()) - before == under.n_answered


def test_connections_that_are_open_may_ask_once_more(released: Released) -> None:
    set_notice(released, 0.0)

    with server(released.folder) as running, ExitStack() as stack:
        fresh, kept, by_asgi = (
            stack.enter_context(socket.create_connection(("127.0.0.1", running.port), timeout=20))
            for _ in range(3)
        )
        kept.sendall(request())
        assert reply_in(kept).headers["connection"] is None
        running.process.terminate()
        until(lambda: not is_taken(running.port))
        fresh.sendall(request())
        kept.sendall(request())
        by_asgi.sendall(chunked(BODY))
        replies = [reply_in(each) for each in (fresh, kept, by_asgi)]
        ends = [each.recv(1) for each in (fresh, kept, by_asgi)]
        code = running.process.wait(20)

    assert code == 0
    assert [(reply.status, reply.headers["connection"]) for reply in replies] == [
        (200, "close")
    ] * 3
    assert ends == [b""] * 3


def is_taken(port: int) -> bool:
    try:
        socket.create_connection(("127.0.0.1", port)).close()
    except ConnectionError:
        return False
    return True


@pytest.mark.parametrize(
    ("sent", "statuses"),
    [
        (request(), [200]),
        (chunked(BODY), [200]),
        (HEALTH, [200]),
        (request(b"{"), [400]),
        (request(json.dumps({"rows": [ROW] * 900}).encode()), [200]),
        (request() + request(b"{") + request(), [200, 400, 200]),
        (UNREADABLE + b" " * 11_000_000, [413]),
    ],
)
def test_while_a_process_ends_its_answers_end_their_connections(
    sent: bytes, statuses: list[int], released: Released
) -> None:
    with local(released) as here:
        here.app.drain()
        with socket.create_connection(("127.0.0.1", here.port), timeout=20) as connection:
            connection.sendall(sent)
            file = connection.makefile("rb")
            replies: list[Reply] = [reply_in(file) for _ in statuses]
            rest = file.read()

    assert [reply.status for reply in replies] == statuses
    said = [reply.headers["connection"] for reply in replies]
    assert said == [None] * (len(statuses) - 1) + ["close"]
    assert rest == b""


def test_a_request_that_has_begun_to_come_behind_another_is_answered_too(
    released: Released,
) -> None:
    sent = request()
    with local(released) as here:
        here.app.drain()
        with socket.create_connection(("127.0.0.1", here.port), timeout=20) as connection:
            connection.sendall(sent + sent[:-20])
            file = connection.makefile("rb")
            first = reply_in(file)
            connection.sendall(sent[-20:])
            second = reply_in(file)

    assert (first.headers["connection"], second.headers["connection"]) == (None, "close")
