"""Who makes versions of files: cd4ml, DVC and git-annex, each in a folder of its own choosing.

All work in one folder on the same files; each begins without any history.
"""

from __future__ import annotations

import json
import os
import shutil
import sys
from pathlib import Path

import contest
from contest import Cost, cost_of_command

ACTOR = "bench"
HERE = Path(__file__).parent
DVC = "3.67.1"

_CORPORA = {"many", "few", "big"}
_PROJECT = """\
[project]
name = "bench"

[data.referenced]
path = "many/"
store = "reference"

[data.copied]
path = "many/"

[data.big]
path = "big/"

[data.few]
path = "few/"
"""


class Ground:
    """The folder with the corpora, and the surroundings of every command that is run in it."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder / "ground"
        self.folder.mkdir()
        site = self.folder / "site"
        self._env = {**os.environ, **contest.own_settings(folder / "home", site=site, actor=ACTOR)}

    def run(self, *words: str | Path, within: str = "") -> Cost:
        """What a command costs here."""
        return cost_of_command(*words, cwd=self.folder / within, env=self._env)[0]

    def run_in_process(self, python: str | Path, *words: str) -> Cost:
        """What adding costs without interpreter and imports, as `adding.py` says."""
        program = (python, HERE / "adding.py", *words)
        _, said = cost_of_command(*program, cwd=self.folder, env=self._env)
        return Cost(*json.loads(said.splitlines()[-1]))

    def clear(self) -> None:
        """Leave nothing but the corpora."""
        for path in self.folder.iterdir():
            if path.name not in _CORPORA:
                contest.remove(path)


class Cd4ml:
    """A project with a dataset a corpus."""

    name = "cd4ml data add"

    def __init__(self, ground: Ground) -> None:
        self._ground = ground

    def begin(self) -> None:
        """A project without history."""
        self._ground.clear()
        (self._ground.folder / "cd4ml.toml").write_text(_PROJECT)
        self._ground.run(sys.executable, "-m", "cd4ml", "people", "add", ACTOR)

    def add(self, name: str, *, in_process: bool = False) -> Cost:
        """A version of a dataset."""
        if in_process:
            return self._ground.run_in_process(sys.executable, "cd4ml", name)
        return self._ground.run(sys.executable, "-m", "cd4ml", "data", "add", name)


class Dvc:
    """DVC in an environment of its own: copies into its cache, no analytics, no look for updates."""

    name = "dvc add"

    def __init__(self, ground: Ground) -> None:
        self._ground = ground
        self._programs = contest.environment("dvc", f"dvc=={DVC}")

    def begin(self) -> None:
        """A repository without history."""
        self._ground.clear()
        dvc = self._programs / "dvc"
        self._ground.run("git", "init", "--quiet")
        self._ground.run(dvc, "init", "--quiet")
        for option in ("analytics", "check_update"):
            self._ground.run(dvc, "config", f"core.{option}", "false")

    def add(self, folder: str, *, in_process: bool = False) -> Cost:
        """A version of a folder."""
        if in_process:
            return self._ground.run_in_process(self._programs / "python", "dvc", folder)
        return self._ground.run(self._programs / "dvc", "add", "--quiet", folder)


class GitAnnex:
    """git-annex as Debian has it; files become links, so it works on copies."""

    name = "git annex add"

    def __init__(self, ground: Ground) -> None:
        self._ground = ground
        self.program = contest.debian("git-annex", "git-annex")

    @property
    def version(self) -> str:
        """Of the program."""
        words = (self.program, "version", "--raw")
        return cost_of_command(*words, cwd=self._ground.folder)[1].strip()

    def begin(self) -> None:
        """A repository without history, with copies of the few files in it."""
        self._ground.clear()
        repository = self._ground.folder / "annex"
        repository.mkdir()
        self._ground.run("git", "init", "--quiet", within="annex")
        self._ground.run(self.program, "init", "--quiet", within="annex")
        shutil.copytree(self._ground.folder / "few", repository / "few")

    def add(self, folder: str) -> Cost:
        """A version of a folder."""
        return self._ground.run(self.program, "add", "--quiet", folder, within="annex")
