"""One answer as one line of a segment: what the prediction log is collected from."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from typing import Any

import msgspec

from cd4ml.records.plan import Plan, Role
from cd4ml.serving.endpoint import Answer
from cd4ml.serving.request import Row

_EPOCH = datetime(1970, 1, 1, tzinfo=UTC)
_MICROSECOND = timedelta(microseconds=1)


class Line(msgspec.Struct):
    """One line of a segment: a row of the prediction log, `answered_at` in microseconds."""

    prediction_id: str
    answered_at: int
    environment: str
    plan: int
    role: Role
    model: str
    number: int
    artifact: str
    score: float | None
    inputs: Any
    key: str


_encode = msgspec.json.Encoder().encode


def line(prediction_id: str, at: datetime, plan: Plan, answer: Answer, row: Row, key: str) -> bytes:
    """The segment line of one answer; `key` is the caller's own name for the request."""
    arm = answer.version.arm
    return _encode(
        Line(
            prediction_id,
            (at - _EPOCH) // _MICROSECOND,
            plan.environment,
            plan.number,
            arm.role,
            arm.model,
            arm.number,
            arm.artifact,
            answer.score,
            row,
            key,
        )
    )
