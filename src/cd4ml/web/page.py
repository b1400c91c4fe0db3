"""What a page is: a path, its template, and what fills it."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, NamedTuple

from starlette.requests import Request

from cd4ml.loop import Project

Values = dict[str, Any]
MANY = 200  # rows that a list shows


class Page(NamedTuple):
    """A path, its template, and what fills it."""

    path: str
    template: str
    values: Callable[[Project, Request], Values]
