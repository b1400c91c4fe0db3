"""Batches as an Arrow stream: columns in, ids and scores out."""

from __future__ import annotations

import io
from collections import Counter
from collections.abc import Sequence
from typing import TYPE_CHECKING

import msgspec

from cd4ml.models.leniency import Warned
from cd4ml.models.violations import Violation, expected_of, printable
from cd4ml.records.contract import Contract
from cd4ml.serving.beside import Beside, amounts
from cd4ml.serving.endpoint import Endpoint
from cd4ml.serving.protocols import Answered
from cd4ml.serving.protocols.arrow_messages import read_messages
from cd4ml.serving.protocols.arrow_stream import ColumnReader
from cd4ml.serving.protocols.arrow_types import Column
from cd4ml.serving.protocols.columns import rows_of_columns, told
from cd4ml.serving.protocols.flatbuffers import Damaged
from cd4ml.serving.request import RequestRefused, Row, refuse_too_many, refused
from cd4ml.serving.wire import Request, Response

if TYPE_CHECKING:
    import polars as pl

ARROW = b"application/vnd.apache.arrow.stream"


def rows_of_arrow(endpoint: Endpoint, request: Request) -> list[Row]:
    """The rows of a stream of record batches, whose columns are the contract's fields.

    Raises:
        RequestRefused: If it is no such stream (400), holds more than a request may (413), or
            does not keep the contract (422).
    """
    contract = endpoint.contract.contract
    try:
        stream = read_messages(request.body)
        refuse_too_many(stream.n_rows)
        if found := _impossible(contract, stream.columns):
            raise refused(contract.name, found)
        names = told(contract.names, (column.name for column in stream.columns))
        columns = ColumnReader(stream, frozenset(names)).read()
    except Damaged as error:
        msg = f"the body is not an Arrow stream: {error}"
        raise RequestRefused(400, msg, hint="write it with an IPC stream writer") from None
    rows = rows_of_columns(contract.fields, {name: columns[name] for name in names})
    return endpoint.reader.take(rows, "$")


def _impossible(contract: Contract, columns: Sequence[Column]) -> list[Violation]:
    """The columns that stand twice, and those of types that no row can have."""
    fields = {field.name: field for field in contract.fields}
    counted = Counter(column.name for column in columns)
    found = []
    for name, n in counted.items():
        if n > 1:
            name = printable(name)
            got = f"{n} columns"
            found.append(Violation(name, f"$.{name}", "each name once", got))
    for column in columns:
        if column.kind.form == "none":
            field = fields.get(column.name)
            expected = "no such field" if field is None else expected_of(field)
            name = printable(column.name)
            got = f"a column of Arrow's type {column.kind.name}"
            found.append(Violation(name, f"$.{name}", expected, got))
    return found


def write_arrow(endpoint: Endpoint, answered: Answered, beside: Beside) -> Response:
    """The answers as a stream: `prediction_id`, `score`, `model`, `number`, `artifact`, `plan`.

    Where the contract forgives anything, `warnings` has a row's warnings as JSON, or null. Where
    contributions were asked for, `base`, `unit`, and a column `contribution_FIELD` for each field.
    """
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
    frame = frame.with_columns(_beside(endpoint, len(answered.ids), beside))
    written = io.BytesIO()
    frame.write_ipc_stream(written, compat_level=pl.CompatLevel.oldest())
    return Response(200, written.getvalue(), (b"content-type", ARROW))


def _beside(endpoint: Endpoint, n: int, beside: Beside) -> list[pl.Series]:
    import polars as pl

    columns = []
    contract = endpoint.contract
    if contract.is_lenient:
        told: list[list[Warned]] = [[] for _ in range(n)]
        for each in beside.warnings:
            told[each.row].append(each)
        texts = [msgspec.json.encode(each).decode() if each else None for each in told]
        columns.append(pl.Series("warnings", texts, dtype=pl.String))
    if beside.explained is not None:
        names = contract.contract.names
        added = amounts(beside.explained, names)
        columns.append(pl.Series("base", [each.base for each in beside.explained], pl.Float64))
        columns.append(pl.Series("unit", [each.unit for each in beside.explained], pl.String))
        columns += [
            pl.Series(f"contribution_{name}", [row[i] for row in added], pl.Float64)
            for i, name in enumerate(names)
        ]
    return columns
