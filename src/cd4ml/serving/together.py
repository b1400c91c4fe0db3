"""Rows of several requests scored in one call: those that arrive in one turn of the event loop.

A call of a compiled model costs 15 us for one row and 30 us for sixteen. What a busy server
reads from its connections in one turn is there already, so nobody waits for it; waiting for
more would cost a quiet server half of its requests and is not done.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from typing import NamedTuple

from cd4ml.serving.endpoint import Answer, Endpoint
from cd4ml.serving.request import Row

_FEW = 64  # rows: a request with more gains nothing, and would keep the others waiting

Answers = list[list[Answer]]


class _Waiting(NamedTuple):
    """A request whose rows are scored at the end of the turn."""

    endpoint: Endpoint
    rows: list[Row]
    keys: list[str]
    answered: asyncio.Future[Answers]


class Together:
    """Scores what arrives in one turn of the event loop together; used in one loop's thread.

    Each request is answered by the endpoint that it took, and fails only by its own rows.

    Args:
        in_flight: How many requests the server has read and not answered; while it is one,
            nobody is waited for. By default it is unknown, and everybody is.
    """

    def __init__(self, in_flight: Callable[[], int] = lambda: 2) -> None:
        self._in_flight = in_flight
        self._waiting: list[_Waiting] = []

    async def answers(self, endpoint: Endpoint, rows: list[Row], keys: list[str]) -> Answers:
        """The answers to each row, as `Endpoint.answers` gives them.

        Raises:
            ModelFailed: If the champion fails on one of these rows.
        """
        if len(rows) > _FEW or (not self._waiting and self._in_flight() <= 1):
            return endpoint.answers(rows, keys)
        loop = asyncio.get_running_loop()
        if not self._waiting:
            loop.call_soon(self._answer_all)
        waiting = _Waiting(endpoint, rows, keys, loop.create_future())
        self._waiting.append(waiting)
        return await waiting.answered

    def _answer_all(self) -> None:
        waiting, self._waiting = self._waiting, []
        first = waiting[0].endpoint
        if all(each.endpoint is first for each in waiting):
            _answer(first, waiting)
            return
        for endpoint in {id(each.endpoint): each.endpoint for each in waiting}.values():
            _answer(endpoint, [each for each in waiting if each.endpoint is endpoint])


def _answer(endpoint: Endpoint, waiting: list[_Waiting]) -> None:
    rows = [row for each in waiting for row in each.rows]
    keys = [key for each in waiting for key in each.keys]
    try:
        answers = endpoint.answers(rows, keys)
    except Exception:  # one request's rows must not fail the others
        for each in waiting:
            _answer_alone(endpoint, each)
        return
    begin = 0
    for each in waiting:
        end = begin + len(each.rows)
        if not each.answered.done():  # cancelled, when the server is told to end
            each.answered.set_result(answers[begin:end])
        begin = end


def _answer_alone(endpoint: Endpoint, waiting: _Waiting) -> None:
    if waiting.answered.done():
        return
    try:
        waiting.answered.set_result(endpoint.answers(waiting.rows, waiting.keys))
    except Exception as failure:  # of the model, or of ours: the request that meets it says so
        waiting.answered.set_exception(failure)
