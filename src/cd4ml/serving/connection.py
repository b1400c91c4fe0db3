"""What every connection of a server does besides uvicorn's: heads have an end, refusals are JSON."""

from __future__ import annotations

import re
from typing import Any

from uvicorn.protocols.http.httptools_impl import STATUS_LINE, HttpToolsProtocol

from cd4ml.errors import Cd4mlError
from cd4ml.serving.wire import Response, explained

MOST_HEAD = 64 * 2**10  # bytes of a request's line and headers

_UPGRADE = re.compile(rb"\r\nupgrade:[^\r\n]*", re.IGNORECASE)


class Connection(HttpToolsProtocol):
    """One connection.

    A head that grows for ever would cost the square of its length. A wish for another protocol
    (`Upgrade: h2c`, of Java's client and `curl --http2`) is not heard, as RFC 9110 (7.8) lets a
    server do: the parser would take the body for that protocol's.
    """

    def __init__(self, *given: Any, **named: Any) -> None:
        super().__init__(*given, **named)
        self._is_between = True  # requests: no part of one has come
        self._is_head = False  # the head of one is arriving
        self._n_begun = 0  # requests
        self._n_head = 0  # bytes of the head that came after its first ones

    def data_received(self, data: bytes) -> None:
        """Take what came."""
        if self._is_between:
            data = without_upgrade(data)
        n_begun = self._n_begun
        super().data_received(data)
        if self._is_head and self._n_begun == n_begun:
            self._n_head += len(data)
            if self._n_head > MOST_HEAD and not self.transport.is_closing():
                msg = f"the request's line and headers are larger than {MOST_HEAD // 2**10} kB"
                self._refuse(431, Cd4mlError(msg, hint="what is to be scored belongs in the body"))

    def on_message_begin(self) -> None:
        """Note that a request begins."""
        self._begin()
        super().on_message_begin()

    def on_headers_complete(self) -> None:
        """Note that its head is here."""
        self._is_head = False
        super().on_headers_complete()

    def on_message_complete(self) -> None:
        """Note that all of it is here."""
        self._is_between = True
        super().on_message_complete()

    @property
    def arriving(self) -> tuple[str, int]:
        """What of a request has still to come ("head", "body", "" for nothing), and of which one."""
        if self._is_between:
            return ("" if self._n_begun else "head"), self._n_begun
        return ("head" if self._is_head else "body"), self._n_begun

    def send_400_response(self, msg: str) -> None:
        """Refuse what is no HTTP."""
        hint = "HTTP/1.1, as curl and every client library speak it"
        self._refuse(400, Cd4mlError(msg.rstrip("."), hint=hint))

    def _begin(self) -> None:
        self._is_between, self._is_head = False, True
        self._n_begun += 1
        self._n_head = 0

    def _refuse(self, status: int, error: Cd4mlError) -> None:
        self.transport.write(whole(explained(status, error), self._date(), is_last=True))
        self.transport.close()

    def _date(self) -> bytes:
        return b"".join(b"%b: %b\r\n" % pair for pair in self.server_state.default_headers)


def without_upgrade(data: bytes) -> bytes:
    r"""What came, whose head asks for no other protocol.

    Examples:
        >>> without_upgrade(b"GET / HTTP/1.1\r\nUpgrade: h2c\r\nhost: x\r\n\r\n")
        b'GET / HTTP/1.1\r\nhost: x\r\n\r\n'
    """
    end = data.find(b"\r\n\r\n")
    if end < 0 or b"\nupgrade:" not in data[:end].lower():
        return data
    return _UPGRADE.sub(b"", data[:end]) + data[end:]


def whole(response: Response, date: bytes, *, is_last: bool) -> bytes:
    """A response as it goes over the wire."""
    body, (name, kind), more = response.body, response.kind, response.more
    others = b"".join(b"%b: %b\r\n" % pair for pair in more) if more else b""
    end = b"connection: close\r\n" if is_last else b""
    return b"%b%b%b: %b\r\ncontent-length: %d\r\n%b%b\r\n%b" % (
        STATUS_LINE[response.status],
        date,
        name,
        kind,
        len(body),
        others,
        end,
        body,
    )
