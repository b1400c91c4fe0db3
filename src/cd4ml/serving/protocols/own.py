"""`POST /predict`: rows as JSON, or as an Arrow stream."""

from __future__ import annotations

import msgspec

from cd4ml.records.explanation import Explained
from cd4ml.serving.beside import NOTHING, Beside
from cd4ml.serving.endpoint import Endpoint
from cd4ml.serving.protocols import Answered, Protocol
from cd4ml.serving.protocols.arrow import ARROW, rows_of_arrow, write_arrow
from cd4ml.serving.request import EXPLAIN_KEY, Row
from cd4ml.serving.wire import Request, Response, in_json

_encode = msgspec.json.Encoder().encode
_ONE = b'{"predictions":[{"prediction_id":"%b","score":%b,%b}]}'


class Prediction(msgspec.Struct):
    """One element of an answer's `predictions`."""

    prediction_id: str
    score: float | None  # never None: a version that failed does not count
    model: str
    number: int
    artifact: str
    plan: int
    explanation: Explained | msgspec.UnsetType = msgspec.UNSET


def _read(endpoint: Endpoint, request: Request) -> list[Row]:
    if request.kind.startswith(ARROW):
        return rows_of_arrow(endpoint, request)
    return endpoint.reader.read(request.body)


def _asks(endpoint: Endpoint, request: Request) -> bool:
    body = request.body
    if body.startswith(b'{"rows"') and body.endswith(b"]}"):  # it was read: nothing else is there
        return False
    if EXPLAIN_KEY not in body or request.kind.startswith(ARROW):
        return False
    return endpoint.reader.asks_to_explain(request.body)


def _write(endpoint: Endpoint, request: Request, answered: Answered, beside: Beside) -> Response:
    if request.kind.startswith(ARROW):
        return write_arrow(endpoint, answered, beside)
    ids, versions, scores = answered.ids, answered.versions, answered.scores
    if len(ids) == 1 and beside is NOTHING:
        return Response(200, _ONE % (ids[0].encode(), _encode(scores[0]), versions[0].said))
    plan = endpoint.plan.number
    predictions = []
    for prediction_id, version, score in zip(ids, versions, scores, strict=True):
        arm = version.arm
        predictions.append(
            Prediction(prediction_id, score, arm.model, arm.number, arm.artifact, plan)
        )
    for prediction, explained in zip(predictions, beside.explained or (), strict=False):
        prediction.explanation = explained
    if beside.warnings:
        return in_json({"predictions": predictions, "warnings": beside.warnings})
    return in_json({"predictions": predictions})


PREDICT = Protocol(_read, _write, _asks)
