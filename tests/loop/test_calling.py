"""Asking a serving process: what it says, and that it says nothing."""

import os
import shutil
import socket
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager

import pytest

from cd4ml.loop.gathering.calling import Caller, _memory_now_mb, _peak_memory_mb
from cd4ml.models.behaviour.asking import AnswerFailed, RowsRefused


@contextmanager
def server(*replies: bytes) -> Iterator[str]:
    """A server that gives each connection one reply, or none at all; its address."""
    with socket.create_server(("127.0.0.1", 0)) as listening:
        held: list[socket.socket] = []

        def answer() -> None:
            for reply in replies:
                try:
                    connection, _ = listening.accept()
                except OSError:  # nobody came, and the test is over
                    return
                held.append(connection)
                if reply:
                    connection.recv(65536)
                    connection.sendall(reply)
                    connection.close()

        thread = threading.Thread(target=answer, daemon=True)
        thread.start()
        yield f"http://127.0.0.1:{listening.getsockname()[1]}"
        listening.shutdown(socket.SHUT_RDWR)  # wakes it
        thread.join()
        for each in held:
            each.close()


def reply(status: str, body: str) -> bytes:
    head = f"HTTP/1.1 {status}\r\ncontent-length: {len(body)}\r\nconnection: close"
    return f"{head}\r\n\r\n{body}".encode()


@pytest.mark.alone
def test_who_hangs_is_not_asked_again() -> None:
    with server(b"", b"") as address, Caller(address, timeout_s=0.2) as caller:
        began = time.monotonic()

        for _ in range(50):
            with pytest.raises(AnswerFailed, match=r"no answer within 0\.2 s"):
                caller.ask([{"x": 1}])

    assert time.monotonic() - began < 2


def test_a_refusal_and_a_failure_are_told_apart() -> None:
    refused = '{"error": "no", "violations": [{"path": "$.x", "expected": "a number"}]}'
    replies = (reply("422 no", refused), reply("500 no", '{"error": "broken"}'))
    with server(*replies) as address, Caller(address) as caller:
        with pytest.raises(RowsRefused) as refusal:
            caller.ask([{"x": 1}])
        with pytest.raises(AnswerFailed) as failure:
            caller.ask([{"x": 1}])

    assert str(refusal.value) == "refused with 422: no: $.x expected a number"
    assert str(failure.value) == "failed with 500: broken"


def test_what_is_no_answer_is_a_failure() -> None:
    no_json = pytest.raises(AnswerFailed, match="no answer: DecodeError")
    with server(reply("200 OK", "<html>")) as address, Caller(address) as caller, no_json:
        caller.ask([{"x": 1}])

    with Caller(address) as caller, pytest.raises(AnswerFailed, match="no answer: ConnectionRef"):
        caller.ask([{"x": 1}])


@pytest.mark.skipif(shutil.which("ps") is None, reason="the system has no ps")
def test_memory_is_told_where_the_system_keeps_no_peak() -> None:
    now, peak = _memory_now_mb(os.getpid()), _peak_memory_mb(os.getpid())

    assert now is not None
    assert peak is not None
    assert 10 < now <= peak * 1.01


def test_the_memory_of_a_process_that_has_ended_cannot_be_told() -> None:
    assert _peak_memory_mb(2**22 + 1) is None  # no system gives out such a number
