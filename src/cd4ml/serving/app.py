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

from cd4ml.errors import Cd4mlError, NotFound
from cd4ml.models.prediction_id import SEQUENCES, WORKERS, make
from cd4ml.records.settings import CaptureSettings
from cd4ml.serving.capture import Asked, Capture
from cd4ml.serving.endpoint import Answer, Endpoint, ModelFailed
from cd4ml.serving.guests import Guests
from cd4ml.serving.pages import asked_model, page
from cd4ml.serving.protocols import Answered, Protocol
from cd4ml.serving.protocols.invocations import INVOCATIONS
from cd4ml.serving.protocols.open_inference import INFER
from cd4ml.serving.protocols.own import PREDICT
from cd4ml.serving.request import RequestRefused
from cd4ml.serving.shadows import Shadows
from cd4ml.serving.shipping import Shipper
from cd4ml.serving.together import Together
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

_PROTOCOLS = {"/predict": PREDICT, "/invocations": INVOCATIONS}


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
        self._shadows = Shadows(self._capture, self.counts)
        self._worker = secrets.randbelow(WORKERS)
        self._sequence = 0

    @property
    def watcher(self) -> Watcher:
        """What keeps it at the newest plan."""
        return self._watcher

    def count_in_flight(self, in_flight: Callable[[], int]) -> None:
        """Take from the server how many requests it has read and not answered.

        A request that is alone is then answered at once. Without it each waits for the end
        of the loop's turn, and for no longer.
        """
        self._together = Together(in_flight)

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
        asked: list[Asked] = []
        try:
            endpoint = self._endpoint_for(scope)
            if protocol is INFER:
                asked_model(endpoint, scope["path"])
            request = await read_request(scope, receive)
            response, asked, answered = await self._answer(endpoint, protocol, request)
            await self._capture.ship()
            for answer in chain.from_iterable(answered):  # only now: the answers will leave
                self.counts.add(answer)
            if not endpoint.shadows:
                asked = []
        except NotFound as error:
            response = explained(404, error)
        except RequestRefused as refusal:
            asked = []
            response = explained(refusal.status, refusal, refusal.violations)
        except ModelFailed as failure:
            self.counts.add_failure(failure.arm)
            response = explained(500, failure)
        self.counts.requests[response.status] += 1
        await send_response(send, response)
        if asked:
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
            self.counts.unknown[name] += 1
        given = [
            Answered(one.prediction_id, answers[-1])
            for one, answers in zip(asked, answered, strict=True)
        ]
        return protocol.write(endpoint, request, given), asked, answered

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
                await send({"type": "lifespan.startup.complete"})
            else:
                await asyncio.to_thread(self._end)
                await send({"type": "lifespan.shutdown.complete"})
                return

    def _end(self) -> None:
        self._shadows.stop()
        self._capture.stop()
        self._watcher.stop()
