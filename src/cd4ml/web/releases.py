"""The pages of releases: the list, and one with what people may do with it."""

from __future__ import annotations

from typing import NamedTuple

from starlette.requests import Request

from cd4ml.loop import Project
from cd4ml.loop.releases import release_details, releases
from cd4ml.records.release import Release
from cd4ml.web.page import Values


class Choice(NamedTuple):
    """Something that people may do with a release: its name in the API, and a button's words."""

    action: str
    words: str


_CHOICES = {
    "awaiting_approval": (
        Choice("approve", "Approve"),
        Choice("request-changes", "Request changes"),
        Choice("reject", "Reject"),
        Choice("withdraw", "Withdraw"),
        Choice("abort", "Abort"),
    ),
    "changes_requested": (
        Choice("again", "Ask again"),
        Choice("reject", "Reject"),
        Choice("withdraw", "Withdraw"),
        Choice("abort", "Abort"),
    ),
    "rolling_out": (Choice("abort", "Abort"),),
    "released": (Choice("undo", "Undo"),),
}


def all_releases(project: Project, _: Request) -> Values:
    """Every release, newest first."""
    return {"releases": releases(project)[::-1]}


def release(project: Project, request: Request) -> Values:
    """One release: what decides it, who agreed, the plans it made, what happened."""
    details = release_details(project, request.path_params["number"])
    return {"details": details, "choices": _choices(details.release)}


def _choices(release: Release) -> list[Choice]:
    """What people may do with a release as it is; who may is decided when they do."""
    found = list(_CHOICES.get(release.state, ()))
    return [Choice("review", "Review the emergency"), *found] if release.needs_review else found
