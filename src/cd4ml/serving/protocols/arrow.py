"""Batches as an Arrow stream: columns in, ids and scores out."""

from __future__ import annotations

import io

from cd4ml.serving.endpoint import Endpoint
from cd4ml.serving.protocols import Answered
from cd4ml.serving.protocols.columns import rows_of_columns
from cd4ml.serving.request import RequestRefused, Row, refuse_too_many
from cd4ml.serving.wire import Request, Response

ARROW = b"application/vnd.apache.arrow.stream"


def rows_of_arrow(endpoint: Endpoint, request: Request) -> list[Row]:
    """The rows of a stream of record batches, whose columns are the contract's fields.

    Raises:
        RequestRefused: If it is no such stream (400), or the rows do not keep the contract.
    """
    import polars as pl

    from cd4ml.models.frames import to_plain

    try:
        frame = pl.read_ipc_stream(io.BytesIO(request.body))
    except Exception as error:  # polars raises classes of several kinds
        reason = next(iter(str(error).splitlines()), "")[:200]
        msg = f"the body is not an Arrow stream: {reason}"
        raise RequestRefused(400, msg, hint="write it with an IPC stream writer") from None
    refuse_too_many(frame.height)
    columns = {column.name: to_plain(column).to_list() for column in frame.iter_columns()}
    fields = endpoint.contract.contract.fields
    return endpoint.reader.take(rows_of_columns(fields, columns), "$")


def write_arrow(endpoint: Endpoint, answered: Answered) -> Response:
    """The answers as a stream: `prediction_id`, `score`, `model`, `number`, `artifact`, `plan`."""
    import polars as pl

    arms = [version.arm for version in answered.versions]
    frame = pl.DataFrame(
        {
            "prediction_id": answered.ids,
            "score": answered.scores,
            "model": [arm.model for arm in arms],
            "number": [arm.number for arm in arms],
            "artifact": [arm.artifact for arm in arms],
            "plan": [endpoint.plan.number] * len(arms),
        }
    )
    written = io.BytesIO()
    frame.write_ipc_stream(written, compat_level=pl.CompatLevel.oldest())
    return Response(200, written.getvalue(), (b"content-type", ARROW))
