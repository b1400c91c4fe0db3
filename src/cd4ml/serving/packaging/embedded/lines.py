"""Rows as lines of a body, as SageMaker's batch transform and its built-in clients send them."""

from __future__ import annotations

import csv
import io
import json
from collections.abc import Callable, Mapping, Sequence
from typing import Any

from cd4ml.models.texts import value_of

CSV = "text/csv"
JSON = "application/json"
JSON_LINES = ("application/jsonlines", "application/x-ndjson")
LINES = (CSV, *JSON_LINES)


def rows_of_csv(body: bytes, fields: Sequence[Mapping[str, Any]]) -> list[dict[str, Any]]:
    r"""The rows of a CSV in UTF-8: with a line of names, or with all fields in order.

    What does not look like its field's type stays a text, and breaks the contract there.

    Args:
        body: What was sent.
        fields: Of the contract, as plain data.

    Raises:
        ValueError: If it is no CSV, or a line has another number of values.

    Examples:
        >>> fields = [{"name": "hour", "type": "integer"}, {"name": "dest", "type": "string"}]
        >>> rows_of_csv(b"17,BOS\n18,\n", fields)
        [{'hour': 17, 'dest': 'BOS'}, {'hour': 18, 'dest': None}]
        >>> rows_of_csv(b"hour\n17.0\nnoon\n", fields)
        [{'hour': 17}, {'hour': 'noon'}]
    """
    text = body.decode("utf-8-sig")
    lines = [line for line in csv.reader(io.StringIO(text, newline=""), strict=True) if line]
    types = {field["name"]: field["type"] for field in fields}
    has_names = bool(lines) and set(lines[0]) <= set(types) and len(set(lines[0])) == len(lines[0])
    names, rows = (lines[0], lines[1:]) if has_names else (list(types), lines)
    for i, row in enumerate(rows):
        if len(row) != len(names):
            msg = f"line {i + 1 + has_names} has {len(row)} values for {len(names)} columns"
            raise ValueError(msg)
    pairs = (zip(names, row, strict=True) for row in rows)
    return [{name: value_of(said, types[name]) for name, said in pair} for pair in pairs]


def rows_of_json_lines(body: bytes, decode: Callable[[bytes], Any]) -> list[Any]:
    """The row of each line."""
    return [decode(line) for line in body.splitlines() if line.strip()]


def wanted(accept: str) -> str:
    """The kind of answer that a header `accept` asks for most; "" if it leaves the choice.

    Examples:
        >>> wanted("text/csv;q=0.5, application/json"), wanted("text/csv, */*;q=0.1"), wanted("*/*")
        ('application/json', 'text/csv', '')
    """
    if not accept:
        return ""
    named = [_weighed(each) for each in accept.lower().split(",")]
    best = max((weight for weight, _ in named), default=0.0)
    first = next((kind for weight, kind in named if weight == best > 0), "")
    return first if first in (JSON, *LINES) else ""


def _weighed(said: str) -> tuple[float, str]:
    kind, *parameters = (part.strip() for part in said.split(";"))
    weights = (part.removeprefix("q=") for part in parameters if part.startswith("q="))
    try:
        return float(next(weights, "1")), kind
    except ValueError:
        return 0.0, kind


def answers_as(kind: str, scores: Sequence[float]) -> bytes:
    """The answers one a line: numbers in CSV, objects in JSON lines."""
    if kind == CSV:
        return b"".join(b"%r\n" % score for score in scores)
    return b"".join(json.dumps({"score": score}).encode() + b"\n" for score in scores)
