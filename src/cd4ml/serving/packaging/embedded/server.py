"""A packaged model over HTTP, as Amazon SageMaker asks of a container: /ping and /invocations.

A raw ASGI application (`app_of`), and `main`, which runs it under uvicorn: `serve` is the one
command. SAGEMAKER_BIND_TO_PORT names the port. A wheel below CD4ML_MODEL_DIR or SM_MODEL_DIR
(/opt/ml/model) answers in place of the one that is installed.
"""

from __future__ import annotations

import asyncio
import json
import logging
import os
import sys
import warnings
from collections.abc import Awaitable, Callable, MutableMapping
from concurrent.futures import Executor, ThreadPoolExecutor
from dataclasses import asdict
from functools import partial
from importlib import import_module
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any
from urllib.parse import parse_qs

from cd4ml.models.complaints import Complaints, times
from cd4ml.serving.packaging.embedded.forms import Unreadable, rows_in
from cd4ml.serving.packaging.embedded.given_wheel import MODEL_DIRS, unpack, wheel_given
from cd4ml.serving.packaging.embedded.lines import JSON, LINES, answers_as, wanted

PORT, WORKERS, HOST = "SAGEMAKER_BIND_TO_PORT", "CD4ML_WORKERS", "CD4ML_HOST"
_MODULE, _UNPACKED = "CD4ML_MODEL_MODULE", "CD4ML_MODEL_UNPACKED"  # how workers know what is theirs
_HELP = f"""\
usage: python -m {{module}} serve

Answers GET /ping, GET /contract, POST /invocations and POST /predict until it is told to end.

environment variables:
  {PORT}  the port (8080)
  {MODEL_DIRS[0]}         a folder; a wheel in it, of the same name, answers instead
  {MODEL_DIRS[1]}            the same, where the first is not set (/opt/ml/model)
  {WORKERS}           how many processes (1)
  {HOST}              the address to listen on (0.0.0.0)
"""
_MAX_BYTES = 10 * 2**20

Message = MutableMapping[str, Any]
Receive = Callable[[], Awaitable[Message]]
Send = Callable[[Message], Awaitable[None]]
App = Callable[[Message, Receive, Send], Awaitable[None]]
Reply = tuple[int, dict[str, Any]]
Write = Callable[[Any, list[float], list[dict[str, Any]]], dict[str, Any]]

_log = logging.getLogger("uvicorn.error")  # which uvicorn writes to stderr
_complaints = Complaints()


def app_of(model: Any) -> App:
    """The ASGI application of a packaged model's module.

    One thread asks the model, one request after the other; /ping does not wait for it.
    """
    asking = ThreadPoolExecutor(1, thread_name_prefix="model")

    async def app(scope: Message, receive: Receive, send: Send) -> None:
        if scope["type"] == "lifespan":
            await _live(model, receive, send)
            return
        status, content = await _replied(model, scope, receive, asking)
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
    kind = _wanted(scope) or _header(scope, b"content-type")
    given = content.get("predictions", [])
    is_apart = "explanations" in content or any("explanation" in p for p in _objects(given))
    if status == 200 and given and kind in LINES and not is_apart:
        return kind, answers_as(kind, [_score(each) for each in given])
    return JSON, json.dumps(content).encode()


def _wanted(scope: Message) -> str:
    said = [value for key, value in scope["headers"] if key == b"accept"]
    return wanted(b",".join(said).decode("latin-1"))


def _objects(predictions: list[Any]) -> list[dict[str, Any]]:
    return [each for each in predictions if isinstance(each, dict)]


def _score(prediction: Any) -> float:
    found: float = prediction["score"] if isinstance(prediction, dict) else prediction
    return found


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


async def _replied(model: Any, scope: Message, receive: Receive, asking: Executor) -> Reply:
    method, path = scope["method"], scope["path"]
    if method == "GET" and path in ("/ping", "/health"):
        return 200, {"model": model.MODEL, "number": model.NUMBER}
    if method == "GET" and path == "/contract":
        return 200, model.contract()
    if method == "POST" and path in ("/invocations", "/predict"):
        try:
            is_explained = _asks_for_contributions(scope)
            _refuse_compressed(_header(scope, b"content-encoding"))
            body = await _body(receive)
            fields = model.contract()["fields"]
            rows, asks_inside = rows_in(body, _header(scope, b"content-type"), fields)
            write = _as_mlflow if path == "/invocations" else _as_own
            is_explained = is_explained or asks_inside
            if is_explained:
                _refuse_lines(_wanted(scope))
            answer = partial(_answer, is_explained=is_explained)
            loop = asyncio.get_running_loop()
            return await loop.run_in_executor(asking, answer, model, rows, write)
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


def _refuse_lines(kind: str) -> None:
    """Let nobody who asks what each field adds wait for it in lines, which have scores only."""
    if kind in LINES:
        raise Unreadable(406, f"what each field adds is said in JSON, and {kind} is asked for")


def _refuse_compressed(encoding: str) -> None:
    if encoding not in ("", "identity"):
        raise Unreadable(415, f"the body is compressed ({encoding[:50]}), which is not read")


async def _body(receive: Receive) -> bytes:
    body: bytes = b""
    while True:
        message = await receive()
        body += message.get("body", b"")
        if len(body) > _MAX_BYTES:
            raise Unreadable(413, f"the body is larger than {_MAX_BYTES // 2**20} MB")
        if not message.get("more_body"):
            return body


def _answer(model: Any, rows: Any, write: Write, *, is_explained: bool) -> Reply:
    many = [rows] if isinstance(rows, dict) else rows
    try:
        with warnings.catch_warnings():  # they are in the answer
            warnings.simplefilter("ignore", model.ContractWarning)
            scores, apart = _asked(model, rows, is_explained=is_explained)
    except model.ContractViolated as error:
        names = ("field", "path", "expected", "got")
        listed = [{name: getattr(each, name) for name in names} for each in error.violations]
        return 422, _explained(str(error)) | {"violations": listed}
    except model.ModelFailed as error:
        _log_failure(error)
        hint = "nothing was answered; the server's log has the reason"
        return 500, {"error": error.message, "hint": hint}
    warned = [asdict(each) for each in model.warnings_of(many)]
    content = write(model, scores, [asdict(each) for each in apart])
    return 200, content | ({"warnings": warned} if warned else {})


def _asked(model: Any, rows: Any, *, is_explained: bool) -> tuple[list[float], list[Any]]:
    """The answers; and taken apart, if that is asked for."""
    is_one = isinstance(rows, dict)
    if not is_explained:
        return ([model.predict(rows)] if is_one else model.predict_many(rows)), []
    one = [model.predict(rows, contributions=True)] if is_one else []
    apart = one or model.predict_many(rows, contributions=True)
    return [each.answer for each in apart], apart


def _as_mlflow(model: Any, scores: list[float], apart: list[dict[str, Any]]) -> dict[str, Any]:
    """As `/invocations` of an endpoint answers, and MLflow's servers."""
    found = {"predictions": scores, "model_version": [f"{model.MODEL}/{model.NUMBER}"]}
    return found | ({"explanations": apart} if apart else {})


def _as_own(model: Any, scores: list[float], apart: list[dict[str, Any]]) -> dict[str, Any]:
    """As `/predict` of an endpoint answers, without what only that knows."""
    said = {"model": model.MODEL, "number": model.NUMBER, "artifact": model.ARTIFACT}
    predictions: list[dict[str, Any]] = [{"score": score, **said} for score in scores]
    for prediction, each in zip(predictions, apart, strict=False):
        prediction["explanation"] = each
    return {"predictions": predictions}


def _log_failure(error: Any) -> None:
    """Why nothing was answered, without values of the rows."""
    if n := _complaints.due(str(error)):
        _log.error("%s%s", error, times(n))


def _explained(message: str) -> dict[str, Any]:
    hint = "send exactly the fields that GET /contract lists"
    return {"error": message, "hint": hint, "violations": []}


def application() -> App:
    """The application of a worker."""
    name, folder = os.environ[_MODULE], os.environ.get(_UNPACKED)
    if folder:
        sys.path.insert(0, folder)
        for known in [each for each in sys.modules if each.partition(".")[0] == name]:
            del sys.modules[known]  # this very program came from the one that is installed
    try:
        return app_of(import_module(name))
    except ImportError as error:
        sys.exit(f"the model cannot be imported: {error}")


def main(module: str) -> None:
    """`serve` until the process is told to end."""
    if {"-h", "--help"} & set(sys.argv[1:]):
        sys.stdout.write(_HELP.format(module=module))
        return
    if sys.argv[1:] != ["serve"]:
        sys.exit(f"usage: python -m {module} serve")
    port, workers = _number(PORT, 8080, most=65535), _number(WORKERS, 1, most=256)
    try:
        import uvicorn
    except ModuleNotFoundError:
        sys.exit("answering over HTTP needs uvicorn, which is not installed: pip install uvicorn")
    os.environ[_MODULE] = module
    with TemporaryDirectory(prefix="model-") as folder:
        if (wheel := wheel_given(os.environ)) is not None:
            unpack(wheel, module, Path(folder))
            os.environ[_UNPACKED] = folder
        uvicorn.run(
            f"{module}._server:application",
            factory=True,
            lifespan="on",  # else a model that cannot be loaded would answer /ping
            host=os.environ.get(HOST) or "0.0.0.0",
            port=port,
            workers=workers,
            access_log=False,
        )


def _number(name: str, default: int, *, most: int) -> int:
    given = os.environ.get(name, "") or str(default)
    if not (given.isdecimal() and 1 <= int(given) <= most):
        sys.exit(f"expected {name} to be a whole number from 1 to {most}, got {given!r}")
    return int(given)
