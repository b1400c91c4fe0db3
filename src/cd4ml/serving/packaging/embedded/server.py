"""A packaged model over HTTP, as Amazon SageMaker asks of a container: /ping and /invocations.

A raw ASGI application (`app_of`), and `main`, which runs it under uvicorn: `serve` is the one
command. SAGEMAKER_BIND_TO_PORT names the port. A wheel below CD4ML_MODEL_DIR or SM_MODEL_DIR
(/opt/ml/model) answers in place of the one that is installed.
"""

from __future__ import annotations

import csv
import json
import os
import sys
import warnings
from collections.abc import Awaitable, Callable, MutableMapping
from dataclasses import asdict
from importlib import import_module
from pathlib import Path
from typing import Any
from urllib.parse import parse_qs

from cd4ml.serving.packaging.embedded.lines import (
    CSV,
    JSON_LINES,
    answers_as,
    rows_of_csv,
    rows_of_json_lines,
)

PORT, WORKERS = "SAGEMAKER_BIND_TO_PORT", "CD4ML_WORKERS"
MODEL_DIRS = ("CD4ML_MODEL_DIR", "SM_MODEL_DIR")
_MODULE = "CD4ML_MODEL_MODULE"  # how the workers know whose they are
_MAX_ROWS = 1000
_MAX_BYTES = 10 * 2**20

Message = MutableMapping[str, Any]
Receive = Callable[[], Awaitable[Message]]
Send = Callable[[Message], Awaitable[None]]
App = Callable[[Message, Receive, Send], Awaitable[None]]
Reply = tuple[int, dict[str, Any]]
JSON = "application/json"


class Unreadable(ValueError):
    """A request that has no rows to answer."""

    def __init__(self, status: int, message: str) -> None:
        super().__init__(message)
        self.status = status


def app_of(model: Any) -> App:
    """The ASGI application of a packaged model's module."""

    async def app(scope: Message, receive: Receive, send: Send) -> None:
        if scope["type"] == "lifespan":
            await _live(model, receive, send)
            return
        status, content = await _replied(model, scope, receive)
        kind, body = _written(status, content, scope)
        headers = [
            (b"content-type", kind.encode()),
            (b"content-length", b"%d" % len(body)),
            *_names(model, scope),
        ]
        await send({"type": "http.response.start", "status": status, "headers": headers})
        await send({"type": "http.response.body", "body": body})

    return app


def _names(model: Any, scope: Message) -> list[tuple[bytes, bytes]]:
    """Who answers; SageMaker passes on no header but the one of its own."""
    if scope["path"] not in ("/invocations", "/predict"):
        return []
    name = f"cd4ml-model={model.MODEL}/{model.NUMBER}".encode("ascii", "replace")
    return [(b"x-amzn-sagemaker-custom-attributes", name)]


def _header(scope: Message, name: bytes) -> str:
    """A header without its parameters, in small letters; "" if it is not there."""
    found = next((value for key, value in scope["headers"] if key == name), b"")
    return str(found.partition(b";")[0].partition(b",")[0].strip().lower().decode("latin-1"))


def _written(status: int, content: dict[str, Any], scope: Message) -> tuple[str, bytes]:
    """The reply as the caller wants it: as it says, else as it asked, else JSON."""
    kind = _header(scope, b"accept")
    kind = _header(scope, b"content-type") if kind in ("", "*/*") else kind
    if status == 200 and "predictions" in content and kind in (CSV, *JSON_LINES):
        return kind, answers_as(kind, [each["score"] for each in content["predictions"]])
    return JSON, json.dumps(content).encode()


async def _live(model: Any, receive: Receive, send: Send) -> None:
    while True:
        message = await receive()
        if message["type"] == "lifespan.startup":
            try:
                model.contract()  # loads it, and tries it
            except Exception as error:  # whatever a model raises: without it nothing is answered
                await send({"type": "lifespan.startup.failed", "message": str(error)})
                return
            await send({"type": "lifespan.startup.complete"})
        else:
            await send({"type": "lifespan.shutdown.complete"})
            return


async def _replied(model: Any, scope: Message, receive: Receive) -> Reply:
    method, path = scope["method"], scope["path"]
    if method == "GET" and path in ("/ping", "/health"):
        return 200, {"model": model.MODEL, "number": model.NUMBER}
    if method == "GET" and path == "/contract":
        return 200, model.contract()
    if method == "POST" and path in ("/invocations", "/predict"):
        try:
            is_explained = _asks_for_contributions(scope)
            body = await _body(receive)
            return _answer(model, body, _header(scope, b"content-type"), is_explained=is_explained)
        except Unreadable as error:
            return error.status, _explained(str(error))
    return 404, _explained("ask GET /ping, GET /contract or POST /invocations")


def _asks_for_contributions(scope: Message) -> bool:
    """Whether the query says `contributions=1`; it says nothing else."""
    query = scope.get("query_string", b"").decode("latin-1")
    said = parse_qs(query, keep_blank_values=True)
    unknown = [name for name in said if name != "contributions"]
    if unknown:
        raise Unreadable(400, f"the query parameter {unknown[0][:80]!r} means nothing here")
    asked = said.get("contributions", ["0"])[-1].lower()
    if asked not in ("0", "1", "false", "true"):
        raise Unreadable(400, f"expected contributions=1 or contributions=0, got {asked[:80]!r}")
    return asked in ("1", "true")


async def _body(receive: Receive) -> bytes:
    body: bytes = b""
    while True:
        message = await receive()
        body += message.get("body", b"")
        if len(body) > _MAX_BYTES:
            raise Unreadable(413, f"the body is larger than {_MAX_BYTES // 2**20} MB")
        if not message.get("more_body"):
            return body


def _answer(model: Any, body: bytes, kind: str, *, is_explained: bool = False) -> Reply:
    rows = _rows_in(body, kind, model.contract()["fields"])
    many = [rows] if isinstance(rows, dict) else rows
    try:
        with warnings.catch_warnings():  # they are in the answer
            warnings.simplefilter("ignore", model.ContractWarning)
            is_one = isinstance(rows, dict)
            answers = [model.predict(rows)] if is_one else model.predict_many(rows)
            apart = model.predict_many(many, contributions=True) if is_explained else []
    except model.ContractViolated as error:
        names = ("field", "path", "expected", "got")
        listed = [{name: getattr(each, name) for name in names} for each in error.violations]
        return 422, _explained(str(error)) | {"violations": listed}
    except model.ModelFailed as error:
        return 500, _explained(str(error))
    said = {"model": model.MODEL, "number": model.NUMBER, "artifact": model.ARTIFACT}
    warned = [asdict(each) for each in model.warnings_of(many)]
    predictions: list[dict[str, Any]] = [{"score": score, **said} for score in answers]
    for prediction, each in zip(predictions, apart, strict=False):
        prediction["explanation"] = asdict(each)
    answer: dict[str, Any] = {"predictions": predictions}
    return 200, answer | ({"warnings": warned} if warned else {})


def _explained(message: str) -> dict[str, Any]:
    hint = "send exactly the fields that GET /contract lists"
    return {"error": message, "hint": hint, "violations": []}


def _rows_in(body: bytes, kind: str, fields: list[dict[str, Any]]) -> Any:
    """One row, or a list: as lines, or as JSON."""
    if kind == CSV:
        try:
            rows = rows_of_csv(body, fields)
        except (ValueError, csv.Error) as error:
            raise Unreadable(400, f"the body is not CSV in UTF-8: {error}") from None
        return _listed(rows, CSV)
    if kind in JSON_LINES:
        return _listed(rows_of_json_lines(body, _decoded), kind)
    return _rows_of_json(_decoded(body), {field["name"] for field in fields})


def _decoded(text: bytes) -> Any:
    try:
        return json.loads(text, object_pairs_hook=_object)
    except Unreadable:
        raise
    except (ValueError, RecursionError) as error:
        raise Unreadable(400, f"the body is not JSON: {error}") from None


def _rows_of_json(content: Any, fields: set[str]) -> Any:
    """Rows under `rows`, or in the forms of MLflow and of SageMaker's examples."""
    if not isinstance(content, dict):
        raise Unreadable(422, "expected an object with a row, or with rows")
    given = next((n for n in ("rows", "instances", "dataframe_records") if n in content), None)
    if given is not None and (given not in fields or isinstance(content[given], list)):
        return _listed(content[given], given)
    split = content.get("dataframe_split")
    if "dataframe_split" not in fields and isinstance(split, dict):
        columns, data = split.get("columns"), split.get("data")
        if not (isinstance(columns, list) and isinstance(data, list)):
            raise Unreadable(422, "dataframe_split needs columns and data, which are lists")
        return _listed([_row(columns, values) for values in data], "dataframe_split.data")
    return content


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
    if len(rows) > _MAX_ROWS:
        raise Unreadable(413, f"the request has {len(rows)} rows, at most {_MAX_ROWS} are answered")
    return rows


def application() -> App:
    """The application of a worker."""
    named = (os.environ[name] for name in MODEL_DIRS if os.environ.get(name))
    folder = Path(next(named, "/opt/ml/model"))
    wheels = sorted(folder.glob("*.whl"))
    if len(wheels) > 1:
        sys.exit(f"expected one wheel in {folder}, got {', '.join(each.name for each in wheels)}")
    name = os.environ[_MODULE]
    for wheel in wheels:
        sys.path.insert(0, _unpacked(wheel))
        for known in [each for each in sys.modules if each.partition(".")[0] == name]:
            del sys.modules[known]  # this very program came from the one that is installed
    return app_of(import_module(name))


def _unpacked(wheel: Path) -> str:
    import tempfile
    import zipfile

    # a model's files are opened by their path, which they have not within an archive
    folder = tempfile.mkdtemp(prefix="model-")
    with zipfile.ZipFile(wheel) as archive:
        archive.extractall(folder)
    return folder


def main(module: str) -> None:
    """`serve` until the process is told to end."""
    if sys.argv[1:] != ["serve"]:
        sys.exit(f"usage: python -m {module} serve")
    port, workers = _number(PORT, 8080, most=65535), _number(WORKERS, 1, most=256)
    try:
        import uvicorn
    except ModuleNotFoundError:
        sys.exit("answering over HTTP needs uvicorn, which is not installed: pip install uvicorn")
    os.environ[_MODULE] = module
    uvicorn.run(
        f"{module}._server:application",
        factory=True,
        lifespan="on",  # else a model that cannot be loaded would answer /ping
        host=os.environ.get("CD4ML_HOST", "0.0.0.0"),
        port=port,
        workers=workers,
        access_log=False,
    )


def _number(name: str, default: int, *, most: int) -> int:
    given = os.environ.get(name, "") or str(default)
    if not (given.isdecimal() and 1 <= int(given) <= most):
        sys.exit(f"expected {name} to be a whole number from 1 to {most}, got {given!r}")
    return int(given)
