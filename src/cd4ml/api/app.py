"""The control plane as one ASGI application."""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Iterable
from typing import TYPE_CHECKING, Any, ClassVar

import msgspec
from starlette.applications import Starlette
from starlette.concurrency import run_in_threadpool
from starlette.exceptions import HTTPException
from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import Mount, Route

from cd4ml.api.actor import acting, asking, credentials
from cd4ml.api.answers import Fault, error_response, json_response
from cd4ml.api.door import Door
from cd4ml.api.endpoint import Acting, Asking, Endpoint, Minting, Reading, Received, Receiving
from cd4ml.api.guard import Guard
from cd4ml.api.later import ConsoleLater
from cd4ml.api.later import import_console as import_console
from cd4ml.api.mlflow import MlflowFirst, is_streamed
from cd4ml.api.routes import ENDPOINTS
from cd4ml.api.scopes import act_of, thing_of
from cd4ml.errors import Cd4mlError, InvalidInput, refused_by_system
from cd4ml.loop import Project

if TYPE_CHECKING:
    from starlette.types import ASGIApp

MAX_BODY = 10_000_000  # bytes
KEY = "idempotency-key"


class NotJson(Cd4mlError):
    """The body is not JSON, or does not say that it is."""

    http_status: ClassVar[int] = 400


class WrongType(Cd4mlError):
    """The body says that it is something else than JSON."""

    http_status: ClassVar[int] = 415


def control_plane(
    project: Project,
    *,
    hosts: Iterable[str] = (),
    max_body: int = MAX_BODY,
    needs_token: bool = False,
) -> ASGIApp:
    """API and console of a project; the caller closes the project after the last request.

    Args:
        project: Open; shared by the threads that answer.
        hosts: Names besides the loopback ones under which it may be reached.
        max_body: The longest body that is read, in bytes.
        needs_token: Answer only who shows a token, also who only looks.
    """
    _open_stores(project)
    api = Starlette(
        routes=[
            Route(each.path, _answer(project, each), methods=[each.method]) for each in ENDPOINTS
        ],
        exception_handlers=_HANDLERS,
    )
    app = Starlette(routes=[Mount("/api", api), Mount("/", ConsoleLater(project))])
    both = MlflowFirst(project, app)
    behind = Door(both, project) if needs_token else both
    return Guard(behind, hosts=hosts, max_body=max_body, is_streamed=is_streamed)


def _open_stores(project: Project) -> None:
    # they open themselves when first used, which two threads at once must not do
    _ = project.database, project.blobs, project.files, project.clock, project.log


def _answer(project: Project, to: Endpoint) -> Callable[[Request], Awaitable[Response]]:
    async def answer(request: Request) -> Response:
        if isinstance(to, Reading | Asking):
            actor = await run_in_threadpool(asking, project, request.headers)
            asked = _fields(dict(request.query_params), request, to, strict=False)
            who = (actor,) if isinstance(to, Asking) else ()
            return json_response(await run_in_threadpool(to.answer, project, asked, *who))
        if isinstance(to, Receiving):
            given = dict(request.query_params)
            actor = await run_in_threadpool(_actor, project, request, to, given)
            asked = _fields(given, request, to, strict=False)
            received = await _received(request, to)
            return json_response(
                await run_in_threadpool(to.receive, project, asked, received, actor)
            )
        # who it is comes before what they say: a stranger hears nothing about fields
        await run_in_threadpool(acting, project, request.headers, needs_token=False)
        body = await _body(request)
        actor = await run_in_threadpool(_actor, project, request, to, body)
        asked = _fields(body, request, to, strict=True)
        if isinstance(to, Minting):
            shown = credentials(request.headers).secret
            return json_response(await run_in_threadpool(to.mint, project, asked, actor, shown))
        return json_response(await run_in_threadpool(to.act, project, asked, actor))

    return answer


def _actor(
    project: Project, request: Request, to: Acting | Minting | Receiving, given: dict[str, Any]
) -> str:
    """Who acts; a token has to be good for it."""
    return acting(
        project,
        request.headers,
        needs_token=isinstance(to, Receiving),
        act=act_of(to.path, to.method),
        on=thing_of(project, to.path, {**given, **request.path_params}),
    )


def _fields(
    given: dict[str, Any], request: Request, to: Endpoint, *, strict: bool
) -> msgspec.Struct:
    named = {**given, **request.path_params}
    if set(given) & set(request.path_params):
        twice = ", ".join(sorted(set(given) & set(request.path_params)))
        msg = f"{to.method} {to.path}: {twice} is in the path already"
        raise InvalidInput(msg)
    try:
        return msgspec.convert(named, to.asks, strict=strict)
    except msgspec.ValidationError as error:
        msg = f"{to.method} {to.path}: {str(error).replace('`$.', '`')}"
        raise InvalidInput(msg, hint="docs/reference/api.md lists the fields") from None


async def _body(request: Request) -> dict[str, Any]:
    kind = _content_type(request)
    if kind != "application/json":
        msg = f"expected a body of application/json, got {kind or 'none'}"
        raise WrongType(msg, hint="send the header content-type: application/json")
    try:
        body = msgspec.json.decode(await request.body())
    except (msgspec.DecodeError, UnicodeDecodeError, RecursionError) as error:
        msg = f"the body is not JSON: {error}"
        raise NotJson(msg) from None
    if not isinstance(body, dict):
        msg = f"expected a JSON object, got {type(body).__name__}"
        raise InvalidInput(msg)
    return body


async def _received(request: Request, to: Receiving) -> Received:
    kind = _content_type(request)
    if kind not in to.takes:
        msg = f"expected a body of {' or '.join(to.takes)}, got {kind or 'none'}"
        raise WrongType(msg, hint="say what it is in the header content-type")
    return Received(await request.body(), kind, request.headers.get(KEY, ""))


def _content_type(request: Request) -> str:
    return request.headers.get("content-type", "").partition(";")[0].strip().lower()


def _explain(_: Request, error: Exception) -> Response:
    if not isinstance(error, Cd4mlError):
        raise error
    answer = error_response(error)
    if error.http_status == 401:
        answer.headers["www-authenticate"] = "Bearer"
    return answer


def _say_what_http_says(request: Request, error: Exception) -> Response:
    if not isinstance(error, HTTPException):
        raise error
    words = f"{request.method} {request.url.path}: {error.detail}"
    answer = json_response(Fault(error=words), error.status_code)
    answer.headers.update(error.headers or {})
    return answer


def _apologise(_: Request, error: Exception) -> Response:
    # Starlette raises it again once this is sent, so the server's log has the traceback
    fault = Fault(error=f"a bug of cd4ml: {type(error).__name__}", hint="see the server's log")
    return json_response(fault, 500)


def _say_what_the_system_says(_: Request, error: Exception) -> Response:
    refused = refused_by_system(error) if isinstance(error, OSError) else None
    if refused is None:
        raise error
    return error_response(refused)


_HANDLERS: dict[Any, Any] = {
    Cd4mlError: _explain,
    OSError: _say_what_the_system_says,
    HTTPException: _say_what_http_says,
    Exception: _apologise,
}
