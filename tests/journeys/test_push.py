"""`cd4ml up` takes in rows: what it acknowledged is there, whatever ends it."""

import json
import os
import signal
import subprocess
import sys
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import httpx
import pytest

from cd4ml.loop import open_project
from cd4ml.loop.audit import verify
from tests.journeys.command_line import CD4ML, cd4ml
from tests.loop.shop import lay_out, ride, table
from tests.loop.world import EVE

HERE = Path(__file__).parent
SETTINGS = '[data.rides]\nsource = "pushed"\ncontract = "contracts:Rides"\n'

pytestmark = [pytest.mark.journey, pytest.mark.slow]


@pytest.fixture(params=["sqlite and files", "postgres and s3"])
def folder(request: pytest.FixtureRequest, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A project with pushed rows, on the stores of a laptop and on those of a server."""
    if request.param != "sqlite and files":
        monkeypatch.setenv("CD4ML_DATABASE", request.getfixturevalue("postgres_url"))
        monkeypatch.setenv("CD4ML_BLOBS", request.getfixturevalue("s3_url"))
    return lay_out(tmp_path / "shop", SETTINGS, is_simulated=False)


@contextmanager
def up(folder: Path, *command: str) -> Iterator[tuple["subprocess.Popen[str]", str]]:
    """`cd4ml up` as a process of its own, and its address."""
    words = [*(command or CD4ML), "up", "--port", "0", "--json"]
    with subprocess.Popen(words, cwd=folder, stdout=subprocess.PIPE, text=True) as process:
        try:
            assert process.stdout is not None
            yield process, json.loads(process.stdout.readline())["console"]
        finally:
            process.kill()


def send(url: str, secret: str, rows: list[dict[str, Any]], key: str) -> httpx.Response:
    headers = {"authorization": f"Bearer {secret}", "idempotency-key": key}
    return httpx.post(f"{url}/api/data/rides/rows", json=rows, headers=headers, timeout=30)


def token(folder: Path) -> str:
    made = cd4ml("token", "create", EVE, "--scope", "push", "--json", folder=folder, actor=EVE)
    assert made.code == 0, made.err
    secret: str = made.json["secret"]
    return secret


def push_until_it_dies(url: str, secret: str, name: int, sent: dict[str, Any], some: Any) -> None:
    """Batch after batch; `sent` keeps what was answered, None for what was not."""
    for i in range(10_000):
        key, number = f"{name}-{i}", name * 10_000 + i
        sent[key] = None
        try:
            answer = send(url, secret, [ride(number + 1)], key)
        except httpx.HTTPError:
            return
        assert answer.status_code == 200, answer.text
        sent[key] = answer.json()
        some.release()


def test_what_was_acknowledged_is_there_after_kill_9_and_the_rest_can_be_sent_again(
    folder: Path,
) -> None:
    secret, sent, some = token(folder), dict[str, Any](), threading.Semaphore(0)
    with up(folder) as (process, url):
        pushers = [
            threading.Thread(target=push_until_it_dies, args=(url, secret, i, sent, some))
            for i in range(2)
        ]
        for pusher in pushers:
            pusher.start()
        for _ in range(12):
            assert some.acquire(timeout=60)
        os.kill(process.pid, signal.SIGKILL)
        for pusher in pushers:
            pusher.join()

    acknowledged = {key: answer for key, answer in sent.items() if answer}
    with up(folder) as (_, url):
        for key, before in sent.items():
            name, i = map(int, key.split("-"))
            again = send(url, secret, [ride(name * 10_000 + i + 1)], key).json()
            if before:
                assert again == {**before, "is_repeated": True}
    assert len(acknowledged) >= 12
    with open_project(folder) as project:
        rides = table(project, "rides")["ride"].to_list()
        assert verify(project).entries > len(sent)
    assert sorted(rides) == sorted(
        int(name) * 10_000 + int(i) + 1 for name, i in (key.split("-") for key in sent)
    )


def test_killed_between_the_write_and_the_answer_the_sender_asks_again_and_hears(
    folder: Path,
) -> None:
    secret = token(folder)
    program = (sys.executable, str(HERE / "dies_before_answer.py"))
    with up(folder, *program) as (process, url), pytest.raises(httpx.HTTPError):
        send(url, secret, [ride(1)], "monday")
    assert process.returncode == -signal.SIGKILL

    with up(folder) as (_, url):
        again = send(url, secret, [ride(1)], "monday")

    assert again.json()["is_repeated"] is True
    with open_project(folder) as project:
        assert table(project, "rides")["ride"].to_list() == [1]
