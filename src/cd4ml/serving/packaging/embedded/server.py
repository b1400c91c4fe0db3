"""A packaged model over HTTP, as Amazon SageMaker asks of a container: /ping and /invocations.

A raw ASGI application (`app_of`), and `main`, which runs it under uvicorn: `serve` is the one
command. SAGEMAKER_BIND_TO_PORT names the port. A wheel below CD4ML_MODEL_DIR (/opt/ml/model)
answers in place of the one that is installed.
"""

from __future__ import annotations

import json
import os
import sys
import warnings
from collections.abc import Awaitable, Callable, MutableMapping
from dataclasses import asdict
from importlib import import_module
from pathlib import Path
from typing import Any

PORT, MODEL_DIR, WORKERS = "SAGEMAKER_BIND_TO_PORT", "CD4ML_MODEL_DIR", "CD4ML_WORKERS"
_MODULE = "CD4ML_MODEL_MODULE"  # how the workers know whose they are
_MAX_ROWS = 1000
_MAX_BYTES = 10 * 2**20

Message = MutableMapping[str, Any]
Receive = Callable[[], Awaitable[Message]]
Send = Callable[[Message], Awaitable[None]]
App = Callable[[Message, Receive, Send], Awaitable[None]]
Reply = tuple[int, dict[str, Any]]


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
        body = json.dumps(content).encode()
        kind = [(b"content-type", b"application/json"), (b"content-length", b"%d" % len(body))]
        await send({"type": "http.response.start", "status": status, "headers": kind})
        await send({"type": "http.response.body", "body": body})

    return app


async def _live(model: Any, receive: Receive, send: Send) -> None:
    while True:
        message = await receive()
        if message["type"] == "lifespan.startup":
            model.contract()  # loads it, and tries it
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
            return _answer(model, await _body(receive))
        except Unreadable as error:
            return error.status, _explained(str(error))
    return 404, _explained("ask GET /ping, GET /contract or POST /invocations")


async def _body(receive: Receive) -> bytes:
    body: bytes = b""
    while True:
        message = await receive()
        body += message.get("body", b"")
        if len(body) > _MAX_BYTES:
            raise Unreadable(413, f"the body is larger than {_MAX_BYTES // 2**20} MB")
        if not message.get("more_body"):
            return body


def _answer(model: Any, body: bytes) -> Reply:
    rows = _rows_in(body, {field["name"] for field in model.contract()["fields"]})
    many = [rows] if isinstance(rows, dict) else rows
    try:
        with warnings.catch_warnings():  # they are in the answer
            warnings.simplefilter("ignore", model.ContractWarning)
            scores = [model.predict(rows)] if isinstance(rows, dict) else model.predict_many(rows)
    except model.ContractViolated as error:
        names = ("field", "path", "expected", "got")
        listed = [{name: getattr(each, name) for name in names} for each in error.violations]
        return 422, _explained(str(error)) | {"violations": listed}
    except model.ModelFailed as error:
        return 500, _explained(str(error))
    said = {"model": model.MODEL, "number": model.NUMBER, "artifact": model.ARTIFACT}
    warned = [asdict(each) for each in model.warnings_of(many)]
    answer: dict[str, Any] = {"predictions": [{"score": score, **said} for score in scores]}
    return 200, answer | ({"warnings": warned} if warned else {})


def _explained(message: str) -> dict[str, Any]:
    hint = "send exactly the fields that GET /contract lists"
    return {"error": message, "hint": hint, "violations": []}


def _rows_in(body: bytes, fields: set[str]) -> Any:
    """One row, or a list: under `rows`, or in the forms of MLflow and of SageMaker's examples."""
    try:
        content = json.loads(body, object_pairs_hook=_object)
    except Unreadable:
        raise
    except (ValueError, RecursionError) as error:
        raise Unreadable(400, f"the body is not JSON: {error}") from None
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
    folder = Path(os.environ.get(MODEL_DIR, "/opt/ml/model"))
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
    import uvicorn

    os.environ[_MODULE] = module
    uvicorn.run(
        f"{module}._server:application",
        factory=True,
        host=os.environ.get("CD4ML_HOST", "0.0.0.0"),
        port=int(os.environ.get(PORT, "8080")),
        workers=int(os.environ.get(WORKERS, "1")),
        access_log=False,
    )
