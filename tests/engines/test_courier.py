"""Events arrive, in order; and where they cannot, they are kept and nobody waits."""

import json
import logging
import os
import socket
import subprocess
import sys
import time
from pathlib import Path
from typing import Any

import pytest

from cd4ml.engines.openlineage.courier import courier
from cd4ml.errors import ConfigurationError
from tests.engines.openlineage_facts import collector


def event(number: int) -> dict[str, Any]:
    return {"number": number}


def test_events_are_lines_of_a_file(tmp_path: Path) -> None:
    target = tmp_path / "new folder" / "events.ndjson"
    sender = courier(f"file:{target}", kept=tmp_path / "kept")

    assert sender.send(event(1))
    assert courier(f"file:{target}", kept=tmp_path / "kept").send(event(2))

    assert [json.loads(line) for line in target.read_text().splitlines()] == [event(1), event(2)]
    assert sender.n_kept == 0


def test_events_are_posted_to_the_usual_path_with_the_key(tmp_path: Path) -> None:
    with collector() as seen:
        assert courier(seen.url, kept=tmp_path, api_key="secret").send(event(1))

    ((path, headers),) = seen.requests
    assert (path, headers["authorization"]) == ("/api/v1/lineage", "Bearer secret")
    assert headers["content-type"] == "application/json"
    assert seen.events == [event(1)]


def test_another_path_can_be_named_as_the_standard_says(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("OPENLINEAGE_ENDPOINT", "events")
    with collector() as seen:
        assert courier(seen.url, kept=tmp_path).send(event(1))

    assert seen.requests[0][0] == "/events"


def test_what_cannot_be_delivered_is_kept_told_of_and_sent_later_in_order(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    with collector() as seen:
        seen.status = 503
        sender = courier(seen.url, kept=tmp_path)
        with caplog.at_level(logging.WARNING):
            assert not sender.send(event(1))
        assert not sender.send(event(2))
        assert len(seen.requests) == 1  # it is not asked twice by one run
        assert sender.n_kept == 2
        assert not courier(seen.url, kept=tmp_path).send(event(3))
        seen.status = 201
        later = courier(seen.url, kept=tmp_path)
        assert later.send(event(4))

    assert seen.events == [event(1), event(2), event(3), event(4)]
    assert later.n_kept == 0
    (told,) = [record.getMessage() for record in caplog.records if "could not" in record.msg][:1]
    assert told.startswith("1 OpenLineage events could not be delivered (RetryError: ")
    assert told.endswith(f"they are kept in {tmp_path}")


def test_half_of_what_waited_may_arrive(tmp_path: Path) -> None:
    with collector() as seen:
        seen.status = 500
        for number in (1, 2):
            courier(seen.url, kept=tmp_path).send(event(number))
        sender = courier(seen.url, kept=tmp_path)
        send, n_sent = sender._transport.emit, 0

        def refuse_the_second(given: dict[str, Any]) -> None:
            nonlocal n_sent
            n_sent += 1
            seen.status = 201 if n_sent == 1 else 500
            send(given)

        sender._transport.emit = refuse_the_second
        assert not sender.send(event(3))
        assert sender.n_kept == 2
        seen.status = 201
        assert courier(seen.url, kept=tmp_path).send(event(4))

    assert seen.events == [event(1), event(2), event(3), event(4)]


@pytest.mark.alone
def test_a_server_that_never_answers_costs_no_more_than_the_patience(tmp_path: Path) -> None:
    with socket.create_server(("127.0.0.1", 0)) as silent:
        url = f"http://127.0.0.1:{silent.getsockname()[1]}"
        sender = courier(url, kept=tmp_path, patience_s=0.3)
        began = time.perf_counter()
        assert not sender.send(event(1))
        assert not sender.send(event(2))
        took = time.perf_counter() - began

    assert took < 1.0
    assert sender.n_kept == 2


def test_nobody_listening_is_noticed_at_once(tmp_path: Path) -> None:
    with socket.create_server(("127.0.0.1", 0)) as taken:
        port = taken.getsockname()[1]
    sender = courier(f"http://127.0.0.1:{port}", kept=tmp_path)

    assert not sender.send(event(1))
    assert sender.n_kept == 1


def test_what_a_killed_process_was_delivering_is_not_lost(tmp_path: Path) -> None:
    ended = subprocess.run(
        [sys.executable, "-c", "import os; print(os.getpid())"], capture_output=True, check=True
    )
    orphan = tmp_path / f"taken-{int(ended.stdout)}-1.ndjson"
    orphan.write_text(json.dumps(event(1)) + "\n")
    busy = tmp_path / f"taken-{os.getppid()}-1.ndjson"  # of somebody who lives
    busy.write_text(json.dumps(event(9)) + "\n")

    with collector() as seen:
        assert courier(seen.url, kept=tmp_path).send(event(2))

    assert seen.events == [event(1), event(2)]
    assert busy.exists()
    assert not orphan.exists()


def test_an_event_that_can_be_kept_nowhere_is_told_in_full(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    (tmp_path / "kept").write_text("a file where the folder would be")
    with socket.create_server(("127.0.0.1", 0)) as taken:
        port = taken.getsockname()[1]

    assert not courier(f"http://127.0.0.1:{port}", kept=tmp_path / "kept").send(event(1))

    assert '{"number": 1}' in caplog.text
    assert "an OpenLineage event is lost" in caplog.text


@pytest.mark.parametrize("target", ["ftp://x", "file:", "somewhere", "kafka"])
def test_a_target_that_is_none_is_refused(tmp_path: Path, target: str) -> None:
    with pytest.raises(ConfigurationError) as refused:
        courier(target, kept=tmp_path)

    assert str(refused.value) == (
        f"expected OpenLineage events to go to file:PATH or http://..., got {target!r}\n"
        "  hint: [lineage] openlineage in cd4ml.toml, or OPENLINEAGE_URL"
    )
