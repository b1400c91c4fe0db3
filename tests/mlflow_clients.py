"""Real MLflow clients, each in an environment of its own, against a real server.

The environments are made once, outside the repository, and kept: mlflow brings 90
distributions, and what it pins must not decide what cd4ml is tested with.
"""

import json
import os
import subprocess
import sys
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from benchmarks.contest import environment
from tests.services.processes import ends_with_parent

NEW, SKINNY, OLD = "mlflow==3.17.2", "mlflow-skinny==3.17.2", "mlflow-skinny==2.18.0"
PROGRAMS = Path(__file__).parent / "api" / "mlflow"

_ENVIRONMENTS: dict[str, tuple[str, ...]] = {
    NEW: ("mlflow", NEW, "polars"),
    SKINNY: ("mlflow-skinny", SKINNY),
    OLD: ("mlflow-old", OLD, "scikit-learn", "pandas", "setuptools<81"),  # two years old
}


def python_with(client: str) -> Path:
    """The Python of the environment that has a client."""
    return environment(*_ENVIRONMENTS[client]) / "python"


def lay_out(folder: Path, *lines: str) -> Path:
    """An empty project, and the folder it is in."""
    folder.mkdir()
    settings = ["[project]", 'name = "flights"', 'pipeline = "pipeline"', *lines]
    (folder / "cd4ml.toml").write_text("\n".join(settings))
    (folder / "pipeline.py").write_text("")
    return folder


@contextmanager
def served(folder: Path, **variables: str) -> Iterator[str]:
    """`cd4ml up` in a project; its address."""
    command = [sys.executable, "-m", "cd4ml", "--json", "up", "--port", "0"]
    with subprocess.Popen(
        ends_with_parent(command),
        cwd=folder,
        env={**os.environ, **variables},
        stdout=subprocess.PIPE,
        text=True,
    ) as server:
        try:
            assert server.stdout is not None
            yield json.loads(server.stdout.readline())["console"]
        finally:
            server.terminate()
            server.wait(20)


def start(
    client: str, program: str, *words: str, cwd: Path | None = None, **variables: str
) -> "subprocess.Popen[str]":
    """A program of a client, started: it prints one line of JSON at its end."""
    kept = {name: os.environ[name] for name in ("PATH", "HOME", "TMPDIR") if name in os.environ}
    quick = {"MLFLOW_HTTP_REQUEST_MAX_RETRIES": "1", "MLFLOW_DISABLE_TELEMETRY": "true"}
    return subprocess.Popen(
        [python_with(client), PROGRAMS / program, *words],
        cwd=cwd,
        env={**kept, **quick, "GIT_PYTHON_REFRESH": "quiet", **variables},
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
    )


def ended(process: "subprocess.Popen[str]") -> Any:
    """What a program printed last; fails with its words if it did."""
    said, cried = process.communicate(timeout=110)
    assert process.returncode == 0, cried[-4000:]
    return json.loads(said.splitlines()[-1])


def run(
    client: str, program: str, words: Sequence[str], *, cwd: Path | None = None, **variables: str
) -> Any:
    """What a program of a client printed, as JSON."""
    return ended(start(client, program, *words, cwd=cwd, **variables))
