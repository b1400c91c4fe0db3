"""The protocols' own clients, each in an environment of its own, get the answers of `/predict`."""

import json
import os
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

from benchmarks.contest import environment
from tests.mlflow_clients import NEW, python_with
from tests.models.builders import ROW
from tests.services.processes import free_ports
from tests.serving.builders import Caller, Released, Server, until

HERE = Path(__file__).parent
ROWS = [ROW, ROW | {"carrier": "B6", "dest": "Zürich", "temp": -3.25}]
TRITON = "tritonclient[http]==2.73.0"


def said_by(python: Path, program: str, *words: str) -> Any:
    done = subprocess.run(
        [python, HERE / program, *words], capture_output=True, text=True, check=False, timeout=120
    )
    assert done.returncode == 0, done.stderr[-3000:]
    return json.loads(done.stdout.splitlines()[-1])


@pytest.fixture
def expected(caller: Caller) -> list[float]:
    reply = caller.ask(json.dumps({"rows": ROWS}).encode())
    return [each["score"] for each in reply.json["predictions"]]


@pytest.mark.slow
def test_tritons_client_reads_and_asks(running: Server, expected: list[float]) -> None:
    python = environment("tritonclient", TRITON) / "python"

    said = said_by(python, "triton_client.py", f"127.0.0.1:{running.port}", json.dumps(ROWS))

    refused = said.pop("refused")
    assert said == {
        "live": True,
        "ready": True,
        "binary=True": expected,
        "binary=False": expected,
        "all outputs": expected,
    }
    assert "no model answers at /v2/models/fares/infer" in refused


@pytest.mark.slow
def test_mlflows_client_asks(running: Server, expected: list[float]) -> None:
    said = said_by(
        python_with(NEW), "mlflow_scoring_client.py", str(running.port), json.dumps(ROWS)
    )

    assert said == {"version": "0.1.0", "scores": expected}


@pytest.mark.slow
def test_sagemaker_names_the_port(released: Released) -> None:
    port = free_ports(1)
    variables = {**os.environ, "SAGEMAKER_BIND_TO_PORT": str(port)}
    command = [sys.executable, "-m", "cd4ml", "serve", "--in", "production"]
    settings = released.folder / "cd4ml.toml"
    settings.write_text(f"{settings.read_text()}\n[environments.production]\n")
    with subprocess.Popen(command, cwd=released.folder, env=variables) as process:
        try:
            until(lambda: is_healthy(port))
            with Caller(port) as caller:
                reply = caller.ask(json.dumps({"instances": ROWS}).encode(), path="/invocations")
            assert len(reply.json["predictions"]) == len(ROWS)
        finally:
            process.terminate()


def is_healthy(port: int) -> bool:
    try:
        with Caller(port) as caller:
            return caller.get("/ping").status == 200
    except OSError:
        return False
