"""A person who types commands in a project's folder."""

import json
from pathlib import Path
from typing import Any

import pytest

from cd4ml.cli import main
from tests.starter import ADMIN

Capture = pytest.CaptureFixture[str]


class Shell:
    """A person in a project's folder."""

    def __init__(self, folder: Path, capsys: Capture) -> None:
        self._folder = folder
        self._capsys = capsys
        self.code = 0
        self.error = ""

    def __call__(self, words: str, *more: str, by: str = ADMIN) -> str:
        """What a command prints; its exit code and errors are kept."""
        typed = [*words.split(), *more, "--project", str(self._folder), "--as", by]
        self.code = main(typed)
        out, self.error = self._capsys.readouterr()
        return out

    def json(self, words: str, *more: str, by: str = ADMIN) -> Any:
        """The same, for machines."""
        out = self(words, *more, "--json", by=by)
        return json.loads(out) if out else json.loads(self.error)
