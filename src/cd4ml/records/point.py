"""What a metric was at each step: its history."""

from __future__ import annotations

import msgspec


class Point(msgspec.Struct, frozen=True, gc=False):
    """A value of a metric at a step; NaN and infinities are values, None is not computed."""

    name: str
    value: float | None
    step: int = 0
    time_ms: int = 0  # since 1970, UTC


class PointChunk(msgspec.Struct, frozen=True, kw_only=True):
    """Some points of one metric of a run, in the order in which they were logged, packed.

    `start` is the position of the first one in the whole history; see `store.tracking.packing`
    for `data`. The newest chunk of a metric grows until it is large enough.
    """

    run: int
    metric: str
    start: int
    n: int
    data: bytes
