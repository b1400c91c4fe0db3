"""The serving process as a raw ASGI application: `POST /predict` and four small pages.

The order of a prediction is the promise: read the endpoint once, check the rows, score
them, append them to the segment, answer. What could not be captured is not answered.
"""

from __future__ import annotations

import asyncio
import logging
import secrets
from collections.abc import Awaitable, Callable, MutableMapping
from itertools import chain
from pathlib import Path
from typing import Any, NamedTuple

import msgspec

from cd4ml.errors import Cd4mlError, InvalidInput, NotFound, Unavailable
from cd4ml.models.prediction_id import SEQUENCES, WORKERS, make
from cd4ml.models.violations import Violation
from cd4ml.records.plan import Plan
from cd4ml.serving.capture import line
from cd4ml.serving.endpoint import Answer, Endpoint, ModelFailed
from cd4ml.serving.request import MAX_BYTES, MAX_ROWS, RequestRefused
from cd4ml.serving.shadows import Copy, Shadows
from cd4ml.serving.watcher import Watcher
from cd4ml.store.clock import Clock
from cd4ml.store.segments import Segment

Message = MutableMapping[str, Any]
Receive = Callable[[], Awaitable[Message]]
Send = Callable[[Message], Awaitable[None]]

_log = logging.getLogger(__name__)

_JSON = (b"content-type", b"application/json")
_TEXT = (b"content-type", b"text/plain; version=0.0.4")
_PAGES = ("/health", "/ready", "/contract", "/metrics")

_encode = msgspec.json.Encoder().encode


class Prediction(msgspec.Struct):
    """One element of an answer's `predictions`."""

    prediction_id: str
    score: float | None  # never None: a version that failed does not count
    model: str
    number: int
    artifact: str
    plan: int


class Response(NamedTuple):
    """What goes back to the caller."""

    status: int
    body: bytes
    kind: tuple[bytes, bytes] = _JSON


class ClientGone(Exception):
    """The caller left before the request was read."""


class App:
    """One environment's answers over ASGI."""

    def __init__(self, watcher: Watcher, *, clock: Clock, segments: Path, worker: str) -> None:
        self.counts = watcher.counts
        self._watcher = watcher
        self._clock = clock
        self._segment = Segment(segments, worker)
        self._shadows = Shadows(segments, worker, self.counts)
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
                await _send(send, self._page(scope["method"], path))
        except ClientGone:
            return
        except Exception:  # a bug of ours: the caller still gets JSON
            _log.exception("%s %s failed", scope["method"], path)
            error = Cd4mlError("the server failed on this request", hint="its log has the reason")
            await _send(send, _error(500, error))

    async def _predict(self, scope: Message, receive: Receive, send: Send) -> None:
        copies: list[Copy] = []
        try:
            endpoint = self._endpoint_for(scope)
            body, key = await _read(scope, receive)
            response, copies = self._answer(endpoint, body, key)
        except RequestRefused as refusal:
            response = _error(refusal.status, refusal, refusal.violations)
        except ModelFailed as failure:
            self.counts.add_failure(failure.arm)
            response = _error(500, failure)
        self.counts.requests[response.status] += 1
        await _send(send, response)
        if copies:
            self._shadows.put(copies)

    def _endpoint_for(self, scope: Message) -> Endpoint:
        if scope["method"] != "POST":
            msg = f"expected a POST to /predict, got {scope['method']}"
            raise RequestRefused(405, msg, hint="POST the rows as JSON")
        if self._watcher.endpoint is None:
            msg = f"nothing is released in {self._watcher.environment} yet"
            raise RequestRefused(503, msg, hint="cd4ml release; then wait for GET /ready")
        return self._watcher.endpoint

    def _answer(self, endpoint: Endpoint, body: bytes, key: str) -> tuple[Response, list[Copy]]:
        rows = endpoint.reader.read(body)
        at = self._clock.now()
        plan = endpoint.plan
        ids = [make(at, plan.number, self._worker, self._next()) for _ in rows]
        answered = endpoint.answers(rows, [key] * len(rows) if key else ids)
        self._capture(
            [
                line(prediction_id, at, plan, answer, row, key)
                for prediction_id, row, answers in zip(ids, rows, answered, strict=True)
                for answer in answers
            ]
        )
        for answer in chain.from_iterable(answered):
            self.counts.add(answer)
        predictions = [
            _prediction(prediction_id, plan, answers[-1])
            for prediction_id, answers in zip(ids, answered, strict=True)
        ]
        copies = (
            [Copy(endpoint, i, at, row, key) for i, row in zip(ids, rows, strict=True)]
            if endpoint.shadows
            else []
        )
        return Response(200, _encode({"predictions": predictions})), copies

    def _capture(self, lines: list[bytes]) -> None:
        try:
            for one in lines:
                self._segment.append(one)
        except OSError as error:
            _log.error("the answer could not be recorded: %s", error)
            msg = f"the answer could not be recorded, so it is not given: {error.strerror}"
            raise RequestRefused(503, msg, hint="make room on the server's disk") from None

    def _next(self) -> int:
        self._sequence += 1
        if self._sequence == SEQUENCES:
            self._worker, self._sequence = secrets.randbelow(WORKERS), 0
        return self._sequence

    def _page(self, method: str, path: str) -> Response:
        if path not in _PAGES:
            error = NotFound(f"nothing answers at {path[:100]}", hint=f"try {', '.join(_PAGES)}")
            return _error(404, error)
        if method != "GET":
            return _error(405, InvalidInput(f"expected a GET of {path}, got {method}"))
        if path == "/health":
            return Response(200, b'{"health":"ok"}')
        endpoint = self._watcher.endpoint
        if path == "/metrics":
            plan = 0 if endpoint is None else endpoint.plan.number
            return Response(200, self.counts.text(plan).encode(), _TEXT)
        if endpoint is None:
            return _error(
                503, Unavailable(f"nothing is released in {self._watcher.environment} yet")
            )
        content = _readiness(endpoint) if path == "/ready" else endpoint.contract.contract
        return Response(200, _encode(content))

    async def _live(self, receive: Receive, send: Send) -> None:
        while True:
            message = await receive()
            if message["type"] == "lifespan.startup":
                self._shadows.start()
                self._watcher.start()
                await send({"type": "lifespan.startup.complete"})
            else:
                await asyncio.to_thread(self._end)
                await send({"type": "lifespan.shutdown.complete"})
                return

    def _end(self) -> None:
        self._shadows.stop()
        self._segment.close()
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
        "environment": plan.environment,
        "model": plan.model,
        "plan": plan.number,
        "arms": arms,
    }


async def _read(scope: Message, receive: Receive) -> tuple[bytes, str]:
    """The body, and the caller's key ("" if it sent none); no more than MAX_BYTES is kept."""
    key, size = "", 0
    for name, value in scope["headers"]:
        if name == b"cd4ml-key":
            key = _text(value)
        elif name == b"content-length":
            _refuse_too_large(int(value))
    chunks = []
    while True:
        message = await receive()
        if message["type"] == "http.disconnect":
            raise ClientGone
        chunks.append(message.get("body", b""))
        size += len(chunks[-1])
        _refuse_too_large(size)
        if not message.get("more_body"):
            return b"".join(chunks), key


def _text(value: bytes) -> str:
    try:
        return value.decode()
    except UnicodeDecodeError:
        return value.decode("latin-1")  # what HTTP said before it recommended UTF-8


def _refuse_too_large(size: int) -> None:
    if size > MAX_BYTES:
        msg = f"the body is larger than {MAX_BYTES // 2**20} MB"
        raise RequestRefused(413, msg, hint=f"send at most {MAX_ROWS} rows in one request")


def _error(status: int, error: Cd4mlError, violations: tuple[Violation, ...] = ()) -> Response:
    content = {"error": error.message, "hint": error.hint, "violations": violations}
    return Response(status, _encode(content))


async def _send(send: Send, response: Response) -> None:
    headers = [response.kind, (b"content-length", b"%d" % len(response.body))]
    await send({"type": "http.response.start", "status": response.status, "headers": headers})
    await send({"type": "http.response.body", "body": response.body})
