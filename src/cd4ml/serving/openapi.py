"""The OpenAPI description of an endpoint, made of the contract of its requests."""

from __future__ import annotations

from functools import partial
from typing import Any

from cd4ml.models.violations import expected_of, is_closed, limits_of, whole
from cd4ml.records.contract import Contract, Field
from cd4ml.serving.endpoint import Endpoint
from cd4ml.serving.request import MAX_ROWS

_JSON = "application/json"
_TYPES = {
    "integer": "integer",
    "number": "number",
    "string": "string",
    "boolean": "boolean",
    "datetime": "string",
}
_MOMENT = "2013-02-01T05:00:00Z"


def openapi(endpoint: Endpoint) -> dict[str, Any]:
    """The description of what an endpoint takes and gives, OpenAPI 3.1."""
    contract = endpoint.contract.contract
    row = _row(contract)
    example = endpoint.example or {field.name: _example(field) for field in contract.fields}
    schemas = {"Row": row, "Predictions": _PREDICTIONS, "Refusal": _REFUSAL}
    title = f"{endpoint.plan.model} in {endpoint.plan.environment}"
    ask = partial(_operation, example=example)
    rows = _list_of(_ref("Row"))
    names = {"type": "array", "items": {"type": "string"}}
    split = {
        "type": "object",
        "required": ["columns", "data"],
        "properties": {"columns": names, "data": {"type": "array", "items": {"type": "array"}}},
    }
    forms = [("dataframe_records", rows), ("dataframe_split", split), ("instances", rows)]
    return {
        "openapi": "3.1.0",
        "info": {"title": title, "version": contract.version},
        "paths": {
            "/predict": {
                "post": ask(
                    "Score one row, or several",
                    {"anyOf": [_ref("Row"), _object_of("rows", rows)]},
                    _ref("Predictions"),
                )
            },
            "/invocations": {
                "post": ask(
                    "Score rows as MLflow and SageMaker ask",
                    {"oneOf": [_object_of(name, schema) for name, schema in forms]},
                    {
                        "type": "object",
                        "required": ["predictions"],
                        "properties": {"predictions": _SCORES},
                    },
                    form="dataframe_records",
                )
            },
        },
        "components": {"schemas": schemas},
    }


_TEXT = {"type": "string"}
_SCORES = {"type": "array", "items": {"type": "number"}}
_PREDICTIONS: dict[str, Any] = {
    "type": "object",
    "required": ["predictions"],
    "properties": {
        "predictions": {
            "type": "array",
            "items": {
                "type": "object",
                "required": ["prediction_id", "score", "model", "number", "artifact", "plan"],
                "properties": {
                    "prediction_id": _TEXT,
                    "score": {"type": "number"},
                    "model": _TEXT,
                    "number": {"type": "integer"},
                    "artifact": _TEXT,
                    "plan": {"type": "integer"},
                },
            },
        }
    },
}
_REFUSAL: dict[str, Any] = {
    "type": "object",
    "required": ["error", "hint", "violations"],
    "properties": {
        "error": _TEXT,
        "hint": _TEXT,
        "violations": {
            "type": "array",
            "items": {
                "type": "object",
                "properties": dict.fromkeys(("field", "path", "expected", "got"), _TEXT),
            },
        },
    },
}
_REFUSED = {
    "400": "The body cannot be read",
    "413": "The body has too many bytes or rows",
    "422": "The rows do not keep the contract; everything that is wrong with them",
    "503": "Nothing is released yet, or the answer could not be recorded",
}


def _operation(
    summary: str,
    body: dict[str, Any],
    answer: dict[str, Any],
    *,
    example: dict[str, Any],
    form: str = "rows",
) -> dict[str, Any]:
    refused = {
        status: {"description": text, "content": {_JSON: {"schema": _ref("Refusal")}}}
        for status, text in _REFUSED.items()
    }
    content = {_JSON: {"schema": body, "example": {form: [example]}}}
    given = {"description": "The scores", "content": {_JSON: {"schema": answer}}}
    return {
        "summary": summary,
        "requestBody": {"required": True, "content": content},
        "responses": {"200": given, **refused},
    }


def _row(contract: Contract) -> dict[str, Any]:
    return {
        "type": "object",
        "additionalProperties": False,
        "required": [field.name for field in contract.fields if not field.optional],
        "properties": {field.name: _schema(field) for field in contract.fields},
    }


def _schema(field: Field) -> dict[str, Any]:
    kind: Any = _TYPES[field.type]
    schema: dict[str, Any] = {"type": [kind, "null"] if field.nullable else kind}
    schema["description"] = field.description or expected_of(field)
    if is_closed(field):
        schema["enum"] = [*field.categories, *([None] if field.nullable else [])]
    elif field.pattern:
        schema["pattern"] = whole(field.pattern).replace(r"\A", "^").replace(r"\Z", "$")
    if field.type == "datetime":
        schema["format"] = "date-time"
    if field.type in ("integer", "number"):
        schema["minimum"], schema["maximum"] = limits_of(field)
    return schema


def _example(field: Field) -> Any:
    """A value that keeps the contract, where no row of the training data is known."""
    if field.type == "string":
        return field.categories[0] if field.categories else "text"
    if field.type in ("boolean", "datetime"):
        return True if field.type == "boolean" else _MOMENT
    low, high = limits_of(field)
    return min(max(0, low), high)


def _object_of(name: str, schema: dict[str, Any]) -> dict[str, Any]:
    return {"type": "object", "required": [name], "properties": {name: schema}}


def _list_of(items: dict[str, Any]) -> dict[str, Any]:
    return {"type": "array", "minItems": 1, "maxItems": MAX_ROWS, "items": items}


def _ref(name: str) -> dict[str, Any]:
    return {"$ref": f"#/components/schemas/{name}"}
