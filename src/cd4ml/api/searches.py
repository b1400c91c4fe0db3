"""What the API answers about searches."""

from __future__ import annotations

from cd4ml.api import bodies
from cd4ml.api.endpoint import Endpoint, Reading
from cd4ml.loop import Project


def _searches(project: Project, asked: bodies.SearchesAsked) -> object:
    from cd4ml.loop.search import searches

    return searches(project, limit=asked.limit)


def _search(project: Project, asked: bodies.Number) -> object:
    from cd4ml.loop.search import search_report

    return search_report(project, asked.number)


SEARCHES: tuple[Endpoint, ...] = (
    Reading("/searches", bodies.SearchesAsked, _searches, "The newest searches, how far they are."),
    Reading("/searches/{number}", bodies.Number, _search, "One search: trials and what mattered."),
)
