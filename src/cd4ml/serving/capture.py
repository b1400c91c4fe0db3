"""One answer as one line of a segment: what the prediction log is collected from."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from typing import Any, NamedTuple

import msgspec

from cd4ml.records.plan import Role
from cd4ml.serving.endpoint import Answer, Endpoint
from cd4ml.serving.request import Row
from cd4ml.store.lines import seal

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


class Asked(NamedTuple):
    """One row of a request: its id, when it was answered and under what, and the caller's key."""

    endpoint: Endpoint
    prediction_id: str
    at: datetime
    row: Row
    key: str


def line(asked: Asked, answer: Answer) -> bytes:
    """The segment line of one version's answer."""
    plan, arm = asked.endpoint.plan, answer.version.arm
    return seal(
        _encode(
            Line(
                asked.prediction_id,
                (asked.at - _EPOCH) // _MICROSECOND,
                plan.environment,
                plan.number,
                arm.role,
                arm.model,
                arm.number,
                arm.artifact,
                answer.score,
                asked.row,
                asked.key,
            )
        )
    )
