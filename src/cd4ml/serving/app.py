"""The serving process as a raw ASGI application: `POST /predict` and four small pages.

The order of a prediction is the promise: read the endpoint once, check the rows, score
them, append them to the segment, answer. What could not be captured is not answered.
"""

from __future__ import annotations

import asyncio
import logging
import os
import secrets
from itertools import chain
from pathlib import Path
from typing import Any

import msgspec

from cd4ml.errors import Cd4mlError, InvalidInput, NotFound, Unavailable
from cd4ml.models.prediction_id import SEQUENCES, WORKERS, make
from cd4ml.records.plan import Plan
from cd4ml.records.settings import CaptureSettings
from cd4ml.serving.capture import Asked, Capture
from cd4ml.serving.endpoint import Answer, Endpoint, ModelFailed
from cd4ml.serving.guests import Guests
from cd4ml.serving.request import RequestRefused
from cd4ml.serving.shadows import Shadows
from cd4ml.serving.shipping import Shipper
from cd4ml.serving.watcher import Watcher
from cd4ml.serving.wire import (
    TEXT,
    ClientGone,
    Message,
    Receive,
    Response,
    Send,
    explained,
    in_json,
    read_request,
    send_response,
)
from cd4ml.store.clock import Clock
from cd4ml.store.masking import Mask

_log = logging.getLogger(__name__)

_PAGES = ("/health", "/ready", "/contract", "/metrics")


class Prediction(msgspec.Struct):
    """One element of an answer's `predictions`."""

    prediction_id: str
    score: float | None  # never None: a version that failed does not count
    model: str
    number: int
    artifact: str
    plan: int


class App:
    """One environment's answers over ASGI: to everybody, or to guests only."""

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

    async def __call__(self, scope: Message, receive: Receive, send: Send) -> None:
        """Answer one request, or live through the server's life."""
        if scope["type"] == "lifespan":
            await self._live(receive, send)
            return
        path = scope["path"]
        try:
            if path == "/predict":
                await self._predict(scope, receive, send)
            else:
                await send_response(send, self._page(scope["method"], path))
        except ClientGone:
            return
        except Exception:  # a bug of ours: the caller still gets JSON
            _log.exception("%s %s failed", scope["method"], path)
            error = Cd4mlError("the server failed on this request", hint="its log has the reason")
            await send_response(send, explained(500, error))

    async def _predict(self, scope: Message, receive: Receive, send: Send) -> None:
        asked: list[Asked] = []
        try:
            endpoint = self._endpoint_for(scope)
            body, key = await read_request(scope, receive)
            response, asked, answered = self._answer(endpoint, body, key)
            await self._capture.ship()
            for answer in chain.from_iterable(answered):  # only now: the answers will leave
                self.counts.add(answer)
            if not endpoint.shadows:
                asked = []
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
            msg = f"expected a POST to /predict, got {scope['method']}"
            raise RequestRefused(405, msg, hint="POST the rows as JSON")
        if self._guests is not None:
            self._guests.refuse_strangers(scope["headers"])
        if self._watcher.endpoint is None:
            hint = "cd4ml release; then wait for GET /ready"
            raise RequestRefused(503, self._watcher.absence, hint=hint)
        return self._watcher.endpoint

    def _answer(
        self, endpoint: Endpoint, body: bytes, key: str
    ) -> tuple[Response, list[Asked], list[list[Answer]]]:
        rows = endpoint.reader.read(body)
        at = self._clock.now()
        plan = endpoint.plan
        asked = [
            Asked(endpoint, make(at, plan.number, self._worker, self._next()), at, row, key)
            for row in rows
        ]
        answered = endpoint.answers(rows, [key or one.prediction_id for one in asked])
        self._capture.record(asked, answered)
        predictions = [
            _prediction(one.prediction_id, plan, answers[-1])
            for one, answers in zip(asked, answered, strict=True)
        ]
        return in_json({"predictions": predictions}), asked, answered

    def _next(self) -> int:
        self._sequence += 1
        if self._sequence == SEQUENCES:
            self._worker, self._sequence = secrets.randbelow(WORKERS), 0
        return self._sequence

    def _page(self, method: str, path: str) -> Response:
        if path not in _PAGES:
            error = NotFound(f"nothing answers at {path[:100]}", hint=f"try {', '.join(_PAGES)}")
            return explained(404, error)
        if method != "GET":
            return explained(405, InvalidInput(f"expected a GET of {path}, got {method}"))
        if path == "/health":
            return Response(200, b'{"health":"ok"}')
        endpoint = self._watcher.endpoint
        if path == "/metrics":
            plan = 0 if endpoint is None else endpoint.plan.number
            return Response(200, self.counts.text(plan).encode(), TEXT)
        if endpoint is None:
            return explained(503, Unavailable(self._watcher.absence))
        content = _readiness(endpoint) if path == "/ready" else endpoint.contract.contract
        return in_json(content)

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


def _prediction(prediction_id: str, plan: Plan, answer: Answer) -> Prediction:
    arm = answer.version.arm
    return Prediction(prediction_id, answer.score, arm.model, arm.number, arm.artifact, plan.number)


def _readiness(endpoint: Endpoint) -> dict[str, Any]:
    plan = endpoint.plan
    arms = [
        msgspec.to_builtins(arm) | {"kind": endpoint.runtimes[arm.artifact].kind}
        for arm in plan.arms
    ]
    return {
        "process": os.getpid(),
        "environment": plan.environment,
        "model": plan.model,
        "plan": plan.number,
        "arms": arms,
    }
