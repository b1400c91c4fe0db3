"""What every executor promises, and what worker processes promise besides."""

import math
import os
import signal
import subprocess
import sys
import time
from collections.abc import Iterator
from concurrent.futures import CancelledError
from pathlib import Path
from typing import Any

import psutil
import pytest

from cd4ml.errors import NotFound, TimedOut, WorkerLost
from cd4ml.pipeline.executors.inline import Inline
from cd4ml.pipeline.executors.machine import present_hardware
from cd4ml.pipeline.executors.pool import Workers
from cd4ml.pipeline.executors.worker import begin, loads_first
from cd4ml.records.hardware import Hardware
from cd4ml.records.resources import Resources

ROOT = Path(__file__).parents[3]


@pytest.fixture
def workers() -> Iterator[Workers]:
    opened = Workers(2, hardware=Hardware(cpus=2, memory=8 * 10**9, gpus=("A", "B")))
    yield opened
    opened.shutdown(cancel=True)


@pytest.fixture(params=[Inline, Workers])
def executor(request: pytest.FixtureRequest) -> Iterator[Any]:
    opened = request.param()
    yield opened
    opened.shutdown(cancel=True)


class Own(Exception):
    """Cannot be pickled, and needs two arguments."""

    def __init__(self, one: object, two: object) -> None:
        super().__init__("of our own")
        self.held = lambda: (one, two)


def raise_own() -> None:
    raise Own(1, 2)


def raise_not_found() -> None:
    raise NotFound("no such thing", hint="look elsewhere")


def beat(path: Path) -> None:
    while True:
        with path.open("a") as file:
            file.write(".")
        time.sleep(0.02)


@loads_first
def begin_and_beat(path: Path) -> None:
    time.sleep(1)  # as long as libraries take to load
    begin()
    beat(path)


def start_a_child(path: Path) -> None:
    child = subprocess.Popen(["sleep", "500"])
    path.write_text(str(child.pid))
    time.sleep(500)


def wait_for(path: Path) -> None:
    deadline = time.monotonic() + 30
    while not (path.exists() and path.read_text()):
        assert time.monotonic() < deadline
        time.sleep(0.02)


def pids(workers: Workers, n: int) -> set[int]:
    futures = [workers.submit(os.getpid) for _ in range(n)]
    return {future.result(30) for future in futures}


def test_a_call_gives_what_the_function_gives(executor: Any) -> None:
    assert executor.submit(math.hypot, 3, 4).result(30) == 5.0


def test_a_call_raises_what_the_function_raises(executor: Any) -> None:
    with pytest.raises(ValueError, match="math domain error"):
        executor.submit(math.sqrt, -1).result(30)


def test_an_error_of_ours_keeps_its_message_and_hint(executor: Any) -> None:
    with pytest.raises(NotFound) as caught:
        executor.submit(raise_not_found).result(30)

    assert (caught.value.message, caught.value.hint) == ("no such thing", "look elsewhere")


def test_an_executor_says_what_there_is(executor: Any) -> None:
    assert executor.hardware == present_hardware()
    assert executor.hardware.cpus >= 1
    assert executor.hardware.memory > 10**8


def test_processes_are_spawned_once_and_asked_again(workers: Workers) -> None:
    first = pids(workers, 20)

    assert pids(workers, 20) <= first | pids(workers, 20)
    assert len(first | pids(workers, 20)) <= 2
    assert os.getpid() not in first


def test_an_error_that_cannot_be_pickled_comes_with_its_words_and_traceback(
    workers: Workers,
) -> None:
    with pytest.raises(RuntimeError) as caught:
        workers.submit(raise_own).result(30)

    assert str(caught.value).endswith("Own: of our own")
    assert "in raise_own" in str(caught.value.__cause__)


def test_after_its_process_died_a_worker_has_a_new_one(workers: Workers) -> None:
    with pytest.raises(WorkerLost) as caught:
        workers.submit(os._exit, 7).result(30)

    assert caught.value.message == "it ended its process, with exit code 7"
    assert workers.submit(math.sqrt, 4).result(30) == 2.0


def test_what_takes_too_long_is_ended_counted_from_when_it_begins(
    workers: Workers, tmp_path: Path
) -> None:
    with pytest.raises(TimedOut) as caught:
        workers.submit(begin_and_beat, tmp_path / "beats", timeout_s=0.5).result(30)

    assert caught.value.message == "it took more than 0.5 s, and was ended"
    _no_beat_follows(tmp_path / "beats")


def test_cancelling_ends_what_was_begun_with_all_it_started(
    workers: Workers, tmp_path: Path
) -> None:
    future = workers.submit(start_a_child, tmp_path / "pid")
    wait_for(tmp_path / "pid")
    child = psutil.Process(int((tmp_path / "pid").read_text()))

    assert future.cancel()

    with pytest.raises(CancelledError):
        future.result(30)
    psutil.wait_procs([child], timeout=5)
    assert not child.is_running() or child.status() == psutil.STATUS_ZOMBIE


def test_cancelling_what_has_not_begun_keeps_it_from_beginning(tmp_path: Path) -> None:
    workers = Workers(1)
    first = workers.submit(time.sleep, 0.5)
    second = workers.submit(beat, tmp_path / "beats")

    assert second.cancel()

    first.result(30)
    workers.shutdown()
    assert not (tmp_path / "beats").exists()


def test_shutting_down_with_cancel_ends_all_there_is(tmp_path: Path) -> None:
    workers = Workers(1)
    begun = workers.submit(beat, tmp_path / "beats")
    waiting = workers.submit(time.sleep, 100)
    wait_for(tmp_path / "beats")

    workers.shutdown(cancel=True)

    assert waiting.cancelled()
    with pytest.raises(CancelledError):
        begun.result(0)
    _no_beat_follows(tmp_path / "beats")


def test_shutting_down_waits_for_what_was_begun() -> None:
    workers = Workers(1)
    future = workers.submit(time.sleep, 0.5)

    workers.shutdown()

    assert future.done()
    with pytest.raises(RuntimeError, match="these workers were shut down"):
        workers.submit(os.getpid)


def test_two_calls_at_once_get_different_gpus(workers: Workers) -> None:
    futures = [
        workers.submit(_devices, resources=Resources(gpus=1)),
        workers.submit(_devices, resources=Resources(gpus=1)),
    ]

    assert sorted(future.result(30) for future in futures) == ["0", "1"]


def test_several_processes_share_the_cpus_for_their_threads(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    for name in list(os.environ):
        if name.endswith("_THREADS"):
            monkeypatch.delenv(name)
    alone, many = Workers(1), Workers(1000)

    threads = [each.submit(os.getenv, "POLARS_MAX_THREADS").result(30) for each in (alone, many)]

    alone.shutdown()
    many.shutdown()
    assert threads == [None, "1"]


def test_sets_have_one_order_in_every_process(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("PYTHONHASHSEED", raising=False)
    hashes = set()
    for _ in range(2):
        workers = Workers()
        hashes.add(workers.submit(hash, "flights").result(30))
        workers.shutdown()

    assert len(hashes) == 1


def test_a_parent_that_is_killed_takes_its_workers_along(tmp_path: Path) -> None:
    """Even one that never lets other threads run, and with what it has started."""
    program = (
        "import sys, tests.pipeline.executors.test_executors as here\n"
        "from pathlib import Path\n"
        "from cd4ml.pipeline.executors.pool import Workers\n"
        "Workers().submit(here.hold_the_interpreter, Path(sys.argv[1])).result()\n"
    )
    parent = subprocess.Popen(
        [sys.executable, "-c", program, str(tmp_path / "pids")],
        env={**os.environ, "PYTHONPATH": os.pathsep.join([str(ROOT), *sys.path])},
        cwd=ROOT,
    )
    wait_for(tmp_path / "pids")
    family = [psutil.Process(int(pid)) for pid in (tmp_path / "pids").read_text().split()]

    parent.send_signal(signal.SIGKILL)
    parent.wait()

    _, alive = psutil.wait_procs(family, timeout=10)
    assert [each for each in alive if each.status() != psutil.STATUS_ZOMBIE] == []


def hold_the_interpreter(path: Path) -> None:
    child = os.fork()
    if child == 0:
        time.sleep(500)
    path.write_text(f"{os.getpid()} {child}")
    sum(range(10**12))  # hours within one call, which lets nobody else run


def _devices() -> str:
    time.sleep(0.5)
    return os.environ["CUDA_VISIBLE_DEVICES"]


def _no_beat_follows(path: Path) -> None:
    beats = path.read_text()
    time.sleep(0.2)
    assert path.read_text() == beats
