"""The Open Inference Protocol, version 2, over HTTP: each field of the contract is a tensor.

A tensor has the shape (rows) or (rows, 1) and comes as JSON or, as Triton's clients send it,
as bytes behind the JSON (the protocol's extension for binary tensors).

Source:
    https://github.com/kserve/open-inference-protocol, rest/http.yml and the extension
    "Binary tensor data".
"""

from __future__ import annotations

import struct
from collections.abc import Iterator, Sequence
from typing import Any, Literal

import msgspec
import numpy as np

from cd4ml.records.contract import FieldType
from cd4ml.serving.answers import Score
from cd4ml.serving.beside import Beside, amounts
from cd4ml.serving.endpoint import Endpoint
from cd4ml.serving.protocols import Answered, Protocol
from cd4ml.serving.protocols.columns import Places, by_column, numbered, rows_of_columns
from cd4ml.serving.request import RequestRefused, Row, refuse_too_many
from cd4ml.serving.wire import Request, Response, in_json

CONTRIBUTIONS = "contributions"  # an output that is there when it is asked for
HEADER_LENGTH = b"inference-header-content-length"

DATATYPES: dict[FieldType, str] = {
    "integer": "INT64",
    "number": "FP64",
    "string": "BYTES",
    "boolean": "BOOL",
    "datetime": "BYTES",
}
_NUMPY = {
    "BOOL": "?",
    "UINT8": "<u1",
    "UINT16": "<u2",
    "UINT32": "<u4",
    "UINT64": "<u8",
    "INT8": "<i1",
    "INT16": "<i2",
    "INT32": "<i4",
    "INT64": "<i8",
    "FP16": "<f2",
    "FP32": "<f4",
    "FP64": "<f8",
}
_HINT = "GET /v2/models/MODEL lists the inputs"

Datatype = Literal[
    "BOOL", "UINT8", "UINT16", "UINT32", "UINT64", "INT8", "INT16", "INT32", "INT64",
    "FP16", "FP32", "FP64", "BYTES",
]  # fmt: skip


class Tensor(msgspec.Struct):
    """One input: a column."""

    name: str
    shape: list[int]
    datatype: Datatype
    data: list[Any] | None = None
    parameters: dict[str, Any] = {}


class Wanted(msgspec.Struct):
    """One output that is asked for."""

    name: str
    parameters: dict[str, Any] = {}


class Inference(msgspec.Struct):
    """A request: the columns of some rows."""

    inputs: list[Tensor]
    id: str = ""
    parameters: dict[str, Any] = {}
    outputs: list[Wanted] = []


_decode = msgspec.json.Decoder(Inference).decode


def output_of(endpoint: Endpoint) -> str:
    """The name of the output: that of the contract, else `score`."""
    output = endpoint.contract.contract.output
    return output.name if output else "score"


def metadata(endpoint: Endpoint) -> dict[str, Any]:
    """What the model takes and gives."""
    arms = endpoint.plan.arms
    fields = endpoint.contract.contract.fields
    return {
        "name": endpoint.plan.model,
        "versions": [str(arm.number) for arm in arms if arm.role != "shadow"],
        "platform": "cd4ml",
        "inputs": [
            {"name": field.name, "datatype": DATATYPES[field.type], "shape": [-1]}
            for field in fields
        ],
        "outputs": [{"name": output_of(endpoint), "datatype": "FP64", "shape": [-1]}],
    }


def _read(endpoint: Endpoint, request: Request) -> list[Row]:
    asked, rest = _parts(request)
    known = (output_of(endpoint), CONTRIBUTIONS)
    for wanted in asked.outputs:
        if wanted.name not in known:
            msg = f"there is no output {wanted.name[:100]!r}"
            raise RequestRefused(400, msg, hint=f"there are {known[0]!r} and {known[1]!r}")
    columns = {tensor.name: _values(tensor, rest) for tensor in asked.inputs}
    next(rest, None)  # nothing is left, or it is refused
    if len(columns) < len(asked.inputs):
        raise RequestRefused(400, "an input stands twice", hint=_HINT)
    if len({len(values) for values in columns.values()}) != 1:
        msg = "the inputs have not all the same number of rows, of at least one input"
        raise RequestRefused(400, msg, hint=_HINT)
    refuse_too_many(len(next(iter(columns.values()))))
    fields = endpoint.contract.contract.fields
    rows = rows_of_columns(fields, columns)
    try:
        return endpoint.reader.take(rows, "$.inputs")
    except RequestRefused as refusal:
        places = numbered((tensor.name for tensor in asked.inputs), refusal)
        tensors = {name: f"$.inputs[{i}]" for name, i in places.items()}
        values = {name: (f"{path}.data[", "]") for name, path in tensors.items()}
        there = Places("$.inputs", "$.inputs", tensors, values, "an input")
        raise by_column(endpoint.contract.contract.name, refusal, there) from None


def _parts(request: Request) -> tuple[Inference, Iterator[memoryview]]:
    """The JSON, and the bytes behind it cut as its inputs say."""
    body, length = request.body, len(request.body)
    text = request.header(HEADER_LENGTH)
    if text:
        if not text.isdigit() or int(text) > length:
            msg = f"the header {HEADER_LENGTH.decode()} is not the length of the JSON"
            raise RequestRefused(400, msg, hint="it is at most the body's")
        length = int(text)
    try:
        asked = _decode(body[:length])
    except (msgspec.MsgspecError, UnicodeDecodeError, RecursionError) as error:
        msg = f"the body is no inference request: {error}"
        raise RequestRefused(400, msg, hint=_HINT) from None
    return asked, _cuts(asked.inputs, memoryview(body)[length:])


def _cuts(tensors: list[Tensor], rest: memoryview) -> Iterator[memoryview]:
    for tensor in tensors:
        size = tensor.parameters.get("binary_data_size")
        if size is None:
            continue
        if not isinstance(size, int) or not 0 <= size <= len(rest):
            msg = f"the input {tensor.name!r} says a binary_data_size that the body does not have"
            raise RequestRefused(400, msg, hint="it is the number of bytes behind the JSON")
        yield rest[:size]
        rest = rest[size:]
    if rest:
        msg = f"the body has bytes that no input says are its own: {len(rest)}"
        raise RequestRefused(400, msg, hint="binary_data_size says how many")


def _values(tensor: Tensor, rest: Iterator[memoryview]) -> list[Any]:
    if tensor.parameters.get("binary_data_size") is not None:
        if tensor.data is not None:
            msg = f"the input {tensor.name!r} has both data and a binary_data_size"
            raise RequestRefused(400, msg, hint="send its values once")
        values = _unpacked(tensor, next(rest))
    else:
        values = [each for value in tensor.data or [] for each in _flat(value)]
    shape = tensor.shape
    if len(shape) not in (1, 2) or shape[1:] not in ([], [1]) or shape[0] != len(values):
        msg = f"the input {tensor.name!r} has the shape {shape} and {len(values)} values"
        raise RequestRefused(400, msg, hint="expected (rows) or (rows, 1)")
    return values


def _flat(value: Any) -> list[Any]:
    return value if isinstance(value, list) else [value]


def _unpacked(tensor: Tensor, data: memoryview) -> list[Any]:
    try:
        if tensor.datatype == "BYTES":
            return list(_texts(data))
        return list(np.frombuffer(data, np.dtype(_NUMPY[tensor.datatype])).tolist())
    except (ValueError, struct.error) as error:
        msg = f"the bytes of the input {tensor.name!r} are no {tensor.datatype}: {error}"
        raise RequestRefused(400, msg, hint=_HINT) from None


def _texts(data: memoryview) -> Iterator[str]:
    place = 0
    while place < len(data):
        (length,) = struct.unpack_from("<I", data, place)
        place += 4
        if place + length > len(data):
            msg = f"a text of {length} bytes is cut off"
            raise ValueError(msg)
        yield bytes(data[place : place + length]).decode()
        place += length


def _asks(endpoint: Endpoint, request: Request) -> bool:
    if CONTRIBUTIONS.encode() not in request.body:
        return False
    asked, _ = _parts(request)
    return any(wanted.name == CONTRIBUTIONS for wanted in asked.outputs)


def _write(endpoint: Endpoint, request: Request, answered: Answered, beside: Beside) -> Response:
    asked, _ = _parts(request)
    versions = {str(version.arm.number) for version in answered.versions}
    parameters = {"prediction_ids": ",".join(answered.ids)}
    if beside.warnings:  # a parameter is a text, a number or a boolean
        parameters["warnings"] = msgspec.json.encode(beside.warnings).decode()
    outputs, packed = _outputs(endpoint, asked, answered.scores, beside)
    content = {
        "model_name": endpoint.plan.model,
        "model_version": ",".join(sorted(versions)),
        "id": asked.id,
        "parameters": parameters,
        "outputs": outputs,
    }
    if not packed:
        return in_json(content)
    head = msgspec.json.encode(content)
    length = (HEADER_LENGTH, b"%d" % len(head))
    kind = (b"content-type", b"application/octet-stream")
    return Response(200, head + packed, kind, (length,))


def _outputs(
    endpoint: Endpoint, asked: Inference, scores: Sequence[Score], beside: Beside
) -> tuple[list[dict[str, Any]], bytes]:
    """The tensors of an answer, and the bytes behind it of those that go there."""
    tensors: list[tuple[str, Any, dict[str, Any]]] = [(output_of(endpoint), scores, {})]
    if beside.explained is not None:
        names = endpoint.contract.contract.names
        said = {"fields": ",".join(names), "unit": beside.explained[0].unit}
        tensors.append((CONTRIBUTIONS, amounts(beside.explained, names), said))
        tensors.append((f"{CONTRIBUTIONS}_base", [each.base for each in beside.explained], {}))
    found, packed = [], b""
    for name, values, parameters in tensors:
        table = np.array(values, "<f8")
        tensor = {"name": name, "datatype": "FP64", "shape": list(table.shape)}
        if _wants_bytes(asked, name):
            data = table.tobytes()
            packed += data
            parameters = parameters | {"binary_data_size": len(data)}
        else:
            tensor["data"] = table.ravel().tolist()
        found.append(tensor | ({"parameters": parameters} if parameters else {}))
    return found, packed


def _wants_bytes(asked: Inference, name: str) -> bool:
    wanted = next((each for each in asked.outputs if each.name == name), None)
    if wanted is not None:
        return bool(wanted.parameters.get("binary_data"))
    return bool(asked.parameters.get("binary_data_output"))


INFER = Protocol(_read, _write, _asks)
