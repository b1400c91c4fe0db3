"""A project with two models under a plan, and its server, shared by the tests of one module."""

from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.models.builders import boosted
from tests.serving.builders import Caller, Released, Server, arm, server


@pytest.fixture
def project(tmp_path: Path, sqlite_template: Path) -> Iterator[Released]:
    """A project of this test alone, without a plan."""
    released = Released(tmp_path / "project", sqlite_template)
    yield released
    released.project.close()


@pytest.fixture(scope="module")
def released(tmp_path_factory: pytest.TempPathFactory, sqlite_template: Path) -> Iterator[Released]:
    """A project that serves one compiled model under plan 1."""
    project = Released(tmp_path_factory.mktemp("released") / "project", sqlite_template)
    project.plan(arm(project.model(boosted())))
    yield project
    project.project.close()


@pytest.fixture(scope="module")
def running(released: Released) -> Iterator[Server]:
    """A server of that project."""
    with server(released.folder) as process:
        yield process


@pytest.fixture
def caller(running: Server) -> Iterator[Caller]:
    """A connection to that server."""
    with running.caller() as connection:
        yield connection
