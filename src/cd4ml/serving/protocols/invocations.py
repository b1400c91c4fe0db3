"""`POST /invocations` as MLflow's scoring servers and SageMaker's containers answer it.

JSON: `dataframe_split`, `dataframe_records`, `inputs` (rows, or columns by name) or
`instances` (rows); CSV with a line of names. The answer is `{"predictions": [score, ...]}`
and, beside it, what MLflow's clients leave alone: `prediction_ids`, `model_version`. Who accepts
CSV or JSON lines gets a score a line and nothing else, as of a packaged container.
"""

from __future__ import annotations

import csv
import io
from typing import Any, TypeGuard

from cd4ml.serving.beside import Beside, asks_for_contributions
from cd4ml.serving.endpoint import Endpoint
from cd4ml.serving.packaging.embedded.lines import LINES, answers_as, wanted
from cd4ml.serving.protocols import Answered, Protocol
from cd4ml.serving.protocols.arrow import ARROW, rows_of_arrow, write_arrow
from cd4ml.serving.protocols.columns import (
    Places,
    by_column,
    numbered,
    rows_of_texts,
    told,
)
from cd4ml.serving.request import RequestRefused, Row, parsed
from cd4ml.serving.wire import Request, Response, in_json

FORMS = ("dataframe_split", "dataframe_records", "inputs", "instances")

_ATTRIBUTES = b"x-amzn-sagemaker-custom-attributes"  # the header that SageMaker passes on
_CSV = b"text/csv"
_JSON = (b"", b"application/json")
_HINT = f"send JSON with one of {', '.join(FORMS)}, or text/csv with a line of names"


def _read(endpoint: Endpoint, request: Request) -> list[Row]:
    if (
        request.query
        and (lines := _lines_wanted(request))
        and asks_for_contributions(request.query)
    ):
        msg = f"what each field adds is said in JSON, and {lines} is asked for"
        raise RequestRefused(406, msg, hint="accept application/json, or leave the header out")
    kind = request.kind.partition(b";")[0].strip().lower()
    if kind == ARROW:
        return rows_of_arrow(endpoint, request)
    if kind == _CSV:
        return endpoint.reader.take(_rows_of_csv(endpoint, request.body), "$")
    if kind not in _JSON:
        msg = f"the content type {kind.decode('latin-1')[:80]!r} cannot be read"
        raise RequestRefused(415, msg, hint=_HINT)
    content = parsed(request.body)
    forms = [form for form in FORMS if isinstance(content, dict) and form in content]
    if len(forms) != 1:
        got = " and ".join(forms) or "none"
        msg = f"expected exactly one of {', '.join(FORMS)}, got {got}"
        raise RequestRefused(400, msg, hint=_HINT)
    (form,) = forms
    table = content[form]
    rows = _split(table) if form == "dataframe_split" else _listed(endpoint, table, form)
    try:
        return endpoint.reader.take(rows, f"$.{form}")
    except RequestRefused as refusal:
        if not isinstance(table, dict):
            raise
        places = _places(form, table, refusal)
        raise by_column(endpoint.contract.contract.name, refusal, places) from None


def _split(table: Any) -> list[dict[str, Any]]:
    names = table.get("columns") if isinstance(table, dict) else None
    rows = table.get("data") if isinstance(table, dict) else None
    if not _are_names(names) or not isinstance(rows, list):
        msg = "dataframe_split needs columns, a list of different names, and data, a list of rows"
        raise RequestRefused(400, msg, hint='{"columns": ["hour"], "data": [[17]]}')
    for i, row in enumerate(rows):
        if not isinstance(row, list) or len(row) != len(names):
            msg = f"row {i} of dataframe_split's data has not one value for each of its columns"
            raise RequestRefused(400, msg, hint=f"there are {len(names)} columns")
    return [dict(zip(names, row, strict=True)) for row in rows]


def _places(form: str, table: dict[str, Any], refusal: RequestRefused) -> Places:
    """Where the values of a table are, which is no list of rows."""
    path = f"$.{form}"
    if form == "dataframe_split":
        names = numbered(table["columns"], refusal)
        columns = {name: f"{path}.columns[{i}]" for name, i in names.items()}
        values = {name: (f"{path}.data[", f"][{i}]") for name, i in names.items()}
        return Places(path, f"{path}.columns", columns, values)
    columns = {name: f"{path}.{name}" for name in numbered(table, refusal)}
    values = {name: (f"{column}[", "]") for name, column in columns.items()}
    return Places(path, path, columns, values)


def _are_names(names: Any) -> TypeGuard[list[str]]:
    if not isinstance(names, list) or not all(isinstance(name, str) for name in names):
        return False
    return len(set(names)) == len(names)


def _listed(endpoint: Endpoint, content: Any, form: str) -> Any:
    """A list of rows as it is; columns by name as rows. NaN is no JSON, and no null either."""
    if not isinstance(content, dict):
        return content
    names = told({field.name for field in endpoint.contract.contract.fields}, content)
    few = ((name, content[name]) for name in names)
    columns = {name: each if isinstance(each, list) else [each] for name, each in few}
    if not columns:
        msg = f"{form} has no columns"
        raise RequestRefused(400, msg, hint='{"hour": [17, 18], ...}, or a list of rows')
    if len({len(column) for column in columns.values()}) != 1:
        msg = f"the columns of {form} have different lengths"
        raise RequestRefused(400, msg, hint="give each column one value a row")
    flat = [[_only(value) for value in column] for column in columns.values()]
    return [dict(zip(names, row, strict=True)) for row in zip(*flat, strict=True)]


def _only(value: Any) -> Any:
    """The value of a column of shape (rows, 1)."""
    return value[0] if isinstance(value, list) and len(value) == 1 else value


def _rows_of_csv(endpoint: Endpoint, body: bytes) -> list[dict[str, Any]]:
    try:
        lines = list(csv.reader(io.StringIO(body.decode("utf-8-sig"), newline=""), strict=True))
    except (UnicodeDecodeError, csv.Error) as error:
        raise RequestRefused(400, f"the body is not CSV in UTF-8: {error}", hint=_HINT) from None
    lines = [line for line in lines if line]
    if not lines or not _are_names(lines[0]):
        msg = "the CSV has no line of different names"
        raise RequestRefused(400, msg, hint="the first line names the columns")
    names, *rows = lines
    for i, row in enumerate(rows):
        if len(row) != len(names):
            msg = f"row {i} of the CSV has {len(row)} values for {len(names)} columns"
            raise RequestRefused(400, msg, hint="quote texts that hold commas")
    return rows_of_texts(endpoint.contract.contract.fields, names, rows)


def _write(endpoint: Endpoint, request: Request, answered: Answered, beside: Beside) -> Response:
    if request.kind.startswith(ARROW):
        return write_arrow(endpoint, answered, beside)
    refs = sorted({version.arm.ref for version in answered.versions})
    if lines := _lines_wanted(request):
        # none is None: a version that failed does not count
        scores = [score for score in answered.scores if score is not None]
        who = f"cd4ml-model={','.join(refs)}".encode("ascii", "replace")
        kind = (b"content-type", lines.encode())
        return Response(200, answers_as(lines, scores), kind, ((_ATTRIBUTES, who),))
    content: dict[str, Any] = {
        "predictions": answered.scores,
        "prediction_ids": answered.ids,
        "model_version": refs,
    }
    if beside.explained is not None:
        content["explanations"] = beside.explained
    if beside.warnings:
        content["warnings"] = beside.warnings
    return in_json(content)


def _lines_wanted(request: Request) -> str:
    """The kind of lines in which the answers are wanted; "" if they are wanted otherwise."""
    kind = wanted(request.header(b"accept").decode("latin-1"))
    return kind if kind in LINES else ""


INVOCATIONS = Protocol(_read, _write)
