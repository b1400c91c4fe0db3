"""A project that has something to show, and its control plane."""

from collections.abc import Iterator

import httpx
import pytest

from cd4ml.loop import Project
from tests.browser import browser
from tests.starter import folder, project

__all__ = ["client", "folder", "project"]


@pytest.fixture
def client(project: Project) -> Iterator[httpx.Client]:
    """A browser beside the control plane."""
    with browser(project) as opened:
        yield opened
