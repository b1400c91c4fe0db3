"""Does MLflow's own client find a faster server here than `mlflow server`, up sooner and smaller?

Prints one JSON line a figure: {"name", "value", "unit", "goal", "holds"}. The same program of
the real client, in its own environment, talks to both servers in turn; each begins on an empty
SQLite database. Needs an environment with mlflow, which is made once and kept.
"""

from __future__ import annotations

import json
import os
import signal
import socket
import subprocess
import sys
import time
import urllib.error
import urllib.request
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from statistics import median
from typing import NamedTuple

import psutil
from contest import environment, figure, peer, scratch

MLFLOW = "3.17.2"
ROUNDS = 3
PATIENCE_S = 90
PROGRAM = Path(__file__).parent / "mlflow_client.py"
PARTS = {
    "a metric": "ms",
    "a small run": "ms",
    "a batch of 1,000 metrics": "ms",
    "a file of 1 MB, there and back": "ms",
    "filter and sort 1,000 runs": "ms",
}


class Server(NamedTuple):
    """Where a server answers, how long it took to, and the memory of all its processes."""

    url: str
    ready_s: float
    mb: float


def main() -> None:
    """Measure, and print every figure."""
    bin = environment("mlflow", f"mlflow=={MLFLOW}", "polars")
    ours: list[tuple[Server, dict[str, float]]] = []
    theirs: list[tuple[Server, dict[str, float]]] = []
    for _ in range(ROUNDS):
        with scratch() as folder, cd4ml_up(folder) as server:
            ours.append((server, told(bin, server.url)))
        with scratch() as folder, mlflow_server(bin, folder) as server:
            theirs.append((server, told(bin, server.url)))
    tell(ours, theirs)
    peer("MLflow", MLFLOW)


def tell(
    ours: list[tuple[Server, dict[str, float]]], theirs: list[tuple[Server, dict[str, float]]]
) -> None:
    """Print the medians, and the ratios with their goals."""
    figure("server ready", median(each.ready_s for each, _ in ours), "s", "<= 1")
    figure("server's memory", median(each.mb for each, _ in ours), "MB", "<= 150")
    figure("mlflow server: ready", median(each.ready_s for each, _ in theirs), "s")
    figure("mlflow server: memory", median(each.mb for each, _ in theirs), "MB")
    for part, unit in PARTS.items():
        here = median(took[part] for _, took in ours)
        there = median(took[part] for _, took in theirs)
        figure(f"MLflow's client: {part}", here, unit)
        figure(f"mlflow server: {part}", there, unit)
        figure(f"{part}, mlflow server beside ours", there / here, "times as long", ">= 1")


def told(bin: Path, url: str) -> dict[str, float]:
    """What the client's program measured against a server."""
    command = [bin / "python", PROGRAM, url]
    quiet = {**os.environ, "MLFLOW_DISABLE_TELEMETRY": "true", "GIT_PYTHON_REFRESH": "quiet"}
    ended = subprocess.run(command, env=quiet, capture_output=True, text=True, check=False)
    if ended.returncode:
        raise RuntimeError(f"the client failed on {url}:\n{ended.stderr[-3000:]}")
    found: dict[str, float] = json.loads(ended.stdout.splitlines()[-1])
    return found


@contextmanager
def cd4ml_up(folder: Path) -> Iterator[Server]:
    """Our server, with its background work, on a project that has nothing yet."""
    (folder / "cd4ml.toml").write_text('[project]\nname = "flights"\npipeline = "pipeline"\n')
    (folder / "pipeline.py").write_text("")
    command = [sys.executable, "-m", "cd4ml", "up", "--port"]
    with _running(command, folder) as server:
        yield server


@contextmanager
def mlflow_server(bin: Path, folder: Path) -> Iterator[Server]:
    """MLflow's server, as it starts by default."""
    store = ["--backend-store-uri", f"sqlite:///{folder}/mlflow.db"]
    files = ["--artifacts-destination", str(folder / "artifacts")]
    command = [str(bin / "mlflow"), "server", *store, *files, "--host", "127.0.0.1", "--port"]
    with _running(command, folder) as server:
        yield server


@contextmanager
def _running(command: list[str], folder: Path) -> Iterator[Server]:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port = probe.getsockname()[1]
    url = f"http://127.0.0.1:{port}"
    began = time.perf_counter()
    quiet = {**os.environ, "MLFLOW_DISABLE_TELEMETRY": "true"}
    with (folder / "server.log").open("wb") as log:
        process = subprocess.Popen(
            [*command, str(port)],
            cwd=folder,
            env=quiet,
            stdout=log,
            stderr=subprocess.STDOUT,
            start_new_session=True,
        )
    try:
        _wait(url, process, folder / "server.log")
        ready_s = time.perf_counter() - began
        time.sleep(2)  # until all its processes are there
        yield Server(url, ready_s, _memory_mb(process.pid))
    finally:
        os.killpg(process.pid, signal.SIGTERM)
        try:
            process.wait(20)
        except subprocess.TimeoutExpired:
            os.killpg(process.pid, signal.SIGKILL)
            process.wait()


def _wait(url: str, process: subprocess.Popen[bytes], log: Path) -> None:
    """Until it says that it is well."""
    asked = f"{url}/health"
    until = time.perf_counter() + PATIENCE_S
    while time.perf_counter() < until and process.poll() is None:
        try:
            urllib.request.urlopen(asked, timeout=5).read()
            return
        except (urllib.error.URLError, OSError):
            time.sleep(0.02)
    raise RuntimeError(f"no answer from {url}:\n{log.read_text(errors='replace')[-2000:]}")


def _memory_mb(pid: int) -> float:
    """What a process and its children hold; what they share counts once (PSS)."""
    root = psutil.Process(pid)
    held = [each.memory_full_info().pss for each in (root, *root.children(recursive=True))]
    return sum(held) / 1e6


if __name__ == "__main__":
    main()
