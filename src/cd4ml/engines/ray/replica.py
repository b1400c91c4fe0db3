"""One replica of an endpoint: any ASGI application, and what a cluster needs to know of it."""

from __future__ import annotations

import asyncio
import logging
import time
from collections.abc import Awaitable, Callable, MutableMapping
from typing import Any, NamedTuple

import msgspec

from cd4ml.engines.ray.board import TELL_EVERY_S, Board
from cd4ml.engines.ray.connection import ray_module
from cd4ml.errors import Unavailable

_log = logging.getLogger(__name__)

Message = MutableMapping[str, Any]
Receive = Callable[[], Awaitable[Message]]
Send = Callable[[Message], Awaitable[None]]
Application = Callable[[Message, Receive, Send], Awaitable[None]]

_METRICS = "/metrics"
_SETTLE_S = 30.0  # for the first plan, before it answers that there is none
_LOOK_S = 0.05
_TEXT = (b"content-type", b"text/plain; version=0.0.4; charset=utf-8")
_JSON = (b"content-type", b"application/json")


class Answering(NamedTuple):
    """What a replica answers with."""

    app: Application
    is_settled: Callable[[], bool]  # whether it knows what to answer with
    is_well: Callable[[], bool]  # whether it will know of what comes


Build = Callable[[str], Answering]  # of the replica's name


class Ingress:
    """The application, with the counts of all replicas as its own.

    A replica takes no request before it has loaded what to answer with. If it cannot, it waits
    as long as another one answers; where there is none it begins to say why not.

    Args:
        answering: The application.
        board: Where the replicas meet.
        patience_s: How long it waits where there is no other one.
    """

    def __init__(
        self, answering: Answering, board: Board, *, patience_s: float = _SETTLE_S
    ) -> None:
        self._answering = answering
        self._board = board
        self._patience_s = patience_s
        self._telling: asyncio.Task[None] | None = None

    async def __call__(self, scope: Message, receive: Receive, send: Send) -> None:
        """Answer one request, or live through the replica's life."""
        if scope["type"] == "lifespan":
            await self._live(scope, receive, send)
        elif scope["path"] == _METRICS and scope["method"] == "GET":
            await self._count(send)
        else:
            await self._answering.app(scope, receive, send)

    async def refuse_sick(self) -> None:
        """Say that another process should do its work.

        Raises:
            Unavailable: If it would not hear of newer plans, or knows of none while others do.
        """
        if not self._answering.is_well():
            msg = "nothing in this replica looks for newer plans any more"
            raise Unavailable(msg)
        if not self._answering.is_settled() and await self._has_others():
            msg = "this replica has no plan, and others have one"
            raise Unavailable(msg)

    async def _live(self, scope: Message, receive: Receive, send: Send) -> None:
        async def say(message: Message) -> None:
            if message["type"] == "lifespan.startup.complete":
                await self._settle()
                self._telling = asyncio.create_task(self._keep_telling())
            elif message["type"] == "lifespan.shutdown.complete":
                await self._leave()
            await send(message)

        await self._answering.app(scope, receive, say)

    async def _settle(self) -> None:
        deadline = time.monotonic() + self._patience_s
        while not self._answering.is_settled():
            if time.monotonic() > deadline:
                if not await self._has_others():
                    return
                deadline = time.monotonic() + TELL_EVERY_S
            await asyncio.sleep(_LOOK_S)

    async def _has_others(self) -> bool:
        try:
            return await self._board.has_others()
        except _unreachable():
            return False

    async def _count(self, send: Send) -> None:
        try:
            await self._tell()
            status, kind, body = 200, _TEXT, (await self._board.counts()).encode()
        except _unreachable():
            status, kind, body = 503, _JSON, _unknown()
        headers = [kind, (b"content-length", b"%d" % len(body))]
        await send({"type": "http.response.start", "status": status, "headers": headers})
        await send({"type": "http.response.body", "body": body})

    async def _keep_telling(self) -> None:
        while True:
            try:
                await self._tell()
            except _unreachable():
                _log.warning("the counts of this replica could not be told")
            await asyncio.sleep(TELL_EVERY_S)

    async def _tell(self) -> None:
        text = await page(self._answering.app, _METRICS)
        await self._board.tell(text, is_settled=self._answering.is_settled())

    async def _leave(self) -> None:
        if self._telling is not None:
            self._telling.cancel()
        try:
            await self._board.leave(await page(self._answering.app, _METRICS))
        except _unreachable():
            _log.warning("the last counts of this replica could not be told")


class Replica:
    """What Ray Serve makes in each of the processes; the application is built there."""

    def __init__(self, build: Build, board: str) -> None:
        from ray import serve

        context = serve.get_replica_context()
        rank = context.rank.rank  # used again, unlike its id
        self._ingress = Ingress(build(f"/{rank}"), Board(board, context.replica_tag))

    def __serve_build_asgi_app__(self) -> Ingress:
        return self._ingress

    async def check_health(self) -> None:
        """Is asked by Ray every few seconds; whoever fails three times is replaced."""
        await self._ingress.refuse_sick()


async def page(app: Application, path: str) -> str:
    """What an application answers to a GET."""
    sent: list[bytes] = []

    async def receive() -> Message:
        return {"type": "http.request", "body": b"", "more_body": False}

    async def send(message: Message) -> None:
        sent.append(message.get("body", b""))

    scope = {"type": "http", "method": "GET", "path": path, "headers": [], "query_string": b""}
    await app(scope, receive, send)
    return b"".join(sent).decode()


def _unknown() -> bytes:
    return msgspec.json.encode(
        {
            "error": "the counts of the other replicas cannot be had",
            "hint": "ask again; is the cluster's head node there?",
            "violations": [],
        }
    )


def _unreachable() -> tuple[type[Exception], ...]:
    return (TimeoutError, ray_module().exceptions.RayError)
