"""What an endpoint takes and gives, as JSON schemas."""

from __future__ import annotations

from collections.abc import Collection
from typing import Any

from cd4ml.models.contract import forgiving
from cd4ml.models.violations import expected_of, is_closed, limits_of, whole
from cd4ml.records.contract import Contract, Field
from cd4ml.serving.protocols.open_inference import DATATYPES
from cd4ml.serving.request import MAX_ROWS

Schema = dict[str, Any]

_TYPES = {
    "integer": "integer",
    "number": "number",
    "string": "string",
    "boolean": "boolean",
    "datetime": "string",
}
_MOMENT = "2013-02-01T05:00:00Z"
_STORABLE = "^[^\\u0000]*$"

TEXT: Schema = {"type": "string"}
NUMBER: Schema = {"type": "number"}
INTEGER: Schema = {"type": "integer"}
FLAG: Schema = {"type": "boolean"}


def object_of(required: dict[str, Schema], optional: dict[str, Schema] | None = None) -> Schema:
    """An object with these properties, and no word about others."""
    properties = required | (optional or {})
    return {"type": "object", "required": list(required), "properties": properties}


def list_of(items: Schema) -> Schema:
    """A list of anything from one to as many rows as are answered at once."""
    return {"type": "array", "minItems": 1, "maxItems": MAX_ROWS, "items": items}


def some(items: Schema) -> Schema:
    """A list."""
    return {"type": "array", "items": items}


def ref(name: str) -> Schema:
    """A schema of the components."""
    return {"$ref": f"#/components/schemas/{name}"}


def example_row(contract: Contract) -> dict[str, Any]:
    """A row that keeps the contract, where no row of the training data is known.

    Examples:
        >>> hour = Field("hour", "integer", minimum=5, maximum=23)
        >>> example_row(Contract(name="c", fields=(hour, Field("late", "boolean"))))
        {'hour': 5, 'late': True}
    """
    return {field.name: _example(field) for field in contract.fields}


def example_of(
    contract: Contract, known: dict[str, Any], private: Collection[str]
) -> dict[str, Any]:
    """A known row, or one that keeps the contract; values of private fields are made up.

    Examples:
        >>> name = Field("name", "string", categories=("Ada",), open=True)
        >>> contract = Contract(name="c", fields=(name, Field("hour", "integer")))
        >>> example_of(contract, {"name": "Ada", "hour": 7}, ["name"])
        {'name': 'text', 'hour': 7}
    """
    made_up = example_row(contract) | {
        field.name: "text"  # an open list has what was seen, a closed one what may be sent
        for field in contract.fields
        if field.name in private and field.type == "string" and not is_closed(field)
    }
    if not known:
        return made_up
    return {name: made_up[name] if name in private else known[name] for name in known}


def row(contract: Contract) -> Schema:
    """A row: what its fields take, also what they forgive."""
    return {
        "type": "object",
        "additionalProperties": False,
        "required": [field.name for field in contract.fields if not field.optional],
        "properties": {field.name: _field(field) for field in contract.fields},
    }


def inference(contract: Contract) -> Schema:
    """A request of the Open Inference Protocol: a tensor for each field."""
    names = [field.name for field in contract.fields]
    kinds = sorted({DATATYPES[field.type] for field in contract.fields})
    tensor = object_of(
        {
            "name": {"type": "string", "enum": names},
            "shape": {"type": "array", "minItems": 1, "maxItems": 2, "items": INTEGER},
            "datatype": {"type": "string", "enum": kinds},
        },
        {"data": some({}), "parameters": {"type": "object"}},
    )
    wanted = object_of({"name": TEXT}, {"parameters": {"type": "object"}})
    return object_of(
        {"inputs": {"type": "array", "minItems": 1, "items": tensor}},
        {"id": TEXT, "parameters": {"type": "object"}, "outputs": some(wanted)},
    )


WARNING = object_of(
    {
        "row": INTEGER,
        "field": TEXT,
        "kind": {"type": "string", "enum": ["null", "unknown", "outside"]},
        "expected": TEXT,
        "got": TEXT,
        "scored": TEXT,
    }
)
EXPLANATION = object_of(
    {
        "answer": NUMBER,
        "raw": NUMBER,
        "base": NUMBER,
        "unit": {"type": "string", "enum": ["answer", "log-odds", "logarithm"]},
        "method": TEXT,
        "contributions": some(object_of({"field": TEXT, "value": {}, "amount": NUMBER})),
    }
)
PREDICTIONS = object_of(
    {
        "predictions": some(
            object_of(
                {
                    "prediction_id": TEXT,
                    "score": NUMBER,
                    "model": TEXT,
                    "number": INTEGER,
                    "artifact": TEXT,
                    "plan": INTEGER,
                },
                {"explanation": ref("Explanation")},
            )
        )
    },
    {"warnings": some(ref("Warning"))},
)
SCORES = object_of(
    {"predictions": some(NUMBER), "prediction_ids": some(TEXT), "model_version": some(TEXT)},
    {"explanations": some(ref("Explanation")), "warnings": some(ref("Warning"))},
)
OUTPUTS = object_of(
    {
        "model_name": TEXT,
        "model_version": TEXT,
        "id": TEXT,
        "parameters": {"type": "object"},
        "outputs": some(
            object_of(
                {"name": TEXT, "datatype": TEXT, "shape": some(INTEGER)},
                {"data": some(NUMBER), "parameters": {"type": "object"}},
            )
        ),
    }
)
REFUSAL = object_of(
    {
        "error": TEXT,
        "hint": TEXT,
        "violations": some(object_of(dict.fromkeys(("field", "path", "expected", "got"), TEXT))),
    }
)


def _field(field: Field) -> Schema:
    taken = forgiving(field)
    kind: Any = _TYPES[field.type]
    schema: Schema = {"type": [kind, "null"] if taken.nullable else kind}
    schema["description"] = "; ".join([field.description or expected_of(field), *_forgiven(field)])
    if is_closed(taken):
        schema["enum"] = [*field.categories, *([None] if taken.nullable else [])]
    elif field.pattern:
        schema["pattern"] = whole(field.pattern).replace(r"\A", "^").replace(r"\Z", "$")
    elif field.type == "string":
        schema["pattern"] = _STORABLE
    if field.type == "datetime":
        schema["format"] = "date-time"
    if field.type in ("integer", "number"):
        schema["minimum"], schema["maximum"] = limits_of(taken)
    if field.default is not None:
        schema["default"] = field.default
    return schema


def _forgiven(field: Field) -> list[str]:
    """What is taken besides, and as what it is scored, in words."""
    what = {
        "on_null": "null",
        "on_unknown": "other texts",
        "on_outside": "values beyond the limits",
    }
    how = {
        "warn": "as they are",
        "clip": "as the nearest limit",
        "default": f"as {field.default!r}",
    }
    policies = ((words, getattr(field, name)) for name, words in what.items())
    return [f"{words}: scored {how[policy]}" for words, policy in policies if policy != "refuse"]


def _example(field: Field) -> Any:
    if field.type == "string":
        return field.categories[0] if field.categories else "text"
    if field.type in ("boolean", "datetime"):
        return True if field.type == "boolean" else _MOMENT
    low, high = limits_of(field)
    return min(max(0, low), high)
