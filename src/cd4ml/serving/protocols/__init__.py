"""The ways to ask an endpoint: what a request's bytes mean, and how an answer is written.

All of them end in the same rows, which keep the same contract, and carry prediction ids.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import NamedTuple

import msgspec

from cd4ml.serving.answers import Score, Version
from cd4ml.serving.beside import Beside
from cd4ml.serving.endpoint import Endpoint
from cd4ml.serving.request import Row
from cd4ml.serving.wire import Request, Response


class Answered(msgspec.Struct, frozen=True, gc=False):
    """The rows of a request, in their order: their ids, whose answers count, and which these are."""

    ids: Sequence[str]
    versions: Sequence[Version]
    scores: Sequence[Score]


class Protocol(NamedTuple):
    """How rows are read from a request and answers written, each for one endpoint.

    `read` raises `RequestRefused` with all that is wrong with the rows. `asks` says whether a
    request that was read asks for contributions, in a way of its own beside the query.
    """

    read: Callable[[Endpoint, Request], list[Row]]
    write: Callable[[Endpoint, Request, Answered, Beside], Response]
    asks: Callable[[Endpoint, Request], bool] = lambda endpoint, request: False
