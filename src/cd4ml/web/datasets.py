"""The pages of datasets: the catalog, a version, what is different between two."""

from __future__ import annotations

from starlette.requests import Request

from cd4ml.loop import Project
from cd4ml.loop.catalog import catalog
from cd4ml.loop.diff import diff, profile
from cd4ml.loop.ingest import show_dataset
from cd4ml.web.page import MANY, Values


def data(project: Project, request: Request) -> Values:
    """The catalog, or what is found in it."""
    query = request.query_params.get("query", "").strip()
    return {"query": query, "datasets": catalog(project, query, limit=MANY)}


def dataset(project: Project, request: Request) -> Values:
    """One dataset, with the histograms of its columns."""
    details = show_dataset(project, request.path_params["ref"])
    version = details.version
    table = profile(project, version.ref) if version.profile and details.facts.may_read else None
    earlier = [each for each in details.versions if each.number < version.number]
    return {
        "details": details,
        "bars": {column.name: column.bars for column in table.columns} if table else {},
        "before": earlier[-1] if earlier else None,
    }


def difference(project: Project, request: Request) -> Values:
    """What is different between two versions."""
    asked = request.query_params
    return {"diff": diff(project, asked.get("before", ""), asked.get("after", ""), actor="")}
