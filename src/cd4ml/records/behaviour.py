"""How a model behaved when it was asked: promises put to the test, and figures of a short load."""

from __future__ import annotations

from typing import Literal

import msgspec


class Promise(msgspec.Struct, frozen=True, kw_only=True):
    """Something every served model has to do, tried so many times.

    `example` shows the worst case in words. A promise that could not be tried has the reason; one
    of which there was nothing to try (no field that may be null) has been tried 0 times.
    """

    name: str  # "a single row is answered as in a batch"
    n_tried: int = 0
    n_broken: int = 0
    example: str = ""
    reason: str = ""


class Response(msgspec.Struct, frozen=True, kw_only=True):
    """How far answers move when one field takes other values and all else stays as it is.

    All three are in the answer's unit, the largest over the rows that were varied, 0 where nothing
    moved: between any two values, to a larger value (a rise), and to a larger value (a fall).
    Strings have no order, so they have neither.
    """

    field: str
    is_ordered: bool
    n_rows: int = 0  # that were varied
    n_values: int = 0  # that each of them took
    largest_change: float = 0.0
    largest_rise: float = 0.0
    largest_fall: float = 0.0
    change_example: str = ""
    rise_example: str = ""
    fall_example: str = ""


class Quantile(msgspec.Struct, frozen=True, kw_only=True):
    """A quantile of a sample with its 95 % interval; an open end is None."""

    value: float
    low: float | None = None
    high: float | None = None


class Load(msgspec.Struct, frozen=True, kw_only=True):
    """Single rows asked one after the other over one connection."""

    n_requests: int
    seconds: float
    p50_ms: Quantile
    p99_ms: Quantile
    memory_mb: float | None = None  # of the serving process, at its peak; None if nobody can tell


class BehaviourEvidence(msgspec.Struct, frozen=True, kw_only=True):
    """What a candidate did in its real serving process.

    `scale` is the largest answer: rounding is in proportion to it.
    """

    artifact: str
    runtime: str  # "onnx", "treelite" or "native"
    source: Literal["production", "holdout"]  # of the recorded rows
    n_rows: int
    scale: float = 1.0
    promises: tuple[Promise, ...] = ()
    responses: tuple[Response, ...] = ()
    load: Load | None = None
