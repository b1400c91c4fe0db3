"""The rows of a request's body: JSON in the forms of MLflow and SageMaker, CSV, JSON lines."""

from __future__ import annotations

import csv
import json
from typing import Any

from cd4ml.serving.packaging.embedded.lines import (
    CSV,
    JSON_LINES,
    rows_of_csv,
    rows_of_json_lines,
)

MAX_ROWS = 1000
_FORMS = ("rows", "instances", "dataframe_records", "inputs", "dataframe_split")


class Unreadable(ValueError):
    """A request that has no rows to answer."""

    def __init__(self, status: int, message: str) -> None:
        super().__init__(message)
        self.status = status


def rows_in(body: bytes, kind: str, fields: list[dict[str, Any]]) -> tuple[Any, bool]:
    """One row, or a list, as lines or as JSON; and whether the body asks for explanations."""
    if kind == CSV:
        try:
            rows = rows_of_csv(body, fields)
        except (ValueError, csv.Error) as error:
            raise Unreadable(400, f"the body is not CSV in UTF-8: {error}") from None
        return _lines(rows), False
    if kind in JSON_LINES:
        return _lines(rows_of_json_lines(body, _decoded)), False
    content, names = _decoded(body), {field["name"] for field in fields}
    rows = _rows_of_json(content, names)
    has_rows = rows is not content and "rows" in content
    return rows, has_rows and _asks_to_explain(content)


def _lines(rows: list[Any]) -> list[Any]:
    if not rows:
        raise Unreadable(422, "expected a line with a row at least, got none")
    return _listed(rows, "")


def _asks_to_explain(content: dict[str, Any]) -> bool:
    """What `explain` beside the rows says; nothing else may stand there."""
    unknown = [name for name in content if name not in ("rows", "explain")]
    if unknown:
        raise Unreadable(422, f"expected rows, and explain, got {unknown[0][:80]!r} beside them")
    asked = content.get("explain", False)
    if not isinstance(asked, bool):
        raise Unreadable(422, f"expected explain to be true or false, got {str(asked)[:80]!r}")
    return asked


def _decoded(text: bytes) -> Any:
    try:
        return json.loads(text.decode(), object_pairs_hook=_object)
    except Unreadable:
        raise
    except (ValueError, RecursionError) as error:
        raise Unreadable(400, f"the body is not JSON: {error}") from None


def _rows_of_json(content: Any, fields: set[str]) -> Any:
    """Rows under the name of a form, or the one row that the object is."""
    if not isinstance(content, dict):
        raise Unreadable(422, "expected an object with a row, or with rows")
    given = [form for form in _FORMS if form in content and _is_form(content, form, fields)]
    if len(given) > 1:
        raise Unreadable(400, f"expected one of {', '.join(_FORMS)}, got {' and '.join(given)}")
    if not given:
        return content
    (form,) = given
    if form == "dataframe_split":
        return _listed(_rows_of_split(content[form]), "dataframe_split.data")
    is_columns = form == "inputs" and isinstance(content[form], dict)
    return _listed(_rows_of_columns(content[form]) if is_columns else content[form], form)


def _is_form(content: dict[str, Any], form: str, fields: set[str]) -> bool:
    """Whether a name is that of a form, and not of a field that is called so."""
    return form not in fields or isinstance(content[form], list | dict)


def _rows_of_split(split: Any) -> list[Any]:
    columns, data = (split.get("columns"), split.get("data")) if isinstance(split, dict) else (0, 0)
    if not (isinstance(columns, list) and isinstance(data, list)):
        raise Unreadable(422, "dataframe_split needs columns and data, which are lists")
    return [_row(columns, values) for values in data]


def _rows_of_columns(columns: dict[str, Any]) -> list[Any]:
    """Columns by name, each of values or of lists of one value; or of one row, plain values."""
    many = {name: each if isinstance(each, list) else [each] for name, each in columns.items()}
    if len({len(column) for column in many.values()}) != 1:
        raise Unreadable(400, "the columns of inputs have different lengths")
    flat = [[_only(value) for value in column] for column in many.values()]
    return [dict(zip(many, row, strict=True)) for row in zip(*flat, strict=True)]


def _only(value: Any) -> Any:
    return value[0] if isinstance(value, list) and len(value) == 1 else value


def _object(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    content = dict(pairs)
    if len(content) < len(pairs):
        names = [name for name, _ in pairs]
        twice = next(name for name in names if names.count(name) > 1)
        raise Unreadable(422, f"the name {twice!r} stands more than once in one object")
    return content


def _row(columns: list[Any], values: Any) -> Any:
    if not isinstance(values, list) or len(values) != len(columns):
        raise Unreadable(422, f"each row of dataframe_split needs {len(columns)} values")
    return {str(name): value for name, value in zip(columns, values, strict=True)}


def _listed(rows: Any, name: str) -> list[Any]:
    if not isinstance(rows, list) or not rows:
        raise Unreadable(422, f"expected a list of at least one row at $.{name}")
    if len(rows) > MAX_ROWS:
        raise Unreadable(413, f"the request has {len(rows)} rows, at most {MAX_ROWS} are answered")
    return rows
