"""Nothing answered is lost, and the server goes on with what it has."""

import socket
import threading
import time
from datetime import UTC, datetime
from http.client import HTTPException
from pathlib import Path

import pytest

from cd4ml.errors import Unavailable
from cd4ml.serving.last_known import LastKnown
from cd4ml.serving.server import serve
from cd4ml.store.clock import SharedClock
from tests.models.builders import boosted, native_boosted
from tests.serving.builders import BODY, Released, Server, arm, server, until

pytestmark = pytest.mark.slow  # each test starts a server


@pytest.mark.crash
def test_a_killed_server_has_every_answer_on_record(project: Released) -> None:
    project.plan(arm(project.model(boosted())))
    answered: list[str] = []

    def ask(running: Server) -> None:
        try:
            with running.caller() as caller:
                while True:
                    answered.append(caller.ask().json["predictions"][0]["prediction_id"])
        except (OSError, HTTPException):
            return

    with server(project.folder) as running:
        threads = [threading.Thread(target=ask, args=(running,)) for _ in range(3)]
        for thread in threads:
            thread.start()
        until(lambda: len(answered) > 300)
        running.end("KILL")
        for thread in threads:
            thread.join()

    captured = [line["prediction_id"] for line in project.captured()]
    assert set(answered) <= set(captured)
    assert len(captured) == len(set(captured)) <= len(answered) + len(threads)


@pytest.mark.crash
def test_what_a_full_disk_cannot_record_is_not_answered(project: Released) -> None:
    project.plan(arm(project.model(boosted(max_iter=2))))

    with server(project.folder, largest_file=60_000) as running, running.caller() as caller:
        replies = [caller.ask() for _ in range(400)]

    refused = [reply for reply in replies if reply.status != 200]
    assert refused
    assert {reply.status for reply in refused} == {503}
    assert (
        refused[0].json["error"].startswith("the answer could not be recorded, so it is not given")
    )
    ids = [r.json["predictions"][0]["prediction_id"] for r in replies if r.status == 200]
    text = b"".join(p.read_bytes() for p in project.project.segments.iterdir()).decode()
    assert all(prediction_id in text for prediction_id in ids)


def test_a_server_that_is_told_to_end_finishes_what_it_began(project: Released) -> None:
    project.plan(arm(project.model(boosted())))

    with server(project.folder) as running:
        with socket.create_connection(("127.0.0.1", running.port)) as sent:
            head = b"POST /predict HTTP/1.1\r\nhost: x\r\ncontent-length: %d\r\n\r\n" % len(BODY)
            sent.sendall(head + BODY[:20])
            time.sleep(0.1)
            running.process.terminate()
            time.sleep(0.3)
            sent.sendall(BODY[20:])
            answer = sent.makefile("rb").read()
        code = running.process.wait(10)

    assert answer.startswith(b"HTTP/1.1 200 ")
    assert code == 0
    (line,) = project.captured()
    assert line["prediction_id"] in answer.decode()


def test_a_server_starts_and_answers_with_database_and_blobs_away(
    project: Released, tmp_path: Path
) -> None:
    native, compiled = project.model(native_boosted()), project.model(boosted())
    project.plan(arm(native), arm(compiled, "shadow", number=2, weight=0))
    with server(project.folder) as running:
        running.end()
    (project.folder / ".cd4ml" / "blobs").rename(tmp_path / "blobs away")
    away = tmp_path / "no folder yet"
    away.write_text("")
    database = f"sqlite:///{away}/cd4ml.db"

    with server(project.folder, CD4ML_DATABASE=database) as running, running.caller() as caller:
        assert caller.ask().json["predictions"][0]["artifact"] == native
        log = project.folder / "server.log"
        until(lambda: "production keeps its plan" in log.read_text())

        away.unlink()
        away.mkdir()
        (project.folder / ".cd4ml" / "cd4ml.db").rename(away / "cd4ml.db")
        (tmp_path / "blobs away").rename(project.folder / ".cd4ml" / "blobs")
        with pytest.MonkeyPatch.context() as patch:
            patch.setenv("CD4ML_DATABASE", database)
            project.project.close()
            project.plan(arm(compiled, number=2))
        running.wait_for_plan(2)
        assert caller.ask().json["predictions"][0]["artifact"] == compiled


def test_a_damaged_memory_does_not_keep_a_server_from_starting(project: Released) -> None:
    project.plan(arm(project.model(boosted())))
    memory = project.folder / ".cd4ml" / "serving" / "production" / "plan.json"
    memory.parent.mkdir(parents=True)
    memory.write_text("{")

    with server(project.folder):
        known = LastKnown(memory.parent).read()

    assert known is not None
    assert known.plan.number == 1


def test_answers_carry_the_time_of_the_projects_clock(project: Released) -> None:
    start = datetime(2013, 2, 1, 5, 30, tzinfo=UTC)
    clock = SharedClock.create(project.folder / ".cd4ml" / "clock", start)
    project.plan(arm(project.model(boosted())))

    with server(project.folder) as running, running.caller() as caller:
        caller.ask()
        clock.advance_to(start.replace(hour=6))
        caller.ask()

    times = [datetime.fromtimestamp(x["answered_at"] / 1e6, UTC) for x in project.captured()]
    assert times == [start, start.replace(hour=6)]


def test_a_port_that_is_taken_is_explained(project: Released) -> None:
    with socket.create_server(("127.0.0.1", 0)) as other:
        port = other.getsockname()[1]
        with pytest.raises(Unavailable) as refusal:
            serve(project.project, environment="production", port=port)

    assert str(refusal.value) == (
        f"cannot listen on 127.0.0.1 port {port}: Address already in use\n"
        "  hint: choose another with --port; is a server running already?"
    )


def test_a_host_that_is_none_of_this_machine_is_explained(project: Released) -> None:
    with pytest.raises(Unavailable) as refusal:
        serve(project.project, environment="production", host="192.0.2.1", port=8499)

    assert str(refusal.value) == (
        "cannot listen on 192.0.2.1 port 8499: Cannot assign requested address\n"
        "  hint: --host is an address of this machine; 0.0.0.0 are all that it has"
    )


def test_a_server_of_compiled_models_loads_no_training_library(project: Released) -> None:
    project.plan(arm(project.model(boosted())))

    with server(project.folder) as running, running.caller() as caller:
        assert caller.ask().status == 200
        maps = Path(f"/proc/{running.process.pid}/maps").read_text()

    assert "onnxruntime" in maps
    for library in ("sklearn", "scipy", "pandas", "polars"):
        assert f"/{library}/" not in maps
