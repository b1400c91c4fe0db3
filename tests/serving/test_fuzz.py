"""Whatever is sent to it, a real `cd4ml serve` explains what is wrong, lives, and stays small.

`CD4ML_FUZZ` is how many requests are made up all together: some hundred usually, 10,000 by `make fuzz`.
"""

import collections
import json
import os
import random
import socket
import subprocess
import time
import warnings
from collections.abc import Iterator
from contextlib import ExitStack, closing
from functools import partial
from pathlib import Path
from typing import Any

import psutil
import pytest
import schemathesis
from hypothesis import HealthCheck, given, settings
from jsonschema import Draft202012Validator
from schemathesis import GenerationMode

from cd4ml.serving.protocols.arrow import ARROW
from tests.journeys.command_line import CD4ML
from tests.models.builders import ROW, boosted
from tests.services.processes import free_ports
from tests.serving.builders import Caller, Released, arm, until
from tests.serving.fuzzing import GOOD, INFER, REQUESTS, Sent, Wire
from tests.serving.streams import mutated

N = int(os.environ.get("CD4ML_FUZZ", "400"))
BY_SCHEMA = max(24, N // 20)  # schemathesis takes a tenth of a second for one
FINE = (200, 400, 404, 405, 413, 415, 422)
GROWTH = 160 * 2**20  # bytes, of a process that has read 100 MB at once and a million names

# a server that is attacked for minutes
pytestmark = [pytest.mark.timeout(3600 if N > 1000 else 240)]
_SETTINGS = settings(
    deadline=None, database=None, suppress_health_check=list(HealthCheck), derandomize=N <= 1000
)


class Attacked:
    """The process, with all that it started."""

    def __init__(self, process: psutil.Process, port: int, log: Path) -> None:
        self.port = port
        self.log = log
        self.process = process
        self.workers = self._pids()
        self.answered: collections.Counter[int] = collections.Counter()

    def _pids(self) -> set[int]:
        return {self.process.pid, *(each.pid for each in self.process.children(recursive=True))}

    def memory(self) -> int:
        """Of all of its processes, in bytes."""
        every = [self.process, *self.process.children(recursive=True)]
        return sum(each.memory_info().rss for each in every)

    def refuse_harm(self) -> None:
        """It lives, with the same workers, answers, and met no error that it did not foresee."""
        assert self._pids() == self.workers
        with Caller(self.port) as caller:
            assert caller.ask().status == 200
        assert "Traceback" not in self.log.read_text()

    def take(self, sent: Sent, wire: Wire) -> None:
        """Send a request; whatever it is, its answer is one."""
        status, head, body = wire.ask(sent.raw())
        self.answered[status] += 1
        assert status in FINE, (status, sent, body[:500])
        if b"application/json" in head:
            content = json.loads(body)
            if status >= 400:
                assert content["error"], content
        if status == 422 and b"violations" in body:
            for each in json.loads(body)["violations"]:
                assert all(each[key] for key in ("path", "expected", "got")), each


@pytest.fixture(scope="module")
def attacked(tmp_path_factory: pytest.TempPathFactory, sqlite_template: Path) -> Iterator[Attacked]:
    made = Released(tmp_path_factory.mktemp("attacked") / "project", sqlite_template)
    (made.folder / "cd4ml.toml").write_text(
        '[project]\nname = "flights"\n\n[environments.production]\n'
    )
    made.plan(arm(made.model(boosted())))
    made.project.close()
    port, log = free_ports(1), made.folder / "server.log"
    command = [*CD4ML, "serve", "--in", "production", "--port", str(port)]
    with (
        log.open("w") as file,
        subprocess.Popen(command, cwd=made.folder, stdout=file, stderr=file) as process,
    ):
        try:
            until(lambda: _is_ready(port), 60)
            with closing(Wire(port)) as wire:
                for sent in GOOD:  # what is imported when it is first asked for is there now
                    assert wire.ask(sent.raw())[0] == 200, sent
            yield Attacked(psutil.Process(process.pid), port, log)
        finally:
            process.terminate()


def _is_ready(port: int) -> bool:
    try:
        with Caller(port) as caller:
            return caller.get("/ready").status == 200
    except OSError:
        return False


def test_no_request_that_can_be_made_up_is_an_error_of_the_server(attacked: Attacked) -> None:
    before = attacked.memory()

    with closing(Wire(attacked.port)) as wire:

        @given(REQUESTS)
        @settings(_SETTINGS, max_examples=N - BY_SCHEMA)
        def asked(sent: Sent) -> None:
            attacked.take(sent, wire)

        asked()
    attacked.refuse_harm()
    assert attacked.memory() - before < GROWTH
    assert {200, 400, 404, 405, 422} <= set(attacked.answered)


def test_no_arrow_stream_that_a_stranger_damaged_ends_it_or_makes_it_grow(
    attacked: Attacked,
) -> None:
    dice = random.Random(N)
    before = attacked.memory()

    with closing(Wire(attacked.port)) as wire:
        for _ in range(N):
            attacked.take(Sent("/predict", mutated(dice), ARROW.decode()), wire)
    attacked.refuse_harm()
    assert attacked.memory() - before < GROWTH


@pytest.mark.parametrize("mode", list(GenerationMode))
def test_what_the_description_allows_and_forbids_is_answered_as_it_says(
    mode: GenerationMode, attacked: Attacked
) -> None:
    with Caller(attacked.port) as caller:
        described = caller.get("/openapi.json").json
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        schema = schemathesis.openapi.from_dict(described)
    for path in ("/predict", "/invocations", INFER):
        said = described["paths"][path]["post"]["responses"]
        cases = schema[path]["POST"].as_strategy(generation_mode=mode)
        examined = partial(_examined, attacked, said, described["components"])

        @given(case=cases)
        @settings(_SETTINGS, max_examples=BY_SCHEMA // 6)
        def asked(case: schemathesis.Case) -> None:
            examined(case)  # noqa: B023

        asked()
    attacked.refuse_harm()


def _examined(
    attacked: Attacked, said: dict[str, Any], components: dict[str, Any], case: schemathesis.Case
) -> None:
    reply = case.call(base_url=f"http://127.0.0.1:{attacked.port}", timeout=20)
    attacked.answered[reply.status_code] += 1
    assert reply.status_code in FINE, reply.text[:500]
    content = said[str(reply.status_code)]["content"]
    (kind,) = reply.headers["content-type"]
    assert kind in content
    if kind == "application/json":
        whole = content[kind]["schema"] | {"components": components}
        Draft202012Validator(whole).validate(reply.json())


MANY = 1_000_000


def _names(n: int) -> bytes:
    return b"{" + b",".join(b'"%x":1' % i for i in range(n)) + b"}"


HUGE = {
    "a body of 100 MB": (Sent(body=b" " * 100_000_000), 413),
    "a million columns": (Sent(body=_names(MANY)), 422),
    "a million columns in a list of rows": (Sent(body=b'{"rows":[%s]}' % _names(MANY)), 422),
    "a million columns in a table": (Sent("/invocations", b'{"inputs":%s}' % _names(MANY)), 422),
    "a million columns of CSV": (
        Sent("/invocations", b",".join(b"%x" % i for i in range(MANY)) + b"\n", "text/csv"),
        422,
    ),
    "a million rows": (Sent(body=b'{"rows":[%s]}' % b",".join([b"{}"] * MANY)), 413),
    "lists in lists": (Sent(body=b"[" * MANY + b"]" * MANY), 400),
    "objects in objects": (Sent(body=b'{"rows":' * 100_000), 400),
    "lists in a tensor": (
        Sent(INFER, b'{"inputs":[{"name":"hour","shape":[1],"datatype":"INT64","data":'
             + b"[" * MANY + b"]" * MANY + b"}]}"),
        400,
    ),
    "an integer of a million digits": (Sent(body=b'{"hour":%s}' % (b"9" * MANY)), 400),
    "a text of 9 MB": (Sent(body=json.dumps(ROW | {"dest": "A" * 9_000_000}).encode()), 200),
    "a name a million times": (Sent(body=b"{" + b",".join([b'"hour":1'] * MANY) + b"}"), 422),
    "a tensor of a million values": (
        Sent(INFER, b'{"inputs":[{"name":"hour","shape":[1000000],"datatype":"INT64","data":[%s]}]}'
             % b",".join([b"1"] * MANY)),
        413,
    ),
    "nothing": (Sent(body=b""), 400),
}  # fmt: skip


@pytest.mark.parametrize("name", HUGE)
def test_what_is_far_too_much_is_refused_soon_and_costs_little(
    name: str, attacked: Attacked
) -> None:
    sent, status = HUGE[name]
    before, began = attacked.memory(), time.monotonic()

    with closing(Wire(attacked.port)) as wire:
        answered, _, body = wire.ask(sent.raw())

    assert answered == status, body[:300]
    assert time.monotonic() - began < 20
    assert attacked.memory() - before < GROWTH
    assert len(body) < 100_000
    attacked.refuse_harm()


def test_100_mb_in_chunks_are_refused_while_they_come(attacked: Attacked) -> None:
    before = attacked.memory()
    with socket.create_connection(("127.0.0.1", attacked.port), timeout=20) as connection:
        connection.sendall(
            b"POST /predict HTTP/1.1\r\nhost: fuzz\r\ntransfer-encoding: chunked\r\n\r\n"
        )
        for _ in range(100):
            connection.sendall(b"%x\r\n" % 2**20 + b" " * 2**20 + b"\r\n")
        connection.sendall(b"0\r\n\r\n")
        answer = connection.recv(4096)

    assert answer.startswith(b"HTTP/1.1 413 ")
    assert attacked.memory() - before < GROWTH
    attacked.refuse_harm()


BROKEN = (
    b"\r\n\r\n",
    b"GET\r\n\r\n",
    b"POST /predict HTTP/9.9\r\n\r\n",
    b"POST /predict HTTP/1.1\r\ncontent-length: -1\r\n\r\n",
    b"POST /predict HTTP/1.1\r\ncontent-length: 5\r\ncontent-length: 6\r\n\r\nhello!",
    b"POST /predict HTTP/1.1\r\ncontent-length: 99999999999999999999999\r\n\r\n",
    b"POST /predict HTTP/1.1\r\ntransfer-encoding: chunked\r\n\r\nzz\r\n",
    b"POST /predict HTTP/1.1\r\nhost: a\r\ncontent-length: 3\r\ntransfer-encoding: chunked\r\n\r\n0\r\n\r\n",
    b"POST /predict HTTP/1.1\r\n" + b"a: b\r\n" * 20_000 + b"\r\n",
    b"GET /" + b"a" * 200_000 + b" HTTP/1.1\r\n\r\n",
    b"\x16\x03\x01\x02\x00\x01\x00\x01\xfc\x03\x03" + b"\0" * 300,  # TLS
    b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n",
    b"\0" * 5000,
)


@pytest.mark.parametrize("sent", BROKEN, ids=range(len(BROKEN)))
def test_what_is_no_http_is_refused_by_the_server_beneath(sent: bytes, attacked: Attacked) -> None:
    with socket.create_connection(("127.0.0.1", attacked.port), timeout=20) as connection:
        try:
            connection.sendall(sent)
            connection.shutdown(socket.SHUT_WR)
            answer = connection.recv(4096)
        except OSError:  # it was closed meanwhile
            answer = b""

    assert not answer or answer.split()[1] in (b"400", b"404", b"405", b"413", b"422", b"431"), (
        answer
    )
    attacked.refuse_harm()


def test_others_are_answered_while_many_send_byte_by_byte(attacked: Attacked) -> None:
    with ExitStack() as many:
        slow = [
            many.enter_context(socket.create_connection(("127.0.0.1", attacked.port)))
            for _ in range(300)
        ]
        for i, connection in enumerate(slow):
            whole = Sent(body=json.dumps(ROW).encode()).raw()
            connection.sendall(whole[: 1 + i % (len(whole) - 1)])
        began = time.monotonic()
        with Caller(attacked.port) as caller:
            assert all(caller.ask().status == 200 for _ in range(20))
        assert time.monotonic() - began < 5
    attacked.refuse_harm()
