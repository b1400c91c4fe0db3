"""Who is waited for, and for how long: connections that never finish a request are closed.

uvicorn closes connections that are idle between requests. One that sends a request byte by byte it
would keep for ever, and a few thousand of them are all that a process may have open.
"""

from __future__ import annotations

import logging
from collections.abc import Iterable
from typing import Any
from weakref import WeakKeyDictionary

_log = logging.getLogger(__name__)

HEAD_S = 20.0  # for the lines and headers of a request, from the first look on
BODY_S = 60.0  # for its body


class Patience:
    """Closes connections whose request has begun to arrive and does not end.

    Args:
        head_s: How long the head of a request may take, in seconds.
        body_s: How long its body may.
    """

    def __init__(self, *, head_s: float = HEAD_S, body_s: float = BODY_S) -> None:
        self._limits = {"head": head_s, "body": body_s}
        self._since: WeakKeyDictionary[Any, tuple[str, int, float]] = WeakKeyDictionary()

    def look(self, connections: Iterable[Any], now: float) -> int:
        """Close those that took too long; returns how many.

        Args:
            connections: Ours (`connection.Connection`), or uvicorn's own of httptools or h11.
            now: Seconds of a monotonic clock; look every few seconds.
        """
        late = [each for each in list(connections) if self._is_late(each, now)]
        for connection in late:
            self._since.pop(connection, None)
            connection.transport.abort()
        if late:
            _log.warning("%d connections were closed: their requests did not end", len(late))
        return len(late)

    def _is_late(self, connection: Any, now: float) -> bool:
        waits_for, request = _arriving(connection)
        if not waits_for:
            self._since.pop(connection, None)
            return False
        before = self._since.get(connection)
        if before is None or before[:2] != (waits_for, request):
            self._since[connection] = (waits_for, request, now)
            return False
        return now - before[2] > self._limits[waits_for]


def _arriving(connection: Any) -> tuple[str, int]:
    """What of a request has still to come: its "head", its "body", or nothing; and of which one."""
    told: tuple[str, int] | None = getattr(connection, "arriving", None)
    if told is not None:  # a connection of ours knows
        return told
    cycle = connection.cycle
    if cycle is not None and not cycle.response_complete:
        return ("body" if cycle.more_body else ""), id(cycle)
    is_idle = connection.timeout_keep_alive_task is not None  # uvicorn's own timer runs
    return ("" if is_idle else "head"), id(cycle)
