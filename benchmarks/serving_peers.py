"""Who takes part in `bench_serving`, how each is started, asked and ended."""

from __future__ import annotations

import json
import os
import random
import signal
import socket
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from http.client import HTTPConnection, HTTPException
from importlib.metadata import version
from pathlib import Path
from typing import Any, NamedTuple

import contest
import psutil

HERE = Path(__file__).parent
APP = HERE / "serving_app.py"
ONE_THREAD = {"OMP_NUM_THREADS": "1", "OPENBLAS_NUM_THREADS": "1", "POLARS_MAX_THREADS": "1"}
QUIET = {
    "BENTOML_DO_NOT_TRACK": "True",
    "MLFLOW_DISABLE_TELEMETRY": "true",
    "GIT_PYTHON_REFRESH": "quiet",
    "RAY_USAGE_STATS_ENABLED": "0",
    "PYTHONUNBUFFERED": "1",
}
START_S, ASK_S, END_S = 120, 20, 15

FASTAPI, PYDANTIC, LITSERVE, BENTOML = "0.165.0", "2.14.4", "0.2.19", "1.4.40"
MLFLOW, MLSERVER, RAY = "3.17.2", "1.7.1", "2.60.0"


def _same(*names: str) -> tuple[str, ...]:
    """The versions that are here, so that all serve one model by one library."""
    return tuple(f"{name}=={version(name)}" for name in names)


class Peer(NamedTuple):
    """A contestant: its environment and how it is started there, on a port and a folder."""

    name: str
    environment: str
    requirements: Callable[[], tuple[str, ...]]
    command: Callable[[Path, int, Path], list[str | Path]]  # programs, port, folder
    path: str = "/predict"
    body: Callable[[list[dict[str, Any]]], Any] = lambda rows: {"rows": rows}
    versions: tuple[tuple[str, str], ...] = ()
    is_sklearn: bool = True


def _program(name: str) -> Callable[[Path, int, Path], list[str | Path]]:
    return lambda programs, port, folder: [programs / "python", APP, name, str(port), folder]


def _mlflow_command(programs: Path, port: int, folder: Path) -> list[str | Path]:
    where = ["--env-manager", "local", "--host", "127.0.0.1", "--port", str(port)]
    return [programs / "mlflow", "models", "serve", "-m", folder / "mlflow", *where]


def _bento_command(programs: Path, port: int, folder: Path) -> list[str | Path]:
    where = ["--host", "127.0.0.1", "--port", str(port), "--working-dir", str(HERE)]
    return [programs / "bentoml", "serve", "serving_bento:Delay", *where]


def _split(rows: list[dict[str, Any]]) -> Any:
    columns = list(rows[0])
    return {
        "dataframe_split": {
            "columns": columns,
            "data": [[row[name] for name in columns] for row in rows],
        }
    }


def _sklearn() -> tuple[str, ...]:
    return _same("scikit-learn", "numpy", "pandas")


def _fastapi() -> tuple[str, ...]:
    server = _same("uvicorn", "uvloop", "httptools", "onnxruntime")
    return (f"fastapi=={FASTAPI}", f"pydantic=={PYDANTIC}", *server, *_sklearn())


def _with_mlflow(*others: str) -> Callable[[], tuple[str, ...]]:
    return lambda: (*others, f"mlflow=={MLFLOW}", *_sklearn())


_FASTAPIS = (("FastAPI", FASTAPI), ("pydantic", PYDANTIC))
MLFLOW_SERVE = Peer(
    "mlflow models serve",
    "mlflow-serving",
    lambda: (f"mlflow=={MLFLOW}", "uvloop", "httptools", *_sklearn()),
    _mlflow_command,
    path="/invocations",
    body=_split,
    versions=(("MLflow", MLFLOW),),
)
FASTAPI_ONNX = Peer(
    "FastAPI, the same ONNX model",
    "fastapi",
    _fastapi,
    _program("fastapi-onnx"),
    versions=_FASTAPIS,
    is_sklearn=False,
)
RAY_SERVE = Peer(
    "Ray Serve",
    "ray-serve",
    lambda: (f"ray[serve]=={RAY}", *_sklearn()),
    _program("ray"),
    versions=(("Ray", RAY),),
)
PEERS = (
    FASTAPI_ONNX,
    Peer("FastAPI, scikit-learn", "fastapi", _fastapi, _program("fastapi-sklearn")),
    Peer(
        "LitServe",
        "litserve",
        lambda: (f"litserve=={LITSERVE}", *_sklearn()),
        _program("litserve"),
        versions=(("LitServe", LITSERVE),),
    ),
    Peer(
        "BentoML",
        "bentoml",
        lambda: (f"bentoml=={BENTOML}", *_sklearn()),
        _bento_command,
        versions=(("BentoML", BENTOML),),
    ),
    Peer(
        "MLServer",
        "mlserver",
        _with_mlflow(f"mlserver=={MLSERVER}", f"mlserver-mlflow=={MLSERVER}"),
        _program("mlserver"),
        path="/invocations",
        body=_split,
        versions=(("MLServer", MLSERVER),),
    ),
    MLFLOW_SERVE,
)


class Server(NamedTuple):
    """A contestant that runs."""

    name: str
    url: str
    pid: int
    cold_s: float  # from its start to its first answer


def programs_of(peer: Peer) -> Path:
    """A peer's programs; its environment is made if it is not there.

    Raises:
        RuntimeError: If it cannot be.
    """
    try:
        return contest.environment(peer.environment, *peer.requirements())
    except (subprocess.CalledProcessError, OSError) as error:
        raise RuntimeError(f"no environment for {peer.name}: {error}") from error


def save_for_mlflow(folder: Path) -> None:
    """Write the model in MLflow's format, for those that serve it.

    Raises:
        RuntimeError: If it cannot be.
    """
    python = programs_of(MLFLOW_SERVE) / "python"
    words = [python, APP, "save-for-mlflow", "0", folder]
    ended = subprocess.run(
        words, env={**os.environ, **QUIET}, capture_output=True, text=True, check=False, timeout=180
    )
    if ended.returncode:
        raise RuntimeError(f"the model was not saved for MLflow:\n{ended.stderr[-2000:]}")


@contextmanager
def running(
    name: str,
    command: Callable[[int], list[str | Path]],
    path: str,
    body: bytes,
    folder: Path,
    expected: float | None,
) -> Iterator[Server]:
    """A server from its first answer on.

    Raises:
        RuntimeError: If it does not answer, or with another number than it should.
    """
    port = free_port()
    log = folder / f"{port}.log"
    words = command(port)
    environment = {**os.environ, **ONE_THREAD, **QUIET, "FOLDER": str(folder)}
    if words[0] != sys.executable:
        environment.pop("PYTHONPATH", None)  # it says where cd4ml lies
        environment["PATH"] = os.pathsep.join([str(Path(words[0]).parent), os.environ["PATH"]])
    began = time.perf_counter()
    with log.open("wb") as written:
        process = subprocess.Popen(
            words,
            cwd=folder,
            env=environment,
            stdout=written,
            stderr=written,
        )
    try:
        while (answer := answer_of(port, path, body)) is None:
            if process.poll() is not None or time.perf_counter() > began + START_S:
                said = log.read_text(errors="replace")[-2000:]
                raise RuntimeError(f"{name} did not start:\n{said}")
            time.sleep(0.01)
        cold_s = time.perf_counter() - began
        if expected is not None and abs(last_number(answer) - expected) > 1e-4:
            raise RuntimeError(f"{name} answers {answer!r:.200}, expected {expected}")
        yield Server(name, f"http://127.0.0.1:{port}{path}", process.pid, cold_s)
    finally:
        end(process)


def end(process: subprocess.Popen[bytes]) -> None:
    """End a server with everything that it started."""
    whole = [process.pid]
    with suppress(psutil.Error):
        whole += [each.pid for each in psutil.Process(process.pid).children(recursive=True)]
    process.terminate()
    with suppress(subprocess.TimeoutExpired):
        process.wait(END_S)
    for pid in whole:
        with suppress(ProcessLookupError):
            os.kill(pid, signal.SIGKILL)
    process.wait()


def free_port() -> int:
    """A port that nobody listens on, nor on the two after it; systems give none like it away."""
    while True:
        port = random.randrange(20_000, 30_000)
        with suppress(OSError):
            for each in range(3):
                socket.create_server(("127.0.0.1", port + each)).close()
            return port


def answer_of(port: int, path: str, body: bytes) -> Any:
    """What a server answers a body with 200; None if it does not."""
    connection = HTTPConnection("127.0.0.1", port, timeout=ASK_S)
    try:
        connection.request("POST", path, body, {"content-type": "application/json"})
        reply = connection.getresponse()
        said = reply.read()
        return json.loads(said) if reply.status == 200 else None
    except (OSError, HTTPException, ValueError):
        return None
    finally:
        connection.close()


def last_number(answer: Any) -> float:
    """The score in an answer to one row: its only number, or the second class's.

    Examples:
        >>> last_number({"predictions": [[0.25, 0.75]]})
        0.75
        >>> last_number([0.75])
        0.75
    """
    while isinstance(answer, dict | list):
        is_list = isinstance(answer, list)
        answer = answer[-1] if is_list else answer.get("predictions", answer.get("score"))
    return float(answer)


def memory_of(pid: int) -> float:
    """MB of a server with everything that it started; what they share counts once (PSS)."""
    root = psutil.Process(pid)
    held = 0.0
    for each in (root, *root.children(recursive=True)):
        with suppress(psutil.Error):
            held += each.memory_full_info().pss
    return held / 2**20


def ours(port: int) -> list[str | Path]:
    """The command of an endpoint of ours."""
    return [sys.executable, "-m", "cd4ml", "serve", "--in", "production", "--port", str(port)]
