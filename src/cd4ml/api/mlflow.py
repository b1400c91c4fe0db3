"""MLflow's REST API and artifact proxy: its clients work against this server unchanged.

Who acts is who the client's credentials say (a token of `cd4ml token create`, as
MLFLOW_TRACKING_TOKEN, or as the password beside a name); without any it is `mlflow`, who has
no role. Writes are JSON, which the pages of other sites cannot send.
"""

from __future__ import annotations

import json
import logging
import re
from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any, NamedTuple, get_origin, get_type_hints
from urllib.parse import urlsplit

import msgspec
from starlette.concurrency import run_in_threadpool
from starlette.datastructures import Headers
from starlette.requests import Request
from starlette.responses import FileResponse, PlainTextResponse, Response

from cd4ml.api.actor import credentials, named
from cd4ml.api.mlflow_calls import CALLS, Call, verb
from cd4ml.api.mlflow_uploads import received_file
from cd4ml.errors import Cd4mlError, InvalidInput, NotAllowed, refused_by_system
from cd4ml.loop import Project

if TYPE_CHECKING:
    from starlette.types import ASGIApp, Receive, Scope, Send

_log = logging.getLogger(__name__)

ANYBODY = "mlflow"
SPOKEN = "3.17.2"  # the MLflow whose API this is

_PREFIXES = ("/api/2.0/mlflow", "/api/3.0/mlflow", "/ajax-api/", "/graphql")
_FILES = "/api/2.0/mlflow-artifacts/artifacts"
_UPLOADS = "/api/2.0/mlflow-artifacts/mpu/"
_PARTS = re.compile(r"/api/2\.0/mlflow-artifacts/mpu/parts/([0-9a-f]+)/(\d{1,5})")
_SERVER_INFO = {
    "store_type": "SqlStore",
    "workspaces_enabled": False,
    "trace_archival_enabled": False,
    "multipart_uploads_enabled": True,
    "multipart_downloads_enabled": False,
}


class _Shape(NamedTuple):
    """The message of a call, and which of its fields are lists (in a URL, each item apart)."""

    message: type[msgspec.Struct]
    lists: frozenset[str]


def is_streamed(scope: Scope) -> bool:
    """Whether a request brings a file of any size, which is not read into memory."""
    path: str = scope["path"]
    return scope["method"] == "PUT" and path.startswith("/api/2.0/mlflow-artifacts/")


class MlflowFirst:
    """Answers what MLflow's clients ask, and hands everything else on.

    Args:
        project: Open; shared by the threads that answer.
        other: Who answers the rest.
    """

    def __init__(self, project: Project, other: ASGIApp) -> None:
        self._project = project
        self._other = other

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """One request."""
        if scope["type"] != "http" or not _is_mine(scope["path"]):
            await self._other(scope, receive, send)
            return
        request = Request(scope, receive)
        try:
            response = await self._answer(request)
        except Cd4mlError as error:
            response = _explained(error)
        except OSError as error:
            refused = refused_by_system(error)
            if refused is None:
                raise
            response = _explained(refused)
        except Exception as error:
            _log.exception("%s %s failed", request.method, request.url.path)
            words = f"a bug of cd4ml: {type(error).__name__} (hint: see the server's log)"
            response = _json({"error_code": "INTERNAL_ERROR", "message": words}, 500)
        await response(scope, receive, send)

    async def _answer(self, request: Request) -> Response:
        path = request.url.path
        if path == "/version":
            return PlainTextResponse(SPOKEN)
        if path == "/health":
            return PlainTextResponse("OK")
        if path == "/api/3.0/mlflow/server-info":
            return _json(_SERVER_INFO)
        if request.method not in ("GET", "HEAD"):
            _refuse_other_origins(request.headers)
        part = _PARTS.fullmatch(path)
        if part and request.method == "PUT":
            return await self._part(request, part[1], int(part[2]))
        actor = await run_in_threadpool(acting, self._project, request.headers)
        if path.startswith(f"{_FILES}/"):
            return await self._file(request, path.removeprefix(f"{_FILES}/"))
        if path.startswith(_UPLOADS) and request.method == "POST":
            return await self._upload(request, path.removeprefix(_UPLOADS))
        call, given = _call(request)
        asked = await _asked(request, call, given)
        return _json(await run_in_threadpool(verb(call.verb), self._project, asked, actor))

    async def _file(self, request: Request, path: str) -> Response:
        from cd4ml.loop.mlflow import files

        if request.method == "PUT":
            await run_in_threadpool(files.require_place, self._project, path)
            async with received_file(self._project, request) as content:
                await run_in_threadpool(files.put, self._project, path, content)
            return _json({})
        if request.method == "DELETE":
            return _json(await run_in_threadpool(files.remove, self._project, path))
        if request.method not in ("GET", "HEAD"):
            raise _not_offered(request)
        local: Path = await run_in_threadpool(files.fetch, self._project, path)
        name = path.rpartition("/")[2]
        return FileResponse(local, filename=name, media_type="application/octet-stream")

    async def _upload(self, request: Request, rest: str) -> Response:
        from cd4ml.loop.mlflow import files, messages

        step, _, path = rest.partition("/")
        if step == "create":
            creating = await _body(request, messages.CreateUpload)
            base = str(request.base_url).rstrip("/")
            return _json(
                await run_in_threadpool(files.begin_upload, self._project, path, creating, base)
            )
        if step == "complete":
            completing = await _body(request, messages.CompleteUpload)
            return _json(
                await run_in_threadpool(files.complete_upload, self._project, path, completing)
            )
        if step == "abort":
            aborting = await _body(request, messages.AbortUpload)
            return _json(await run_in_threadpool(files.abort_upload, self._project, path, aborting))
        raise _not_offered(request)

    async def _part(self, request: Request, upload: str, number: int) -> Response:
        from cd4ml.loop.mlflow import files

        target = await run_in_threadpool(files.part_of, self._project, upload, number)
        async with received_file(self._project, request) as content:
            if isinstance(content, Path):
                content.replace(target)
            else:
                target.write_bytes(content)
        return Response(headers={"etag": f'"{number}"'})


def acting(project: Project, headers: Headers) -> str:
    """The name of who acts: the token's owner, who the name says, or `mlflow`.

    Raises:
        NoToken: If the token is worthless.
        NotAllowed: If it is too narrow (it has to allow `track`), or somebody else's than the
            name beside it.
    """
    shown = credentials(headers)
    if not shown.secret:
        return shown.name or named(headers) or ANYBODY
    from cd4ml.loop.tokens import actor_with

    owner = actor_with(project, shown.secret, act="track")
    if shown.name not in ("", owner):
        raise NotAllowed(f"the token is {owner}'s, and not {shown.name!r}'s")
    return owner


def _refuse_other_origins(headers: Headers) -> None:
    origin = headers.get("origin", "")
    if origin and urlsplit(origin).netloc != headers.get("host", ""):
        msg = f"pages of {origin} may not write here"
        raise NotAllowed(msg, hint="send it from a program, or from a page of this server")


def _is_mine(path: str) -> bool:
    return path in ("/version", "/health") or path.startswith(_PREFIXES)


def _call(request: Request) -> tuple[Call, dict[str, str]]:
    """The call that a request makes, and what its path says."""
    path = request.url.path.replace("/ajax-api/", "/api/", 1)
    found = CALLS.get((request.method, path))
    if found is not None:
        return found, {}
    for (method, _), call in CALLS.items():
        named = call.pattern and call.pattern.fullmatch(path)
        if named and method == request.method:
            return call, named.groupdict()
    raise _not_offered(request)


def _not_offered(request: Request) -> Cd4mlError:
    from cd4ml.loop.mlflow.offered import not_offered

    return not_offered(request.method, request.url.path)


async def _asked(request: Request, call: Call, in_path: Mapping[str, str]) -> msgspec.Struct:
    shape = _shape(call)
    if request.method != "GET":
        body: msgspec.Struct = await _body(request, shape.message, in_path)
        return body
    query = request.query_params
    given: dict[str, Any] = {
        name: query.getlist(name) if name in shape.lists else value for name, value in query.items()
    }
    return _converted({**given, **in_path}, shape.message)


async def _body(
    request: Request, message: type[msgspec.Struct], in_path: Mapping[str, str] = {}
) -> Any:
    kind = request.headers.get("content-type", "").partition(";")[0].strip().lower()
    body = await request.body()
    if body and kind != "application/json":
        raise InvalidInput(f"expected a body of application/json, got {kind or 'none'}")
    if body and not in_path:
        try:
            return msgspec.json.decode(body, type=message, strict=False)
        except (msgspec.DecodeError, UnicodeDecodeError):
            pass  # NaN, or null for what is not there: both are read below
    try:
        given = json.loads(body or b"{}")
    except (ValueError, RecursionError) as error:
        raise InvalidInput(f"the body is not JSON: {error}") from None
    if not isinstance(given, dict):
        raise InvalidInput(f"expected a JSON object, got {type(given).__name__}")
    return _converted({**_without_null(given), **in_path}, message)


def _converted(given: dict[str, Any], message: type[msgspec.Struct]) -> msgspec.Struct:
    try:
        return msgspec.convert(given, message, strict=False)
    except msgspec.ValidationError as error:
        what = str(error).replace("`$.", "`")
        raise InvalidInput(f"{message.__name__}: {what}") from None
    except UnicodeEncodeError:  # half of a surrogate pair, where a number may stand
        raise InvalidInput(f"{message.__name__}: expected Unicode text") from None


def _without_null(value: Any) -> Any:
    if isinstance(value, dict):
        return {key: _without_null(item) for key, item in value.items() if item is not None}
    if isinstance(value, list):
        return [_without_null(item) for item in value]
    return value


_SHAPES: dict[str, _Shape] = {}


def _shape(call: Call) -> _Shape:
    known = _SHAPES.get(call.message)
    if known is None:
        from cd4ml.loop.mlflow import messages

        message = getattr(messages, call.message)
        hints = get_type_hints(message)
        lists = frozenset(name for name, kind in hints.items() if get_origin(kind) is list)
        known = _SHAPES[call.message] = _Shape(message, lists)
    return known


def _json(value: object, status_code: int = 200) -> Response:
    return Response(msgspec.json.encode(value), status_code, media_type="application/json")


def _explained(error: Cd4mlError) -> Response:
    from cd4ml.loop.mlflow.offered import answer_to

    answer = answer_to(error)
    message = f"{error.message} (hint: {error.hint})" if error.hint else error.message
    response = _json({"error_code": answer.code, "message": message}, answer.status)
    if answer.status == 401:
        response.headers["www-authenticate"] = 'Basic realm="cd4ml"'
    return response
