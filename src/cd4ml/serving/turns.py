"""Requests of one turn of the event loop are answered at its end, all together.

A large one is scored in a thread of its own meanwhile, so that small ones need not wait for it, and
so is every one while a model that answers is slow: then all but predictions go on.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor

from cd4ml.serving.answering import Answering, Call, Outcome
from cd4ml.serving.together import answers_to

LARGE = 32 * 2**10  # bytes of a body: some hundred rows, and a millisecond of a model


class Turns:
    """Gathers what ASGI brings in one turn of the event loop; used in one loop's thread.

    Args:
        answering: Answers what was gathered.
        in_flight: How many requests the server has read and not answered; while it is one,
            nobody is waited for. By default it is unknown, and everybody is.
    """

    def __init__(self, answering: Answering, in_flight: Callable[[], int] = lambda: 2) -> None:
        self._answering = answering
        self._in_flight = in_flight
        self._aside_thread = ThreadPoolExecutor(1, thread_name_prefix="large")
        self._waiting: list[tuple[Call, asyncio.Future[Outcome]]] = []

    async def outcome(self, call: Call) -> Outcome:
        """What becomes of a request."""
        if len(call.request.body) > LARGE or not self._answering.is_quick:
            return await self._aside(call)
        if not self._waiting and self._in_flight() <= 1:
            return self._answering.outcomes([call])[0]
        loop = asyncio.get_running_loop()
        if not self._waiting:
            loop.call_soon(self._answer_all)
        answered: asyncio.Future[Outcome] = loop.create_future()
        self._waiting.append((call, answered))
        return await answered

    async def _aside(self, call: Call) -> Outcome:
        begun = self._answering.begin(call, self._answering.now_us())
        if isinstance(begun, Outcome):
            return begun
        loop = asyncio.get_running_loop()
        answered = await loop.run_in_executor(self._aside_thread, answers_to, [begun])
        return self._answering.finish([begun], answered)[0]

    def _answer_all(self) -> None:
        waiting, self._waiting = self._waiting, []
        outcomes = self._answering.outcomes([call for call, _ in waiting])
        for (_, answered), outcome in zip(waiting, outcomes, strict=True):
            if not answered.done():  # cancelled, when the server is told to end
                answered.set_result(outcome)
