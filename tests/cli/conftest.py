"""A project that has something to show, and somebody who types commands in it."""

from pathlib import Path

import pytest

from tests.cli.shell import Capture, Shell
from tests.starter import folder, project

__all__ = ["folder", "project"]


@pytest.fixture
def shell(folder: Path, capsys: Capture) -> Shell:
    return Shell(folder, capsys)
