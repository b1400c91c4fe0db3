"""One attempt to tell somebody, whatever listens there."""

import socket
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager

import pytest

from cd4ml.engines.webhook.posting import post
from tests.loop.receiver import receiving


@contextmanager
def listening(answer: bytes, *, drips: bool = False) -> Iterator[str]:
    """A server of one request that answers with these bytes, whatever they are."""
    with socket.socket() as listener:
        listener.bind(("127.0.0.1", 0))
        listener.listen()

        def serve() -> None:
            with suppressed(), listener.accept()[0] as client:
                client.recv(65536)
                for i in range(len(answer)) if drips else [0]:
                    client.sendall(answer[i : i + 1] if drips else answer)
                    time.sleep(0.02 * drips)

        thread = threading.Thread(target=serve, daemon=True)
        thread.start()
        yield f"http://127.0.0.1:{listener.getsockname()[1]}/in?a=1"
        thread.join(5)


@contextmanager
def suppressed() -> Iterator[None]:
    try:
        yield
    except OSError:
        return  # the other side hung up, as it should


def test_what_is_taken_is_delivered() -> None:
    with receiving() as receiver:
        receiver.statuses = [204]
        attempt = post(receiver.url, b"{}", {"webhook-id": "entry_1"}, patience_s=5)

    assert (attempt.status, attempt.error, attempt.is_delivered) == (204, "", True)
    assert receiver.received[0].id == "entry_1"


@pytest.mark.alone
def test_a_server_that_drips_is_left_in_time() -> None:
    began = time.monotonic()

    with listening(b"HTTP/1.1 200 OK\r\n" + b"x-a: b\r\n" * 500, drips=True) as url:
        attempt = post(url, b"{}", {}, patience_s=0.2)

    assert (attempt.status, attempt.error) == (0, "no answer within 0.2 s")
    assert time.monotonic() - began < 3


@pytest.mark.parametrize("answer", [b"", b"SSH-2.0-OpenSSH\r\n", b"HTTP/1.1 oops\r\n\r\n"])
def test_what_is_no_answer_is_an_error(answer: bytes) -> None:
    with listening(answer) as url:
        attempt = post(url, b"{}", {}, patience_s=5)

    assert attempt.status == 0
    assert not attempt.is_delivered


def test_a_certificate_that_nobody_vouches_for_is_an_error() -> None:
    with listening(b"HTTP/1.1 200 OK\r\n\r\n") as url:
        attempt = post(url.replace("http://", "https://"), b"{}", {}, patience_s=5)

    assert (attempt.status, attempt.is_delivered) == (0, False)


def test_a_host_without_an_address_is_an_error() -> None:
    attempt = post("http://nowhere.invalid/in", b"{}", {}, patience_s=5)

    assert attempt.status == 0
    assert attempt.error
