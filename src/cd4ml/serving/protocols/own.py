"""`POST /predict`: rows as JSON, or as an Arrow stream."""

from __future__ import annotations

import msgspec

from cd4ml.serving.endpoint import Endpoint
from cd4ml.serving.protocols import Answered, Protocol
from cd4ml.serving.protocols.arrow import ARROW, rows_of_arrow, write_arrow
from cd4ml.serving.request import Row
from cd4ml.serving.wire import Request, Response, in_json


class Prediction(msgspec.Struct):
    """One element of an answer's `predictions`."""

    prediction_id: str
    score: float | None  # never None: a version that failed does not count
    model: str
    number: int
    artifact: str
    plan: int


def _read(endpoint: Endpoint, request: Request) -> list[Row]:
    if request.kind.startswith(ARROW):
        return rows_of_arrow(endpoint, request)
    return endpoint.reader.read(request.body)


def _write(endpoint: Endpoint, request: Request, answered: Answered) -> Response:
    if request.kind.startswith(ARROW):
        return write_arrow(endpoint, answered)
    plan = endpoint.plan.number
    predictions = []
    for prediction_id, version, score in zip(*answered, strict=True):
        arm = version.arm
        predictions.append(
            Prediction(prediction_id, score, arm.model, arm.number, arm.artifact, plan)
        )
    return in_json({"predictions": predictions})


PREDICT = Protocol(_read, _write)
