"""The OpenAPI description of an endpoint, made of the contract of its requests."""

from __future__ import annotations

from collections.abc import Collection
from typing import Any

from cd4ml.records.contract import Contract
from cd4ml.serving import schemas
from cd4ml.serving.endpoint import Endpoint
from cd4ml.serving.packaging.embedded.lines import CSV, JSON_LINES
from cd4ml.serving.protocols.open_inference import DATATYPES
from cd4ml.serving.schemas import Schema, ref

_ALIVE = ("/live", "/health", "/v2/health/live")
_JSON = "application/json"
_ARROW = "application/vnd.apache.arrow.stream"
_PLAIN = "text/plain"

_REFUSED = {
    "400": "The body cannot be read",
    "401": "A token is needed, and none is shown, or one that is unknown, revoked or expired",
    "403": "The token is good for something else",
    "404": "No such model, or version, answers here",
    "406": "What is asked for cannot be written as the header accept wants it",
    "413": "The body has too many bytes or rows",
    "415": "The content type, or how the body is compressed, cannot be read",
    "422": "The rows do not keep the contract; everything that is wrong with them",
    "500": "The version in charge failed on a row that keeps its contract",
    "503": "Nothing is released yet, or the answer could not be recorded",
}
_LINES = {
    kind: {"schema": schemas.TEXT | {"description": "A score a line"}}
    for kind in (CSV, JSON_LINES[0])
}
_PARAMETERS = {
    "contributions": {
        "name": "contributions",
        "in": "query",
        "description": "What each field added to each answer, beside it",
        "schema": {"type": "string", "enum": ["0", "1", "false", "true"]},
    },
    "key": {
        "name": "cd4ml-key",
        "in": "header",
        "description": "The caller's own name for the request: the same one, the same version",
        "schema": {"type": "string", "pattern": "^[!-~]{1,200}$"},
    },
}


def openapi(
    endpoint: Endpoint, *, needs_token: bool = False, private: Collection[str] = ()
) -> dict[str, Any]:
    """The description of what an endpoint takes and gives, OpenAPI 3.1.

    Args:
        endpoint: With the contract, and an example of a row.
        needs_token: Whether only who shows a token is answered.
        private: Fields of which the example has a value that is made up.
    """
    contract = endpoint.contract.contract
    # a row of the training data is not for those who may not ask
    known = {} if needs_token else endpoint.example
    example = schemas.example_of(contract, known, private)
    model = endpoint.plan.model
    described: dict[str, Any] = {
        "openapi": "3.1.0",
        "info": {
            "title": f"{model} in {endpoint.plan.environment}",
            "version": contract.version,
            "description": contract.description or "Rows in, scores out; every answer is recorded.",
        },
        "paths": _predictions(contract, example, model) | _pages(model),
        "components": {"schemas": _schemas(contract), "parameters": _PARAMETERS},
    }
    if needs_token:
        described["components"]["securitySchemes"] = {"token": {"type": "http", "scheme": "bearer"}}
        for path in _asking(model):
            described["paths"][path]["post"]["security"] = [{"token": []}]
    return described


def _asking(model: str) -> tuple[str, ...]:
    return ("/predict", "/invocations", f"/v2/models/{model}/infer")


def _schemas(contract: Contract) -> dict[str, Schema]:
    return {
        "Row": schemas.row(contract),
        "Inference": schemas.inference(contract),
        "Predictions": schemas.PREDICTIONS,
        "Scores": schemas.SCORES,
        "Outputs": schemas.OUTPUTS,
        "Explanation": schemas.EXPLANATION,
        "Warning": schemas.WARNING,
        "Refusal": schemas.REFUSAL,
    }


def _predictions(contract: Contract, example: dict[str, Any], model: str) -> dict[str, Any]:
    own, invocations, infer = _asking(model)
    rows = schemas.list_of(ref("Row"))
    several = schemas.object_of({"rows": rows}, {"explain": schemas.FLAG})
    own_body = {"anyOf": [ref("Row"), several | {"additionalProperties": False}]}
    arrow = {_ARROW: {"schema": {"description": "A column a field"}}}
    tensors = {
        _JSON: {"schema": ref("Inference"), "example": _tensors(contract, example)},
        "application/octet-stream": {"schema": {"description": "Tensors as bytes behind the JSON"}},
    }
    return {
        own: _post(
            "Score one row, or several",
            {_JSON: {"schema": own_body, "example": {"rows": [example]}}, **arrow},
            {_JSON: {"schema": ref("Predictions")}, **arrow},
        ),
        invocations: _post(
            "Score rows as MLflow and SageMaker ask",
            {
                _JSON: {"schema": _forms(rows), "example": {"dataframe_records": [example]}},
                CSV: {"schema": schemas.TEXT, "example": _csv(example)},
                **arrow,
            },
            {_JSON: {"schema": ref("Scores")}, **_LINES, **arrow},
            also=("406",),
        ),
        infer: _post(
            "Score tensors as the Open Inference Protocol (version 2) asks",
            tensors,
            {_JSON: {"schema": ref("Outputs")}, "application/octet-stream": {"schema": {}}},
            also=("404",),
        ),
    }


def _post(
    summary: str,
    takes: dict[str, Any],
    gives: dict[str, Any],
    *,
    also: tuple[str, ...] = (),
) -> dict[str, Any]:
    usual = ("400", "401", "403", "413", "415", "422", "500", "503")
    names = (f"#/components/parameters/{name}" for name in _PARAMETERS)
    operation = {
        "summary": summary,
        "parameters": [{"$ref": name} for name in names],
        "requestBody": {"required": True, "content": takes},
        "responses": {
            "200": {"description": "The scores", "content": gives},
            **{status: _refused(status) for status in sorted((*usual, *also))},
        },
    }
    return {"post": operation}


def _refused(status: str) -> dict[str, Any]:
    return {"description": _REFUSED[status], "content": {_JSON: {"schema": ref("Refusal")}}}


def _forms(rows: Schema) -> Schema:
    names = {"type": "array", "items": schemas.TEXT, "uniqueItems": True}
    split = schemas.object_of(
        {"columns": names, "data": schemas.list_of({"type": "array"})}, {"index": {"type": "array"}}
    )
    forms = (("dataframe_records", rows), ("dataframe_split", split), ("instances", rows))
    columns = {"type": "object", "additionalProperties": {"type": "array"}}
    inputs = schemas.object_of({"inputs": {"anyOf": [rows, columns, ref("Row")]}})
    return {"oneOf": [*(schemas.object_of({name: form}) for name, form in forms), inputs]}


def _csv(example: dict[str, Any]) -> str:
    import csv
    import io

    written = io.StringIO()
    writer = csv.writer(written)
    writer.writerow(example)
    writer.writerow(_text(value) for value in example.values())
    return written.getvalue()


def _text(value: Any) -> str:
    if value is None:
        return ""
    return str(value).lower() if isinstance(value, bool) else str(value)


def _tensors(contract: Contract, example: dict[str, Any]) -> dict[str, Any]:
    inputs = [
        {
            "name": field.name,
            "shape": [1],
            "datatype": DATATYPES[field.type],
            "data": [example.get(field.name)],
        }
        for field in contract.fields
    ]
    return {"inputs": inputs}


def _pages(model: str) -> dict[str, Any]:
    alive, ready = "Whether the process lives", "Whether a plan is loaded, so that it can answer"
    found = {
        "/": _get("A page on which to try it", "text/html", schemas.TEXT),
        **{path: _get(alive, _JSON, _said("health"), can_be_absent=False) for path in _ALIVE},
        "/ping": _get(ready, _JSON, _said("health")),
        "/ready": _get("Process, plan, and the versions that answer", _JSON, _said("plan", "arms")),
        "/contract": _get("What rows must keep", _JSON, _said("name", "version", "fields")),
        "/version": _get("cd4ml's version", _PLAIN, schemas.TEXT, can_be_absent=False),
        "/metrics": _get("Counts for Prometheus", _PLAIN, schemas.TEXT, can_be_absent=False),
        "/openapi.json": _get("This description", _JSON, _said("openapi", "paths")),
        "/v2": _get("The server", _JSON, _said("name", "version"), can_be_absent=False),
        "/v2/health/ready": _get(ready, _JSON, _said("ready")),
        f"/v2/models/{model}": _get("Its inputs and outputs", _JSON, _said("name", "inputs")),
        f"/v2/models/{model}/ready": _get(ready, _JSON, _said("ready")),
    }
    return found


def _said(*names: str) -> Schema:
    return schemas.object_of({name: {} for name in names})


def _get(summary: str, kind: str, schema: Schema, *, can_be_absent: bool = True) -> dict[str, Any]:
    answers: dict[str, Any] = {
        "200": {"description": summary, "content": {kind: {"schema": schema}}}
    }
    if can_be_absent:
        answers["503"] = _refused("503")
    return {"get": {"summary": summary, "responses": answers}}
