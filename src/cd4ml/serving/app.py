"""The serving process as a raw ASGI application: predictions by several protocols, and pages.

The order of a prediction is the promise: read the endpoint once, check the rows, score
them, append them to the segment, answer. What could not be captured is not answered.
"""

from __future__ import annotations

import asyncio
import logging
import secrets
from collections.abc import Callable
from itertools import chain
from pathlib import Path
from time import perf_counter

from cd4ml.errors import Cd4mlError, NotFound
from cd4ml.models.prediction_id import SEQUENCES, WORKERS, make
from cd4ml.records.settings import CaptureSettings, PriceSettings
from cd4ml.serving.capture import Asked, Capture
from cd4ml.serving.endpoint import Answer, Endpoint, ModelFailed
from cd4ml.serving.guests import Guests
from cd4ml.serving.metering import Meter
from cd4ml.serving.pages import asked_model, page
from cd4ml.serving.protocols import Answered, Protocol
from cd4ml.serving.protocols.invocations import INVOCATIONS
from cd4ml.serving.protocols.open_inference import INFER
from cd4ml.serving.protocols.own import PREDICT
from cd4ml.serving.request import RequestRefused
from cd4ml.serving.shadows import Shadows
from cd4ml.serving.shipping import Shipper
from cd4ml.serving.together import Together
from cd4ml.serving.tracing import Tracer
from cd4ml.serving.watcher import Watcher
from cd4ml.serving.wire import (
    ClientGone,
    Message,
    Receive,
    Request,
    Response,
    Send,
    explained,
    read_request,
    send_response,
)
from cd4ml.store.clock import Clock
from cd4ml.store.masking import Mask

_log = logging.getLogger(__name__)

_WARM_S = 30.0  # that a process waits at most for its first plan before it says that it has none
_LOOK_S = 0.02
_PROTOCOLS = {"/predict": PREDICT, "/invocations": INVOCATIONS}


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
        self._together = Together()
        self._guests = guests
        self.counts = watcher.counts
        self._watcher = watcher
        self._clock = clock
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
        self._shadows = Shadows(self._capture, self.counts)
        self._tracer = tracer
        self._is_patient = is_patient
        self._in_flight: Callable[[], int] = lambda: 0
        self._meter = Meter(
            self.counts,
            prices=prices or PriceSettings(),
            n_workers=n_workers,
            present=self._present,
        )
        self._worker = secrets.randbelow(WORKERS)
        self._sequence = 0

    def count_in_flight(self, in_flight: Callable[[], int]) -> None:
        """Take from the server how many requests it has read and not answered.

        A request that is alone is then answered at once. Without it each waits for the end
        of the loop's turn, and for no longer.
        """
        self._together = Together(in_flight)
        self._in_flight = in_flight

    def drain(self) -> None:
        """Say from here on that this process is not ready."""
        self._watcher.is_draining = True

    async def __call__(self, scope: Message, receive: Receive, send: Send) -> None:
        """Answer one request, or live through the server's life."""
        if scope["type"] == "lifespan":
            await self._live(receive, send)
            return
        path = scope["path"]
        try:
            protocol = _PROTOCOLS.get(path)
            if protocol is None and path.startswith("/v2/models/") and path.endswith("/infer"):
                protocol = INFER
            if protocol is not None:
                await self._predict(protocol, scope, receive, send)
            else:
                if path == "/metrics":
                    self._meter.look(self._watcher.endpoint)
                await send_response(send, page(self._watcher, scope["method"], path))
        except ClientGone:
            return
        except Exception:  # a bug of ours: the caller still gets JSON
            _log.exception("%s %s failed", scope["method"], path)
            error = Cd4mlError("the server failed on this request", hint="its log has the reason")
            await send_response(send, explained(500, error))

    async def _predict(
        self, protocol: Protocol, scope: Message, receive: Receive, send: Send
    ) -> None:
        began = perf_counter()
        asked: list[Asked] = []
        answered: list[list[Answer]] = []
        try:
            endpoint = self._endpoint_for(scope)
            if protocol is INFER:
                asked_model(endpoint, scope["path"])
            request = await read_request(scope, receive)
            response, asked, answered = await self._answer(endpoint, protocol, request)
            await self._capture.ship()
            for answer in chain.from_iterable(answered):  # only now: the answers will leave
                self.counts.add(answer)
        except NotFound as error:
            response = explained(404, error)
        except RequestRefused as refusal:
            asked, answered = [], []
            response = explained(refusal.status, refusal, refusal.violations)
            if refusal.violations and self._watcher.endpoint is not None:
                names = self._watcher.endpoint.contract.contract.names
                self.counts.add_violations(refusal.violations, names)
        except ModelFailed as failure:
            self.counts.add_failure(failure.arm)
            response = explained(500, failure)
        self.counts.requests.add(response.status)
        await send_response(send, response)
        seconds = perf_counter() - began
        self.counts.add_request(answered, seconds)
        if self._tracer is not None:
            self._trace(scope, seconds, response.status, asked, answered)
        if asked and asked[0].endpoint.shadows:
            self._shadows.put(asked)

    def _endpoint_for(self, scope: Message) -> Endpoint:
        if scope["method"] != "POST":
            msg = f"expected a POST to {scope['path'][:100]}, got {scope['method']}"
            raise RequestRefused(405, msg, hint="POST the rows as JSON")
        if self._guests is not None:
            self._guests.refuse_strangers(scope["headers"])
        if self._watcher.endpoint is None:
            hint = "cd4ml release; then wait for GET /ready"
            raise RequestRefused(503, self._watcher.absence, hint=hint)
        return self._watcher.endpoint

    async def _answer(
        self, endpoint: Endpoint, protocol: Protocol, request: Request
    ) -> tuple[Response, list[Asked], list[list[Answer]]]:
        rows = protocol.read(endpoint, request)
        at, key, plan = self._clock.now(), request.key, endpoint.plan.number
        asked = [
            Asked(endpoint, make(at, plan, self._worker, self._next()), at, row, key)
            for row in rows
        ]
        keys = [key or one.prediction_id for one in asked]
        answered = await self._together.answers(endpoint, rows, keys)
        self._capture.record(asked, answered)
        for name in endpoint.reader.unknown_categories(rows):
            self.counts.unknown.add(name)
        given = [
            Answered(one.prediction_id, answers[-1])
            for one, answers in zip(asked, answered, strict=True)
        ]
        return protocol.write(endpoint, request, given), asked, answered

    def _trace(
        self,
        scope: Message,
        seconds: float,
        status: int,
        asked: list[Asked],
        answered: list[list[Answer]],
    ) -> None:
        assert self._tracer is not None
        ended_ns = int(self._clock.machine_time().timestamp() * 1e9)
        try:
            self._tracer.record(
                scope,
                ended_ns=ended_ns,
                seconds=seconds,
                status=status,
                asked=asked,
                answered=answered,
            )
        except Exception:  # the answer has left; a span is not worth its connection
            _log.exception("a request could not be traced")

    def _present(self) -> dict[str, float]:
        endpoint = self._watcher.endpoint
        return {
            "cd4ml_plan": 0 if endpoint is None else endpoint.plan.number,
            "cd4ml_requests_in_flight": self._in_flight(),
            "cd4ml_shadow_queue": self._shadows.n_waiting,
            "cd4ml_capture_unsynced_seconds": self._capture.unsynced_s,
            "cd4ml_capture_lag_seconds": self._watcher.lag_s,
        }

    def _next(self) -> int:
        self._sequence += 1
        if self._sequence == SEQUENCES:
            self._worker, self._sequence = secrets.randbelow(WORKERS), 0
        return self._sequence

    async def _live(self, receive: Receive, send: Send) -> None:
        while True:
            message = await receive()
            if message["type"] == "lifespan.startup":
                self._capture.start()
                self._shadows.start()
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
        self._shadows.stop()
        self._capture.stop()
        self._watcher.stop()
        if self._tracer is not None:
            self._tracer.stop()
