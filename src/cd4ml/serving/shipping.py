"""Sends answers to the blob store before they leave, many at once where many wait."""

from __future__ import annotations

import asyncio
import secrets
from typing import NamedTuple

from cd4ml.errors import Unavailable
from cd4ml.store.blobs import Blobs
from cd4ml.store.shipped import name_of

_SILENT = "the blob store does not answer"
_AWAY = "the blob store does not work"


class _Waiting(NamedTuple):
    lines: list[bytes]
    is_there: asyncio.Future[None]


class Shipper:
    """One worker's way to the blob store; used within one event loop.

    While one object is on its way, the lines of further requests gather for the next one: the
    throughput is not bounded by how long the store takes, each answer's latency is.

    Args:
        store: Where objects wait for a collector.
        patience_s: How long one may take; what took longer counts as not sent.
    """

    def __init__(self, store: Blobs, *, patience_s: float) -> None:
        self._store = store
        self._patience_s = patience_s
        self._token = secrets.token_hex(8)
        self._sequence = 0
        self._waiting: list[_Waiting] = []
        self._sending: asyncio.Task[None] | None = None

    async def ship(self, lines: list[bytes]) -> None:
        """Send lines; when this returns, they are in the blob store.

        Raises:
            Unavailable: If they may not be there.
        """
        waiting = _Waiting(lines, asyncio.get_running_loop().create_future())
        self._waiting.append(waiting)
        if self._sending is None:
            self._sending = asyncio.create_task(self._send_all())
        await waiting.is_there

    async def _send_all(self) -> None:
        while self._waiting:
            batch, self._waiting = self._waiting, []
            data = b"".join(line + b"\n" for each in batch for line in each.lines)
            # never the same name again: what failed may have arrived all the same
            self._sequence += 1
            try:
                await asyncio.wait_for(
                    self._store.create_soon(name_of(self._token, self._sequence), data),
                    self._patience_s,
                )
            except (Unavailable, TimeoutError) as error:
                self._fail(batch, error)
            else:
                for each in batch:
                    each.is_there.set_result(None)
        self._sending = None

    def _fail(self, batch: list[_Waiting], error: Exception) -> None:
        reason = error.message if isinstance(error, Unavailable) else _SILENT
        told = _AWAY if isinstance(error, Unavailable) else _SILENT
        for each in batch:
            each.is_there.set_exception(Unavailable(reason, discreet=told))

    def try_out(self) -> None:
        """Create an object that no collector takes for answers, and remove it; blocks.

        Raises:
            Unavailable: If the store does not take it.
        """
        name = f"tried/{self._token}-{secrets.token_hex(4)}"
        self._store.create(name, b"")
        self._store.remove(name)
