"""Several command lines and a server on one database at once: nobody is refused, nothing is lost."""

import json
import os
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

from cd4ml.loop import Project, open_project
from cd4ml.loop.audit import verify
from cd4ml.loop.compare import runs
from cd4ml.loop.ingest import show_dataset
from cd4ml.loop.people import people
from cd4ml.loop.rehearsal.processes import process
from cd4ml.loop.rehearsal.traffic import Application
from cd4ml.loop.watch import collect
from tests.journeys.writer import RUNS_EACH
from tests.loop.world import ANN, BEGIN, flights, lay_out, release_first
from tests.services.processes import free_ports

HERE = Path(__file__).parent
HOST = "127.0.0.1"
SECONDS = 5.0
WRITERS = ("east", "west")

pytestmark = [pytest.mark.journey, pytest.mark.slow]


@pytest.fixture(params=["sqlite and files", "postgres and s3"])
def shared(
    request: pytest.FixtureRequest, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> Iterator[Project]:
    """A project in production, on the stores of a laptop and on those of a server."""
    if request.param != "sqlite and files":
        monkeypatch.setenv("CD4ML_DATABASE", request.getfixturevalue("postgres_url"))
        monkeypatch.setenv("CD4ML_BLOBS", request.getfixturevalue("s3_url"))
    folder = tmp_path / "small"
    lay_out(folder)
    with open_project(folder) as project:
        release_first(project)
        yield project


@contextmanager
def writing(folder: Path) -> Iterator[list["subprocess.Popen[str]"]]:
    """Command lines that give commands all the time."""
    writers = [
        subprocess.Popen(
            [sys.executable, str(HERE / "writer.py"), str(folder), name, str(SECONDS)],
            stdout=subprocess.PIPE,
            text=True,
            env={**os.environ, "CD4ML_ACTOR": ANN},
        )
        for name in WRITERS
    ]
    try:
        yield writers
    finally:
        for writer in writers:
            writer.kill()
            with writer:  # closes its pipe, too
                pass


def test_writers_and_a_server_share_one_database(shared: Project, tmp_path: Path) -> None:
    rows = flights(100, start=BEGIN).drop("event_at", "late").to_dicts()
    answered: list[str] = []
    port = free_ports(1)
    log = tmp_path / "serve.log"
    serving = process(
        ["serve", "--in", "production"], host=HOST, port=port, folder=shared.folder, log=log
    )
    with serving as server, Application(HOST, port) as application:
        application.wait_until_ready(process=server, timeout_s=60)
        with writing(shared.folder) as writers:
            while any(writer.poll() is None for writer in writers):
                answer = application.ask(rows[len(answered) % len(rows)])
                assert answer is not None
                answered.append(answer.prediction_id)
                if len(answered) % 200 == 0:
                    collect(shared)
            told = {
                name: json.loads(writer.communicate()[0])
                for name, writer in zip(WRITERS, writers, strict=True)
            }
    collect(shared)

    assert [each["failures"] for each in told.values()] == [[], []]
    turns = {name: each["turns"] for name, each in told.items()}
    assert min(turns.values()) > RUNS_EACH
    assert len(answered) > 100
    names = {person.name for person in people(shared)}
    for name, n in turns.items():
        assert {f"{name}-{number}" for number in range(n)} <= names
        assert len(show_dataset(shared, f"fares_{name}").versions) == n
        done = runs(shared, experiment=name, state="finished", limit=10_000)
        assert {run.run.parameters["delay.strength"] - 1 for run in done} == set(
            range(0, n, RUNS_EACH)
        )
    assert runs(shared, state="failed") == []
    collected = shared.log.predictions().collect()["prediction_id"]
    assert sorted(collected) == sorted(answered)
    assert verify(shared).entries > 16
    assert "locked" not in log.read_text()
    assert "keeps its plan" not in log.read_text()
