"""How near does an endpoint come to the server beneath it, and how far is it from its peers?

    python benchmarks/bench_serving.py

One worker each, single rows of flights at 1 and at 16 connections, load by wrk. The endpoint
checks the contract and records each answer before it leaves; the bare echo is a raw ASGI
application on the same server that does nothing; FastAPI serves the same ONNX model and checks
types only. All servers run at once and take turns, so that each meets the same machine.
"""

from __future__ import annotations

import json
import os
import socket
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from http.client import HTTPConnection
from pathlib import Path
from statistics import median
from typing import NamedTuple

import contest
from load import Load, load, memory_mb, script
from serving_model import serve_flights

HERE = Path(__file__).parent
FASTAPI = ("fastapi==0.165.0", "pydantic==2.14.4")
SERVER = ("uvicorn", "uvloop", "httptools", "numpy", "onnxruntime")
N_ROWS, N_TREES = 20_000, 100
CONNECTIONS = (1, 16)
ROUNDS, SECONDS = 5, 1
ONE_THREAD = {"OMP_NUM_THREADS": "1", "OPENBLAS_NUM_THREADS": "1", "POLARS_MAX_THREADS": "1"}
START_S = 30

Seen = dict[tuple[str, int], list[Load]]


class Server(NamedTuple):
    """A contestant that runs."""

    name: str
    url: str
    pid: int
    cold_s: float


def main() -> None:
    """Measure, and print what was seen."""
    wrk = contest.debian("wrk", "wrk")
    if not wrk:
        return
    with contest.scratch() as folder, ExitStack() as stack:
        (folder / "project").mkdir()
        served = serve_flights(folder / "project", n_rows=N_ROWS, n_trees=N_TREES)
        python = peers_python()
        app = HERE / "serving_app.py"
        commands = {
            "cd4ml": [sys.executable, "-m", "cd4ml", "serve", "--in", "production", "--port"],
            "bare echo": [sys.executable, app, "echo"],
            "FastAPI": [python, app, "fastapi"],
        }
        body = json.dumps({"rows": served.rows[:1]}).encode()
        after = {"FastAPI": [served.onnx]}
        servers = [
            stack.enter_context(running(name, command, after.get(name, []), served.folder, body))
            for name, command in commands.items()
        ]
        lua = script(folder, "one", body)
        tell(measured(wrk, servers, lua), servers)


def peers_python() -> Path:
    """The Python of FastAPI, with the versions of the server that serve cd4ml here."""
    from importlib.metadata import version

    same = [f"{name}=={version(name)}" for name in SERVER]
    for requirement in FASTAPI:
        contest.peer(*requirement.split("=="))
    return contest.environment("fastapi", *FASTAPI, *same) / "python"


@contextmanager
def running(
    name: str, command: list[str | Path], after: list[Path], folder: Path, body: bytes
) -> Iterator[Server]:
    """A server from its first answer on."""
    port = free_port()
    environment = {**os.environ, **ONE_THREAD}
    log = (folder / f"{port}.log").open("w")
    began = time.perf_counter()
    process = subprocess.Popen(
        [*command, str(port), *after], cwd=folder, env=environment, stdout=log, stderr=log
    )
    try:
        while not answers(port, body):
            if process.poll() is not None or time.perf_counter() > began + START_S:
                raise RuntimeError(f"{name} did not start:\n{Path(log.name).read_text()[-2000:]}")
            time.sleep(0.02)
        cold_s = time.perf_counter() - began
        yield Server(name, f"http://127.0.0.1:{port}/predict", process.pid, cold_s)
    finally:
        process.kill()
        process.wait()
        log.close()


def free_port() -> int:
    """A port that nobody listens on."""
    with socket.create_server(("127.0.0.1", 0)) as listening:
        return int(listening.getsockname()[1])


def answers(port: int, body: bytes) -> bool:
    """Whether a server answers the body with 200."""
    connection = HTTPConnection("127.0.0.1", port, timeout=5)
    try:
        connection.request("POST", "/predict", body, {"content-type": "application/json"})
        return connection.getresponse().status == 200
    except OSError:
        return False
    finally:
        connection.close()


def measured(wrk: str, servers: list[Server], lua: Path) -> Seen:
    """What each server answered at each number of connections, round by round."""
    seen: Seen = {}
    for turn in range(ROUNDS + 1):
        for n in CONNECTIONS:
            for server in servers if turn % 2 else reversed(servers):
                found = load(wrk, server.url, lua, connections=n, seconds=SECONDS, pid=server.pid)
                if turn:  # the first round warms up
                    seen.setdefault((server.name, n), []).append(found)
    return seen


def tell(seen: Seen, servers: list[Server]) -> None:
    """Print the figures."""
    for n in CONNECTIONS:
        at = f"{n} connection{'s' * (n > 1)}"
        for server in servers:
            found = seen[server.name, n]
            contest.figure(f"{server.name}, {at}", middle(found, "per_s"), "requests a second")
            contest.figure(f"{server.name}, {at}, p50", middle(found, "p50_us"), "us")
            contest.figure(f"{server.name}, {at}, p99", middle(found, "p99_us"), "us")
            contest.figure(f"{server.name}, {at}, processor", middle(found, "cpu_us"), "us")
    goals = {1: ">= 0.5", 16: ">= 0.35"}
    for n in CONNECTIONS:  # other programs on the machine change this less than requests a second
        for peer in ("bare echo", "FastAPI"):
            spent = ratio(seen, n, "cpu_us", peer)
            contest.figure(f"processor time beside {peer}, {n} at once", spent, "times")
    for n in CONNECTIONS:
        share = ratio(seen, n, "per_s", "bare echo")
        contest.figure(f"beside the bare echo, {n} at once", share, "of its requests", goals[n])
    many = ratio(seen, 16, "per_s", "FastAPI")
    contest.figure("beside FastAPI with the same model, 16 at once", many, "times", ">= 5")
    quick = ratio(seen, 1, "p50_us", "FastAPI")
    contest.figure("p50 beside FastAPI's, 1 at once", quick, "of it", "<= 0.4")
    failed = sum(each.failed for found in seen.values() for each in found)
    contest.figure("requests that failed", failed, "requests", "<= 0")
    ours = servers[0]
    contest.figure("memory of a worker", memory_mb(ours.pid), "MB", "<= 120")
    contest.figure("from the start to the first answer", ours.cold_s, "s", "<= 1")


def middle(found: list[Load], name: str) -> float:
    """The median of what several turns saw."""
    return float(median(getattr(each, name) for each in found))


def ratio(seen: Seen, n: int, name: str, peer: str) -> float:
    """The median of ours to the peer's, turn by turn: both meet the same moment."""
    pairs = zip(seen["cd4ml", n], seen[peer, n], strict=True)
    return float(median(getattr(ours, name) / getattr(theirs, name) for ours, theirs in pairs))


if __name__ == "__main__":
    main()
