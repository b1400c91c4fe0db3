"""Train, package three ways, and answer the same row identically in all of them - and in a batch."""

import json
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import httpx
import polars as pl
import pytest

from tests.apart import bare, environment_of, installed, said
from tests.journeys.command_line import CD4ML, cd4ml
from tests.services.processes import free_ports
from tests.serving.builders import until

pytestmark = [pytest.mark.journey, pytest.mark.slow, pytest.mark.timeout(300)]

EMBEDDED = """
import json, sys
from diagnosis_model import predict
print(json.dumps([predict(row) for row in json.loads(sys.argv[1])]))
"""
AS_DATA = """
import json, sys
import cd4ml
with cd4ml.load("diagnosis@champion") as model:
    print(json.dumps([model.predict(row) for row in json.loads(sys.argv[1])]))
"""


@contextmanager
def answering(command: list[Any], url: str, page: str, **options: Any) -> Iterator[httpx.Client]:
    """A server as a process of its own, once it answers."""
    with subprocess.Popen(command, **options) as process:
        try:
            with httpx.Client(base_url=url, timeout=30) as client:
                until(lambda: _is_ready(client, page), 60)
                yield client
        finally:
            process.terminate()


def _is_ready(client: httpx.Client, page: str) -> bool:
    try:
        return client.get(page).status_code == 200
    except httpx.TransportError:
        return False


def scores(client: httpx.Client, path: str, rows: list[dict[str, Any]]) -> list[float]:
    """Each row asked alone: products in single precision depend on how many rows there are."""
    answers = [client.post(path, json=row) for row in rows]
    assert {answer.status_code for answer in answers} == {200}
    return [answer.json()["predictions"][0]["score"] for answer in answers]


def released(folder: Path) -> None:
    """diagnosis/1, which waits for approval, is in charge of production."""
    approved = cd4ml("approve", "release/2", "--reason", "looks right", folder=folder, actor="bo")
    assert approved.code == 0, approved.err
    worked = cd4ml("work", folder=folder)
    assert worked.code == 0, worked.err


def test_the_same_rows_are_answered_identically_in_all_ways(folder: Path, tmp_path: Path) -> None:
    released(folder)
    table = pl.read_csv(folder / "data" / "patients.csv").drop("malignant").head(60)
    table.write_parquet(tmp_path / "patients.parquet")
    rows = table.to_dicts()

    first = free_ports(2)
    serve = [*CD4ML, "serve", "--in", "production", "--port", str(first)]
    with answering(serve, f"http://127.0.0.1:{first}", "/ready", cwd=folder) as client:
        by_endpoint = scores(client, "/predict", rows)

    away = cd4ml("package", "diagnosis@champion", "--oci", "--to", str(tmp_path), folder=folder)
    assert away.code == 0, away.err
    context = tmp_path / "diagnosis-model-1"
    python = environment_of((context / "requirements.txt").read_text(), install=("--no-deps",))
    wheel = cd4ml("package", "diagnosis", "--wheel", "--json", "--to", str(tmp_path), folder=folder)
    site = installed(python, Path(wheel.json["files"][0]), tmp_path / "prefix")
    by_wheel = said(python, site, EMBEDDED, json.dumps(rows))

    variables = {"SAGEMAKER_BIND_TO_PORT": str(first + 1), "CD4ML_HOST": "127.0.0.1"}
    environment = bare(site, **variables)
    environment["PATH"] = f"{python.parent}:{environment['PATH']}"
    url = f"http://127.0.0.1:{first + 1}"
    with answering([context / "serve"], url, "/ping", env=environment) as client:
        by_container = scores(client, "/predict", rows)

    taken = subprocess.run(
        [sys.executable, "-c", AS_DATA, json.dumps(rows)],
        cwd=folder,
        capture_output=True,
        text=True,
        check=True,
    )
    by_load = json.loads(taken.stdout)

    batch = cd4ml(
        *(
            "predict",
            "--model",
            "diagnosis@champion",
            "--input",
            str(tmp_path / "patients.parquet"),
        ),
        *("--output", str(tmp_path / "scored"), "--rows", "25"),
        folder=folder,
    )
    assert batch.code == 0, batch.err
    by_batch = pl.read_parquet(tmp_path / "scored" / "*.parquet")["score"].to_list()

    assert len(set(by_endpoint)) > 30
    assert by_wheel == by_endpoint
    assert by_container == by_endpoint
    assert by_load == by_endpoint
    assert by_batch == pytest.approx(by_endpoint, abs=1e-6)
