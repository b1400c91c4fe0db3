"""The pages of searches."""

from __future__ import annotations

from starlette.requests import Request

from cd4ml.loop import Project
from cd4ml.loop.search import search_report, searches
from cd4ml.web.page import MANY, Values
from cd4ml.web.parallel import parallel


def all_searches(project: Project, _: Request) -> Values:
    """Every search, newest first."""
    return {"searches": searches(project, limit=MANY)}


def one_search(project: Project, request: Request) -> Values:
    """One search: its trials, drawn and listed, and what mattered."""
    report = search_report(project, request.path_params["number"])
    return {"report": report, "drawn": parallel(report)}
