"""The serving process as a raw ASGI application: predictions by several protocols, and pages."""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Callable
from pathlib import Path
from time import perf_counter

from cd4ml.errors import Cd4mlError
from cd4ml.records.settings import CaptureSettings, PriceSettings
from cd4ml.serving.answering import Answering, Call, protocol_of
from cd4ml.serving.capture import Capture
from cd4ml.serving.guests import Guests
from cd4ml.serving.metering import Meter
from cd4ml.serving.pages import page
from cd4ml.serving.protocols import Protocol
from cd4ml.serving.request import RequestRefused
from cd4ml.serving.shipping import Shipper
from cd4ml.serving.tracing import Tracer
from cd4ml.serving.turns import Turns
from cd4ml.serving.watcher import Watcher
from cd4ml.serving.wire import ClientGone, Incoming, Message, Receive, Send, send_response
from cd4ml.store.clock import Clock
from cd4ml.store.masking import Mask

_log = logging.getLogger(__name__)

_WARM_S = 30.0  # that a process waits at most for its first plan before it says that it has none
_LOOK_S = 0.02


class App:
    """One environment's answers over ASGI: to everybody, or to guests only.

    Args:
        watcher: Keeps the endpoint at the newest plan.
        clock: Says when an answer was given.
        segments: Folder of the worker's segments.
        worker: Its name.
        guests: Who may ask; None: everybody.
        settings: What is kept of answers, and how.
        mask: What of requests is not written.
        shipper: Sends answers before they leave.
        prices: What an hour costs.
        n_workers: How many processes answer beside each other, this one too.
        tracer: Is told of every request.
        is_patient: Whether the server begins to accept only when the newest plan was loaded and
            tried, or could not be.
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
        prices: PriceSettings | None = None,
        n_workers: int = 1,
        tracer: Tracer | None = None,
        is_patient: bool = False,
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
        watcher.written = self._capture.written
        self.answering = Answering(watcher, clock, self._capture, guests, tracer)
        self._turns = Turns(self.answering)
        self._tracer = tracer
        self._is_patient = is_patient
        self._in_flight: Callable[[], int] = lambda: 0
        self._meter = Meter(
            self.counts,
            prices=prices or PriceSettings(),
            n_workers=n_workers,
            present=self._present,
        )

    @property
    def is_shipping(self) -> bool:
        """Whether answers have to be sent somewhere before they leave."""
        return self._capture.is_shipping

    @property
    def watcher(self) -> Watcher:
        """What keeps it at the newest plan."""
        return self._watcher

    def count_in_flight(self, in_flight: Callable[[], int]) -> None:
        """Take from the server how many requests it has read and not answered.

        A request that is alone is then answered at once. Without it each waits for the end
        of the loop's turn, and for no longer.
        """
        self._turns = Turns(self.answering, in_flight)
        self._in_flight = in_flight

    def drain(self) -> None:
        """Say from here on that this process is not ready, and let each answer end its connection."""
        self._watcher.is_draining = True

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
                if scope["path"] == "/metrics":
                    self._meter.look(self._watcher.endpoint)
                response = page(self._watcher, scope["method"], scope["path"])
                await send_response(send, response, is_last=self.answering.is_draining)
        except ClientGone:
            return
        except Exception as error:
            response = self.answering.refusal(error).response
            await send_response(send, response, is_last=self.answering.is_draining)

    async def _predict(
        self, protocol: Protocol, scope: Message, receive: Receive, send: Send
    ) -> None:
        began, path = perf_counter(), scope["path"]
        incoming = Incoming(scope, receive)
        try:
            if scope["method"] != "POST":
                msg = f"expected a POST to {path[:100]}, got {scope['method']}"
                raise RequestRefused(405, msg, hint="POST the rows as JSON")
            endpoint = self.answering.endpoint_for(protocol, path, scope["headers"])
            request = await incoming.whole()
            outcome = await self._turns.outcome(Call(protocol, path, request, endpoint))
            if outcome.given is not None:
                await self._capture.ship(outcome.lines, outcome.given)
        except Cd4mlError as error:
            outcome = self.answering.refusal(error)
            if self.answering.is_draining or incoming.is_last:
                await incoming.thrown_away()
        seconds = perf_counter() - began
        self.answering.left(outcome, seconds)  # only now: it will leave
        await send_response(send, outcome.response, is_last=self.answering.is_draining)
        if self._tracer is not None:
            self.answering.trace(outcome, seconds, scope["method"], path, scope["headers"])
        self.answering.copy(outcome)

    def _present(self) -> dict[str, float]:
        endpoint = self._watcher.endpoint
        return {
            "cd4ml_plan": 0 if endpoint is None else endpoint.plan.number,
            "cd4ml_requests_in_flight": self._in_flight(),
            "cd4ml_shadow_queue": self.answering.shadows.n_waiting,
            "cd4ml_capture_unsynced_seconds": self._capture.unsynced_s,
            "cd4ml_capture_lag_seconds": self._watcher.lag_s,
        }

    async def _live(self, receive: Receive, send: Send) -> None:
        while True:
            message = await receive()
            if message["type"] == "lifespan.startup":
                self._capture.start()
                self.answering.shadows.start()
                self._watcher.start()
                metering = asyncio.create_task(self._meter.run(lambda: self._watcher.endpoint))
                if self._is_patient:
                    await self._until_warm()
                await send({"type": "lifespan.startup.complete"})
            else:
                metering.cancel()
                await asyncio.to_thread(self._end)
                await send({"type": "lifespan.shutdown.complete"})
                return

    async def _until_warm(self) -> None:
        end = perf_counter() + _WARM_S
        watcher = self._watcher  # what the disk remembers is warm already
        while not (watcher.endpoint or watcher.has_looked.is_set() or watcher.is_draining):
            if perf_counter() > end:
                _log.warning("what is released could not be asked within %g s", _WARM_S)
                return
            await asyncio.sleep(_LOOK_S)

    def _end(self) -> None:
        self.answering.shadows.stop()
        self._capture.stop()
        self._watcher.stop()
        if self._tracer is not None:
            self._tracer.stop()
