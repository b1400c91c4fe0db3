"""Projects to work on: laid out, and released. Each test gets a copy of its own."""

import shutil
from collections.abc import Iterator
from pathlib import Path

import pytest

from cd4ml.loop import Project, open_project
from tests.loop import world


@pytest.fixture(scope="session")
def laid_out_folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A project with data and people; nothing has been done with it."""
    folder = tmp_path_factory.mktemp("laid-out") / "small"
    world.lay_out(folder)
    return folder


@pytest.fixture(scope="session")
def released_folder(laid_out_folder: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """That project after delay/1 was released to production."""
    folder = tmp_path_factory.mktemp("released") / "small"
    shutil.copytree(laid_out_folder, folder)
    with open_project(folder) as project:
        world.release_first(project)
    return folder


@pytest.fixture
def project(laid_out_folder: Path, tmp_path: Path) -> Iterator[Project]:
    """A project of this test alone, in which nothing was done yet."""
    yield from _copy(laid_out_folder, tmp_path)


@pytest.fixture
def released(released_folder: Path, tmp_path: Path) -> Iterator[Project]:
    """A project of this test alone, with delay/1 in charge of production."""
    yield from _copy(released_folder, tmp_path)


def _copy(source: Path, tmp_path: Path) -> Iterator[Project]:
    folder = tmp_path / "small"
    shutil.copytree(source, folder)
    with open_project(folder) as project:
        yield project
