"""Turns: one at a time, whoever asks, and whatever ends the one who has it."""

import signal
import subprocess
import sys
from pathlib import Path

import pytest

from cd4ml.pipeline import turns as module
from cd4ml.pipeline.turns import Turns
from cd4ml.store.address import address_of

ONE, ANOTHER = address_of(b"one"), address_of(b"another")

TAKES = """
import os, sys
from pathlib import Path
from cd4ml.pipeline import turns
if sys.argv[3] == "files":
    turns._SET_LOCK = None
kept = turns.Turns(Path(sys.argv[1])).take(sys.argv[2])
print("taken" if kept else "taken by another", flush=True)
sys.stdin.read()
"""


@pytest.fixture(params=["bytes", "files"])
def kind(request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch) -> str:
    if request.param == "files":  # as where the system knows no locks of an open file's bytes
        monkeypatch.setattr(module, "_SET_LOCK", None)
    return str(request.param)


@pytest.mark.usefixtures("kind")
def test_two_runs_of_one_process_take_turns(tmp_path: Path) -> None:
    first, second = Turns(tmp_path), Turns(tmp_path)
    held = first.take(ONE)

    assert held is not None
    assert second.take(ONE) is None
    assert second.take(ANOTHER) is not None
    held.end()
    assert second.take(ONE) is not None
    first.close()
    second.close()


@pytest.mark.usefixtures("kind")
def test_a_run_waits_for_its_own_step_of_the_same_fingerprint_too(tmp_path: Path) -> None:
    turns = Turns(tmp_path)
    held = turns.take(ONE)

    assert held is not None
    assert turns.take(ONE) is None
    held.end()
    again = turns.take(ONE)
    assert again is not None
    again.end()
    turns.close()


def test_a_run_that_ends_lets_go_of_all_its_turns(tmp_path: Path) -> None:
    first, second = Turns(tmp_path), Turns(tmp_path)
    assert first.take(ONE) is not None

    first.close()

    assert second.take(ONE) is not None
    second.close()


def test_a_process_that_is_killed_lets_go_of_its_turn(tmp_path: Path, kind: str) -> None:
    process = subprocess.Popen(
        [sys.executable, "-c", TAKES, tmp_path, ONE, kind],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        text=True,
        env={"PYTHONPATH": ":".join(sys.path)},
    )
    assert process.stdout is not None
    assert process.stdin is not None
    assert process.stdout.readline() == "taken\n"
    turns = Turns(tmp_path)
    assert turns.take(ONE) is None

    process.send_signal(signal.SIGKILL)
    process.wait()
    process.stdin.close()
    process.stdout.close()

    held = turns.take(ONE)
    assert held is not None
    held.end()
    turns.close()
