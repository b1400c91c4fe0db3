"""One file over HTTP: with a time limit, a length limit, and a second and third attempt."""

from __future__ import annotations

import http.client
import ipaddress
import time
import urllib.error
import urllib.request
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from email.message import Message
from pathlib import Path
from typing import IO, Any, NamedTuple
from urllib.parse import urljoin, urlsplit

from cd4ml.errors import Cd4mlError, InvalidInput, NotFound, Unavailable

_CHUNK = 256 * 1024  # bytes
_MOST_REDIRECTS = 5
_REDIRECTS = (301, 302, 303, 307, 308)
_PASSING = (408, 425, 429, 500, 502, 503, 504)  # what the next attempt may not meet
_SECRET = ("authorization", "cookie", "proxy-authorization")


class Limits(NamedTuple):
    """How much and how long is waited for, and whether over an open connection."""

    at_most: int  # bytes
    is_plain_allowed: bool = False
    silence_s: float = 30.0
    whole_s: float = 600.0
    waits_s: tuple[float, ...] = (1.0, 3.0)  # before the second attempt, the third, ...


class Answer(NamedTuple):
    """What came: headers by name in small letters, and the addresses on the way."""

    headers: dict[str, str]
    urls: tuple[str, ...]


class _Passing(Exception):
    """Something went wrong that may go right the next time."""


def fetch(
    url: str, target: Path, *, headers: Mapping[str, str], limits: Limits, what: str
) -> Answer | None:
    """Fetch a file into `target`; None if the server says that it has not changed.

    Args:
        url: `https://...`; `http://...` on this machine, or where that is allowed.
        target: Takes the bytes.
        headers: To send; what is secret in them goes to no other host.
        limits: On length and time.
        what: The source, for messages.

    Raises:
        NotFound: If there is nothing at the address (404, 410).
        InvalidInput: If it is refused, too long, or redirects without end.
        Unavailable: If it fails again and again.
    """
    for wait_s in (*limits.waits_s, None):
        try:
            return _attempt(url, target, headers, limits, what)
        except _Passing as error:
            if wait_s is None:
                tries = len(limits.waits_s) + 1
                msg = f"{what} does not answer as it should, in {tries} attempts: {error}"
                raise Unavailable(msg, hint="is the server well, and the address right?") from None
            time.sleep(wait_s)
    raise AssertionError  # the last attempt returns or raises


def _attempt(
    url: str, target: Path, headers: Mapping[str, str], limits: Limits, what: str
) -> Answer | None:
    urls = [url]
    sent = {"Accept-Encoding": "identity", "User-Agent": "cd4ml", **headers}
    while True:
        _refuse_unless_safe(urls[-1], limits, what)
        with _opened(urls[-1], sent, limits, what) as (status, found, stream):
            if status == 304:
                return None
            if status not in _REDIRECTS:
                _refuse_status(status, what)
                _receive(stream, found, target, limits, what)
                return Answer({k.lower(): v for k, v in found.items()}, tuple(urls))
            place = found.get("location", "")
        following = urljoin(urls[-1], place)
        if not place or following in urls or len(urls) > _MOST_REDIRECTS:
            msg = f"{what}: it redirects without end ({len(urls)} times)"
            raise InvalidInput(msg, hint="correct `url`: the address of the data themselves")
        if _is_here(_host(following)) and not _is_here(_host(urls[-1])):
            msg = f"{what}: another machine redirects to this one"
            raise InvalidInput(msg, hint="name the address on this machine in `url` if it is meant")
        if urlsplit(following)[:2] != urlsplit(urls[-1])[:2]:
            sent = {k: v for k, v in sent.items() if k.lower() not in _secret_names(headers)}
        urls.append(following)


def _secret_names(headers: Mapping[str, str]) -> set[str]:
    """Headers that are for the host they were written for: those of the project."""
    conditions = ("if-none-match", "if-modified-since")
    return {*_SECRET, *(name.lower() for name in headers if name.lower() not in conditions)}


def _refuse_unless_safe(url: str, limits: Limits, what: str) -> None:
    parts = urlsplit(url)
    if parts.scheme not in ("http", "https") or not parts.hostname:
        msg = f"{what}: expected an address that begins with https://"
        raise InvalidInput(msg, hint=f"got {parts.scheme or 'none'}://")
    if "@" in parts.netloc:
        msg = f"{what}: it leads to an address with a user and password in it"
        raise InvalidInput(msg, hint="say who asks in `headers`, with env:NAME for what is secret")
    is_open = parts.scheme == "http" and not _is_here(parts.hostname)
    if is_open and not limits.is_plain_allowed:
        msg = f"{what}: http:// lets everybody on the way read and change the rows"
        raise InvalidInput(msg, hint="use https://, or say plain_http = true")


def _host(url: str) -> str:
    return urlsplit(url).hostname or ""


def _is_here(host: str) -> bool:
    if host == "localhost":
        return True
    try:
        return ipaddress.ip_address(host).is_loopback
    except ValueError:
        return False


class _NoRedirects(urllib.request.HTTPRedirectHandler):
    def redirect_request(self, *_: Any) -> None:
        """None: each step is looked at here."""


@contextmanager
def _opened(
    url: str, headers: Mapping[str, str], limits: Limits, what: str
) -> Iterator[tuple[int, Message, Any]]:
    request = urllib.request.Request(url, headers=dict(headers))
    opener = urllib.request.build_opener(_NoRedirects)
    try:
        with opener.open(request, timeout=limits.silence_s) as response:
            yield response.status, response.headers, response
    except urllib.error.HTTPError as error:
        with error:
            yield error.code, error.headers, error
    except (urllib.error.URLError, http.client.HTTPException, OSError) as error:
        reason = getattr(error, "reason", None) or error
        raise _Passing(str(reason) or type(error).__name__) from None
    except ValueError as error:  # a header or address that cannot be sent
        raise InvalidInput(f"{what}: {error}") from None


def _refuse_status(status: int, what: str) -> None:
    if 200 <= status < 300 and status != 206:
        return
    if status in _PASSING:
        words = f"HTTP {status} {http.client.responses.get(status, '')}".strip()
        raise _Passing(words)
    words = f"{status} {http.client.responses.get(status, '')}".strip()
    kind: type[Cd4mlError] = NotFound if status in (404, 410) else InvalidInput
    hint = "correct `url`, or `headers` if it wants to know who asks"
    raise kind(f"{what}: the server answers {words}", hint=hint)


def _receive(stream: Any, headers: Message, target: Path, limits: Limits, what: str) -> None:
    """Write the body to a file, whole."""
    expected = _length(headers)
    _refuse_longer(expected or 0, limits, what)
    if headers.get("content-encoding", "identity").lower() not in ("identity", ""):
        msg = f"{what}: it answers in {headers['content-encoding']}, which was not asked for"
        raise InvalidInput(msg, hint="have the server send the file as it is")
    end = time.monotonic() + limits.whole_s
    received = 0
    with target.open("wb") as file:
        # read1: what is there, so that a server that drips is seen
        while chunk := stream.read1(_CHUNK):
            received += _written(file, chunk, what)
            _refuse_longer(received, limits, what)
            if time.monotonic() > end:
                raise _Passing(f"it takes longer than {limits.whole_s:g} s")
    if expected is not None and received != expected:
        raise _Passing(f"it ends after {received:,} of {expected:,} bytes")


def _written(file: IO[bytes], chunk: bytes, what: str) -> int:
    try:
        return file.write(chunk)
    except OSError as error:  # of this machine, not of the server
        msg = f"{what} cannot be kept: {error.strerror or error}"
        raise Unavailable(msg, hint="is there room?") from None


def _length(headers: Message) -> int | None:
    text = headers.get("content-length", "")
    return int(text) if text.isascii() and text.isdigit() else None


def _refuse_longer(length: int, limits: Limits, what: str) -> None:
    if length > limits.at_most:
        msg = f"{what}: the answer is longer than {limits.at_most / 1e6:g} MB"
        raise InvalidInput(msg, hint="at_most_mb in cd4ml.toml raises the limit")
