"""A row answered before callers' rows are, by the whole path of a request."""

from __future__ import annotations

import logging

import msgspec

from cd4ml.serving.beside import NOTHING
from cd4ml.serving.endpoint import Endpoint, scores
from cd4ml.serving.protocols import Answered
from cd4ml.serving.protocols.own import PREDICT
from cd4ml.serving.request import RequestRefused
from cd4ml.serving.wire import Request

_log = logging.getLogger(__name__)

_NOBODY = "0" * 32  # an id that no answer has


def warm(endpoint: Endpoint) -> None:
    """Answer a row that the champion was packaged with: read, checked, scored and written.

    Nothing of it is recorded or counted. The shadows and the canary answer it too; where they fail,
    their failure is left to the requests, which it does not reach.

    Raises:
        ModelFailed: If the champion fails on it.
    """
    request = Request(msgspec.json.encode({"rows": [endpoint.example]}), "", b"", ())
    try:
        rows = PREDICT.read(endpoint, request)
    except RequestRefused as refusal:  # it was fitted on rows that its contract refuses today
        _log.info("%s could not be warmed: %s", endpoint.champion.arm.ref, refusal.message)
        return
    answers = endpoint.answers(rows, [_NOBODY])
    PREDICT.write(endpoint, request, Answered([_NOBODY], answers.by_row, answers.scores), NOTHING)
    for version in (endpoint.champion, endpoint.canary, *endpoint.shadows):
        if version is not None:
            scores(version, rows)
