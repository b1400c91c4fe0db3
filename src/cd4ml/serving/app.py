"""The serving process as a raw ASGI application: predictions by several protocols, and pages."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from pathlib import Path

from cd4ml.errors import Cd4mlError
from cd4ml.records.settings import CaptureSettings
from cd4ml.serving.answering import Answering, Call, protocol_of
from cd4ml.serving.capture import Capture
from cd4ml.serving.guests import Guests
from cd4ml.serving.pages import page
from cd4ml.serving.protocols import Protocol
from cd4ml.serving.request import RequestRefused
from cd4ml.serving.shipping import Shipper
from cd4ml.serving.turns import Turns
from cd4ml.serving.watcher import Watcher
from cd4ml.serving.wire import ClientGone, Message, Receive, Send, read_request, send_response
from cd4ml.store.clock import Clock
from cd4ml.store.masking import Mask


class App:
    """One environment's answers over ASGI: to everybody, or to guests only.

    Args:
        watcher: Keeps the endpoint at the newest plan.
        clock: Says when an answer was given.
        segments: Folder of the worker's segments.
        worker: Its name.
        guests: Who may ask; None: everybody.
    """

    def __init__(
        self,
        watcher: Watcher,
        *,
        clock: Clock,
        segments: Path,
        worker: str,
        guests: Guests | None = None,
        settings: CaptureSettings | None = None,
        mask: Mask | None = None,
        shipper: Shipper | None = None,
    ) -> None:
        self.counts = watcher.counts
        self._watcher = watcher
        self._capture = Capture(
            segments,
            worker,
            self.counts,
            clock=clock,
            settings=settings,
            mask=mask or Mask(),
            shipper=shipper,
        )
        watcher.trouble = self._capture.trouble
        self.answering = Answering(watcher, clock, self._capture, guests)
        self._turns = Turns(self.answering)

    @property
    def is_shipping(self) -> bool:
        """Whether answers have to be sent somewhere before they leave."""
        return self._capture.is_shipping

    def count_in_flight(self, in_flight: Callable[[], int]) -> None:
        """Take from the server how many requests it has read and not answered.

        A request that is alone is then answered at once. Without it each waits for the end
        of the loop's turn, and for no longer.
        """
        self._turns = Turns(self.answering, in_flight)

    async def __call__(self, scope: Message, receive: Receive, send: Send) -> None:
        """Answer one request, or live through the server's life."""
        if scope["type"] == "lifespan":
            await self._live(receive, send)
            return
        protocol = protocol_of(scope["path"])
        try:
            if protocol is not None:
                await self._predict(protocol, scope, receive, send)
            else:
                await send_response(send, page(self._watcher, scope["method"], scope["path"]))
        except ClientGone:
            return
        except Exception as error:
            await send_response(send, self.answering.refusal(error).response)

    async def _predict(
        self, protocol: Protocol, scope: Message, receive: Receive, send: Send
    ) -> None:
        path = scope["path"]
        try:
            if scope["method"] != "POST":
                msg = f"expected a POST to {path[:100]}, got {scope['method']}"
                raise RequestRefused(405, msg, hint="POST the rows as JSON")
            endpoint = self.answering.endpoint_for(protocol, path, scope["headers"])
            request = await read_request(scope, receive)
            outcome = await self._turns.outcome(Call(protocol, path, request, endpoint))
            await self._capture.ship(outcome.lines)
        except Cd4mlError as error:
            outcome = self.answering.refusal(error)
        self.answering.left(outcome)  # only now: it will leave
        await send_response(send, outcome.response)
        self.answering.copy(outcome)

    async def _live(self, receive: Receive, send: Send) -> None:
        while True:
            message = await receive()
            if message["type"] == "lifespan.startup":
                self._capture.start()
                self.answering.shadows.start()
                self._watcher.start()
                await send({"type": "lifespan.startup.complete"})
            else:
                await asyncio.to_thread(self._end)
                await send({"type": "lifespan.shutdown.complete"})
                return

    def _end(self) -> None:
        self.answering.shadows.stop()
        self._capture.stop()
        self._watcher.stop()
