"""One attempt to tell somebody: a POST that follows no redirect and ends in time."""

from __future__ import annotations

import http.client
import socket
import ssl
import threading
from collections.abc import Mapping
from typing import NamedTuple
from urllib.parse import urlsplit

_GONE = 410
_MOST_READ = 64 * 1024  # bytes of an answer that nobody reads
_LONGEST = 200  # characters of a reason


class Attempt(NamedTuple):
    """How it ended: the HTTP status (0: no answer), and why it failed ("" if it did not)."""

    status: int
    error: str = ""
    wait_s: float | None = None  # what the receiver asked for before the next attempt

    @property
    def is_delivered(self) -> bool:
        """Whether the receiver has it."""
        return not self.error

    @property
    def is_final(self) -> bool:
        """Whether the receiver never wants to hear of it again."""
        return self.status == _GONE


def post(url: str, body: bytes, headers: Mapping[str, str], *, patience_s: float) -> Attempt:
    """Post a body once; whatever goes wrong is the attempt's error, never an exception.

    Redirects are not followed: what was signed for one address goes to no other.

    Args:
        url: `https://...` or `http://...`.
        body: JSON.
        headers: Beside those of every request.
        patience_s: How long all of it may take, however slowly the receiver drips.
    """
    parts = urlsplit(url)
    path = (parts.path or "/") + (f"?{parts.query}" if parts.query else "")
    connection = _connection(parts.scheme, parts.hostname or "", parts.port, patience_s)
    late = threading.Event()
    watchdog = threading.Timer(patience_s, _hang_up, (connection, late))
    watchdog.daemon = True
    watchdog.start()
    try:
        connection.request("POST", path, body, {"User-Agent": "cd4ml", **headers})
        answer = connection.getresponse()
        answer.read(_MOST_READ)
        return _attempt(answer.status, answer.headers.get("retry-after", ""))
    except (OSError, http.client.HTTPException, ValueError) as error:
        if late.is_set() or isinstance(error, TimeoutError):
            return Attempt(0, f"no answer within {patience_s:g} s")
        return Attempt(0, _words(error)[:_LONGEST])
    finally:
        watchdog.cancel()
        connection.close()


def _connection(
    scheme: str, host: str, port: int | None, patience_s: float
) -> http.client.HTTPConnection:
    if scheme == "https":
        context = ssl.create_default_context()
        return http.client.HTTPSConnection(host, port, timeout=patience_s, context=context)
    return http.client.HTTPConnection(host, port, timeout=patience_s)


def _hang_up(connection: http.client.HTTPConnection, late: threading.Event) -> None:
    """End a request that drips: the socket's own time limit begins anew with every byte."""
    late.set()
    if connection.sock is not None:
        try:
            connection.sock.shutdown(socket.SHUT_RDWR)
        except OSError:
            return  # it has ended already


def _attempt(status: int, retry_after: str) -> Attempt:
    if 200 <= status < 300:
        return Attempt(status)
    name = http.client.responses.get(status, "")
    words = f"HTTP {status} {name}".strip()
    if 300 <= status < 400:
        words += ", and redirects are not followed"
    return Attempt(status, words, _seconds(retry_after))


def _words(error: Exception) -> str:
    said = error.strerror if isinstance(error, OSError) else ""
    return said or f"{type(error).__name__}: {error}"


def _seconds(retry_after: str) -> float | None:
    """What `Retry-After` asks for, if it is a number of seconds; a date is left to the backoff."""
    return float(retry_after) if retry_after.isascii() and retry_after.isdigit() else None
