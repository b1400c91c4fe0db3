"""The console as an application: its pages, its files, and what it says when something fails."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any
from urllib.parse import quote

from starlette.applications import Starlette
from starlette.exceptions import HTTPException
from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import Mount, Route
from starlette.staticfiles import StaticFiles

from cd4ml.errors import Cd4mlError
from cd4ml.loop import Project
from cd4ml.loop.runs import file_of
from cd4ml.loop.status import is_simulated
from cd4ml.web.page import Page
from cd4ml.web.pages import PAGES
from cd4ml.web.render import fill
from cd4ml.web.runs import content_type

STATIC = Path(__file__).parent / "static"


def console(project: Project) -> Starlette:
    """The console of a project; open, and shared by the threads that answer."""
    fault = _fault(project)
    static = Mount("/static", StaticFiles(directory=STATIC))
    files = Route("/runs/{number}/files/{path:path}", _file(project))
    return Starlette(
        routes=[
            static,
            files,
            *(Route(page.path, _show(project, page)) for page in PAGES),
        ],
        exception_handlers={Cd4mlError: fault, HTTPException: fault, Exception: fault},
    )


def _show(project: Project, page: Page) -> Callable[[Request], Response]:
    def show(request: Request) -> Response:
        return fill(page.template, **_frame(project, request), **page.values(project, request))

    return show


def _file(project: Project) -> Callable[[Request], Response]:
    """A file that a run logged: pictures to look at, everything else only to save."""

    def file(request: Request) -> Response:
        path = request.path_params["path"]
        content = file_of(project, request.path_params["number"], path)
        name = quote(path.rpartition("/")[2])
        return Response(
            content,
            media_type=content_type(path) or "application/octet-stream",
            headers={"content-disposition": f"attachment; filename*=UTF-8''{name}"},
        )

    return file


def _fault(project: Project) -> Callable[[Request, Exception], Response]:
    def fault(request: Request, error: Exception) -> Response:
        said = _words(error)
        return fill("fault.html", **_frame(project, request), **said)

    return fault


def _words(error: Exception) -> dict[str, Any]:
    if isinstance(error, Cd4mlError):
        return {"status_code": error.http_status, "message": error.message, "hint": error.hint}
    if isinstance(error, HTTPException):
        return {"status_code": error.status_code, "message": error.detail, "hint": ""}
    # Starlette raises it again once the page is sent: the server's log has the traceback
    name = type(error).__name__
    return {"status_code": 500, "message": f"a bug of cd4ml: {name}", "hint": "see the log"}


def _frame(project: Project, request: Request) -> dict[str, Any]:
    """What the frame of every page says."""
    return {
        "project": project.settings.project.name,
        "here": request.url.path,
        "now": project.clock.now(),
        "is_simulated": is_simulated(project),
    }
