"""Which of several workers takes a connection: the one that has the fewest.

They share one listening socket, so a connection that nobody has taken yet is lost by the death
of no worker. Left to the system, whoever wakes first takes all that wait: of 16 connections
that come at once one of two workers had 15. Sockets of their own (SO_REUSEPORT) spread them by
chance instead, and those that wait in a dead worker's are lost.
"""

from __future__ import annotations

import asyncio
import logging
import socket
from collections.abc import Callable
from typing import Any

from cd4ml.serving.board import Slot
from cd4ml.serving.listening import waiting_at

_log = logging.getLogger(__name__)

_PATIENCE_S = 0.001  # that a connection waits at most for a worker with fewer
_AT_ONCE = 8  # connections that are taken in one turn of the loop
_AGAIN_S = 0.1  # when no more connections can be had


class Connections(set[Any]):
    """The open connections of a worker, whose number the other workers see."""

    def __init__(self, slot: Slot) -> None:
        super().__init__()
        self.when_fewer: Callable[[], None] = lambda: None
        self._slot = slot
        self._n_coming = 0

    def comes(self, n: int) -> None:
        """Note so many that were accepted and are not open yet, or (below 0) no longer coming."""
        self._n_coming += n
        self._tell()

    def add(self, connection: Any) -> None:
        """Note that one was opened."""
        super().add(connection)
        self._tell()

    def discard(self, connection: Any) -> None:
        """Note that one was closed."""
        super().discard(connection)
        self._tell()
        self.when_fewer()

    def _tell(self) -> None:
        self._slot.n_connections = len(self) + self._n_coming


class Acceptor:
    """Takes connections from a socket that several workers share; used in one event loop.

    Args:
        listening: The socket.
        connections: This worker's.
        mine: Its slot of the board.
        others: Those of the others.
        protocol: Makes what answers a connection.
    """

    def __init__(
        self,
        listening: socket.socket,
        connections: Connections,
        *,
        mine: Slot,
        others: list[Slot],
        protocol: Callable[[], asyncio.Protocol],
    ) -> None:
        self._listening = listening
        self._connections = connections
        self._mine, self._others = mine, others
        self._protocol = protocol
        self._loop = asyncio.get_running_loop()
        self._has_waited = False
        self._waiting: asyncio.TimerHandle | None = None
        self._opening: set[asyncio.Task[None]] = set()

    def start(self) -> None:
        """Begin to accept."""
        self._listening.setblocking(False)
        self._mine.is_there = True
        self._connections.when_fewer = self._resume
        self._listen()

    async def stop(self) -> None:
        """Leave what comes from here on to the others; what came before is open afterwards."""
        self._mine.is_there = False
        self._connections.when_fewer = lambda: None
        self._loop.remove_reader(self._listening.fileno())
        if self._waiting is not None:
            self._waiting.cancel()
        for connection in waiting_at(self._listening):
            self._begin(connection)
        self._listening.close()
        if self._opening:
            await asyncio.wait(self._opening)

    def _listen(self) -> None:
        self._waiting = None
        self._loop.add_reader(self._listening.fileno(), self._take)

    def _pause(self, seconds: float) -> None:
        self._loop.remove_reader(self._listening.fileno())
        self._waiting = self._loop.call_later(seconds, self._listen)

    def _resume(self) -> None:
        if self._waiting is not None and not self._has_more_than_others():
            self._waiting.cancel()
            self._listen()

    def _take(self) -> None:
        for _ in range(_AT_ONCE):
            if not self._takes_one():
                return

    def _takes_one(self) -> bool:
        if not self._has_waited and self._has_more_than_others():
            self._has_waited = True
            self._pause(_PATIENCE_S)
            return False
        self._has_waited = False
        try:
            connection, _ = self._listening.accept()
        except (BlockingIOError, InterruptedError, ConnectionAbortedError):
            return False  # another worker was faster, or the caller has left
        except OSError as error:
            _log.error("no connection can be accepted: %s", error.strerror)
            self._pause(_AGAIN_S)
            return False
        self._begin(connection)
        return True

    def _begin(self, connection: socket.socket) -> None:
        self._connections.comes(1)
        task = self._loop.create_task(self._open(connection))
        self._opening.add(task)
        task.add_done_callback(self._opening.discard)

    async def _open(self, connection: socket.socket) -> None:
        try:
            connection.setblocking(False)
            connection.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
            await self._loop.connect_accepted_socket(self._protocol, connection)
        except OSError:
            connection.close()  # the caller has left
        finally:
            self._connections.comes(-1)

    def _has_more_than_others(self) -> bool:
        there = [slot.n_connections for slot in self._others if slot.is_there]
        return bool(there) and self._mine.n_connections > min(there)
