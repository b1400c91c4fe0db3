"""The name of one answer: unique, sortable by time, and it says under which plan it was given."""

from __future__ import annotations

import secrets
import struct
from datetime import UTC, datetime, timedelta
from typing import NamedTuple

from cd4ml.errors import InvalidInput

LENGTH = 32
WORKERS = 1 << 24
SEQUENCES = 1 << 32
SEQUENCE_DIGITS = 8
SEQUENCE_BYTES = SEQUENCE_DIGITS // 2

_EPOCH = datetime(1970, 1, 1, tzinfo=UTC)
_MILLISECOND = timedelta(milliseconds=1)
_DIGITS = frozenset("0123456789abcdef")


class PredictionId(NamedTuple):
    """What a prediction id says by itself."""

    at: datetime  # milliseconds, UTC
    plan: int


def make(at: datetime, plan: int, worker: int, sequence: int) -> str:
    """The id of one answer.

    12 digits of milliseconds since 1970, 6 of the plan, 6 of the worker, 8 of the
    sequence, all hexadecimal: ids sort by time. A worker that draws its number at random
    when it starts, and counts, makes no id twice.

    Raises:
        InvalidInput: If a part does not fit.

    Examples:
        >>> make(datetime(2013, 2, 1, tzinfo=UTC), plan=3, worker=0xBEEF, sequence=7)
        '013c930d7c0000000300beef00000007'
    """
    milliseconds = (at - _EPOCH) // _MILLISECOND
    if not (
        0 <= milliseconds < 1 << 48
        and 0 <= plan < 1 << 24
        and 0 <= worker < WORKERS
        and 0 <= sequence < SEQUENCES
    ):
        msg = (
            "a prediction id needs a time from 1970 on, a plan and a worker below 2^24 and a "
            f"sequence below 2^32, got {at.isoformat()}, {plan}, {worker}, {sequence}"
        )
        raise InvalidInput(msg)
    return f"{milliseconds:012x}{plan:06x}{worker:06x}{sequence:08x}"


class PredictionIds:
    """Makes a worker's ids, none of them twice; used by one thread."""

    def __init__(self) -> None:
        self._worker = secrets.randbelow(WORKERS)
        self._sequence = 0
        self._moment = -1, -1  # milliseconds and plan, which the ids of a while have in common
        self._prefix = ""

    def next(self, at_us: int, plan: int, n: int) -> list[str]:
        """The next ids, as `make` gives them.

        Args:
            at_us: When the answers are given, microseconds since 1970.
            plan: Under which one.
            n: How many.

        Raises:
            InvalidInput: If a part does not fit.
        """
        if self._sequence + n >= SEQUENCES:
            self._worker, self._sequence, self._moment = secrets.randbelow(WORKERS), 0, (-1, -1)
        moment = at_us // 1000, plan
        if moment != self._moment:
            at = _EPOCH + moment[0] * _MILLISECOND
            whole = make(at, plan, self._worker, 0)
            self._moment, self._prefix = moment, whole[:-SEQUENCE_DIGITS]
        first, prefix = self._sequence + 1, self._prefix
        self._sequence += n
        if n == 1:
            return [f"{prefix}{first:08x}"]
        digits = struct.pack(f">{n}I", *range(first, first + n)).hex("-", SEQUENCE_BYTES)
        return (prefix + digits.replace("-", f"-{prefix}")).split("-")


def parse(prediction_id: str) -> PredictionId:
    """When, and under which plan, the prediction was made.

    Raises:
        InvalidInput: If it is no prediction id.

    Examples:
        >>> parse("013c930d7c0000000300beef00000007").plan
        3
    """
    if len(prediction_id) != LENGTH or not set(prediction_id) <= _DIGITS:
        msg = f"expected a prediction id of {LENGTH} hexadecimal digits, got {prediction_id!r}"
        raise InvalidInput(msg, hint="every answer carries one, as `prediction_id`")
    try:
        at = _EPOCH + int(prediction_id[:12], 16) * _MILLISECOND
    except OverflowError:
        msg = f"the prediction id {prediction_id!r} names a time after the year 9999"
        raise InvalidInput(msg, hint="was it copied whole?") from None
    return PredictionId(at, int(prediction_id[12:18], 16))
