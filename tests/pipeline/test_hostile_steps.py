"""What a run must stand: steps that print binary, fork, leak, hang, leave, and worse."""

import json
import os
import signal
import subprocess
import sys
import time
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from pathlib import Path
from threading import Thread
from typing import TYPE_CHECKING, Any

import psutil
import pytest

from cd4ml.errors import PipelineError
from cd4ml.pipeline.executors.pool import Workers
from cd4ml.pipeline.run import Pipeline, run_pipeline
from cd4ml.records.run import Run, StepRun
from cd4ml.store import rows
from cd4ml.store.clock import SystemClock
from tests.pipeline.projects import edit, project

if TYPE_CHECKING:
    from cd4ml.store.blobs import Blobs
    from cd4ml.store.database import Database

ROOT = Path(__file__).parents[2]

HEAD = """
import os, signal, subprocess, sys, time
from pathlib import Path
import polars as pl
from cd4ml import Metrics, Model, step

HERE = Path(__file__).parent

def called(name):
    with (HERE / "calls.txt").open("a") as file:
        file.write(name + "\\n")

@step
def before() -> int:
    called("before")
    return 1
"""


class World:
    """A project whose pipeline is `HEAD` and some more, with its stores."""

    def __init__(self, folder: Path, database: "Database", blobs: "Blobs") -> None:
        self.folder = folder
        self.database = database
        self.blobs = blobs

    def pipeline(self, steps: str) -> None:
        (self.folder / "pipeline.py").write_text(HEAD + steps)

    def run(self, steps: str = "", **options: Any) -> Run:
        if steps:
            self.pipeline(steps)
        executor = options.get("executor")
        pipeline = Pipeline(
            self.folder, "pipeline", state=self.folder / ".cd4ml", datasets=[], executor=executor
        )
        given = {"clock": SystemClock(), "datasets": {}, "experiment": "hostile", **options}
        return run_pipeline(
            pipeline, database=self.database, blobs=self.blobs, actor="ada", **given
        )

    def fails(self, steps: str, **options: Any) -> str:
        with pytest.raises(PipelineError) as caught:
            self.run(steps, **options)
        return caught.value.message

    def runs_into_an_error(self) -> None:
        with pytest.raises(PipelineError):
            self.run()

    def step(self, name: str, run: int = 1) -> StepRun:
        with self.database.read() as connection:
            return rows.get(connection, StepRun, run, name)

    def log(self, name: str, run: int = 1) -> bytes:
        address = self.step(name, run).log
        return self.blobs.get(address) if address else b""

    def value(self, run: Run, name: str) -> Any:
        return json.loads(self.blobs.get(run.outputs[name]))

    def calls(self) -> list[str]:
        path = self.folder / "calls.txt"
        return path.read_text().split() if path.exists() else []


@pytest.fixture
def world(tmp_path: Path, sqlite_url: str, files_url: str) -> World:
    from cd4ml.store.blobs import open_blobs
    from cd4ml.store.database import open_database

    folder = project(tmp_path / "project", pipeline=HEAD)
    return World(folder, open_database(sqlite_url), open_blobs(files_url))


@pytest.fixture(autouse=True)
def no_process_stays_behind() -> Iterator[None]:
    before = set(psutil.Process().children(recursive=True))
    yield
    started = [each for each in psutil.Process().children(recursive=True) if each not in before]
    _, alive = psutil.wait_procs(started, timeout=5)
    assert alive == []


def test_what_a_step_prints_is_kept_to_the_byte_with_what_its_children_print(world: World) -> None:
    told: list[bytes] = []

    world.run(
        """
@step
def loud() -> int:
    sys.stdout.buffer.write(bytes(range(256)))
    sys.stdout.flush()
    print("an error", file=sys.stderr)
    subprocess.run(["printf", "of a child"])
    os.write(1, b" and of a descriptor")
    return 1
""",
        listener=lambda step, data: told.append(data) if step == "loud" else None,
    )

    expected = bytes(range(256)) + b"an error\nof a child and of a descriptor"
    assert world.log("loud") == expected
    assert b"".join(told) == expected
    assert world.step("before").log == ""


@pytest.mark.alone
def test_what_a_step_prints_is_heard_while_it_runs(world: World) -> None:
    heard: list[float] = []
    world.run(
        """
@step
def slow() -> float:
    print("begun")
    time.sleep(1.5)
    return 1.0
""",
        listener=lambda step, data: heard.append(time.monotonic()),
        progress=lambda step, state, seconds: (
            heard.append(time.monotonic()) if (step, state) == ("slow", "computed") else None
        ),
    )

    assert heard[1] - heard[0] > 1.0


def test_a_step_may_fork_and_forget(world: World) -> None:
    run = world.run("""
@step
def forking(before: int) -> int:
    if os.fork() == 0:
        called("child")
        return 2
    while "child" not in (HERE / "calls.txt").read_text():
        time.sleep(0.01)
    return 3

@step
def after(forking: int) -> int:
    return forking + 1
""")

    assert (world.value(run, "forking"), world.value(run, "after")) == (3, 4)
    assert world.calls() == ["before", "child"]


@pytest.mark.alone
def test_a_step_that_leaks_memory_is_ended_at_its_limit(world: World) -> None:
    message = world.fails("""
@step(memory="400MB")
def leaking(before: int) -> int:
    held = []
    while True:
        held.append(bytearray(b"x" * 10_000_000))
        time.sleep(0.005)
""")

    assert message.startswith("pipeline.py:18: step 'leaking' failed: it took 4")
    assert message.endswith(" MB of memory, more than 400 MB")
    assert world.step("before").state == "computed"


def test_a_step_that_is_killed_is_said_to_be(world: World) -> None:
    with pytest.raises(PipelineError) as caught:
        world.run("""
@step
def victim(before: int) -> int:
    os.kill(os.getpid(), signal.SIGKILL)
""")

    assert str(caught.value) == (
        "pipeline.py:18: step 'victim' failed: its process was killed (SIGKILL)\n"
        "  hint: the system does that when memory runs out"
    )


def test_a_step_that_hangs_is_ended_with_all_it_started(world: World) -> None:
    began = time.monotonic()
    sleep = ["sleep", f"600.{os.getpid()}"]  # nobody else's

    message = world.fails(f"""
@step(timeout="500ms")
def hanging(before: int) -> int:
    subprocess.Popen({sleep})
    signal.signal(signal.SIGTERM, signal.SIG_IGN)
    print("waiting")
    time.sleep(600)
""")

    assert message == (
        "pipeline.py:18: step 'hanging' failed: it took more than 0.5 s, and was ended"
    )
    assert time.monotonic() - began < 30
    assert world.log("hanging") == b"waiting\n"
    assert not [p for p in psutil.process_iter(["cmdline"]) if p.info["cmdline"] == sleep]


@pytest.mark.parametrize(
    ("leaving", "message"),
    [
        ("os._exit(3)", "it ended its process, with exit code 3"),
        ("os._exit(0)", "it ended its process, with exit code 0"),
        ("sys.exit(4)", "SystemExit: 4"),
        ("os.abort()", "its process died of SIGABRT"),
        ("os.closerange(3, 4096)", "it closed files that are not its own"),
        ("raise KeyboardInterrupt", "KeyboardInterrupt"),
        (
            "raise type('Panic', (BaseException,), {})('index out of bounds')",
            "Panic: index out of bounds",
        ),
    ],
)
def test_a_step_that_leaves_fails(world: World, leaving: str, message: str) -> None:
    steps = f"""
@step
def leaving(before: int) -> int:
    {leaving}
    return 1
"""
    assert world.fails(steps).endswith(f"step 'leaving' failed: {message}")
    assert world.step("leaving").state == "failed"
    assert world.step("before").state == "computed"


def test_a_generator_is_refused_as_an_output(world: World) -> None:
    message = world.fails("""
@step
def lazy(before: int) -> list:
    return (number for number in range(3))
""")

    assert message == "pipeline.py:18: step 'lazy' returned a generator, which cannot be stored"


def test_a_step_that_changes_its_input_changes_nobody_elses(world: World) -> None:
    run = world.run("""
@step
def table() -> pl.DataFrame:
    return pl.DataFrame({"a": [1, 2, 3]})

@step
def spoiling(table: pl.DataFrame) -> int:
    table[0, "a"] = 100
    table.insert_column(0, pl.Series("b", [0, 0, 0]))
    return table.width

@step
def reading(table: pl.DataFrame, spoiling: int) -> list:
    return [table.columns, table["a"].to_list(), spoiling]
""")

    assert world.value(run, "reading") == [["a"], [1, 2, 3], 2]


def test_a_huge_output_passes_without_being_in_our_memory(world: World) -> None:
    run = world.run("""
@step
def huge() -> Path:
    path = HERE / "huge.bin"
    with path.open("wb") as file:
        for _ in range(30):
            file.write(bytes(10_000_000))
    return path

@step
def measured(huge: Path) -> int:
    return huge.stat().st_size
""")

    assert world.value(run, "measured") == 300_000_000
    assert world.step("measured").peak_memory < 300_000_000


def test_an_exception_that_cannot_be_pickled_comes_with_its_words_and_place(world: World) -> None:
    message = world.fails("""
class Own(Exception):
    def __init__(self, one, two):
        super().__init__(lambda: one)
        self.open_file = open(__file__)

    def __str__(self):
        return "of our own\\nand a second line"

@step
def raising(before: int) -> int:
    raise Own(1, 2)
""")

    assert message == "pipeline.py:28: step 'raising' failed: Own: of our own"
    lines = world.step("raising").reason.splitlines()
    assert lines[0] == "Traceback (most recent call last):"
    assert lines[1] == f'  File "{world.folder}/pipeline.py", line 28, in raising'
    assert lines[-2:] == ["pipeline.Own: of our own", "and a second line"]


def test_an_exception_that_cannot_even_be_printed_is_named(world: World) -> None:
    message = world.fails("""
class Mute(Exception):
    def __str__(self):
        raise RuntimeError("no words")

@step
def raising(before: int) -> int:
    raise Mute
""")

    assert message == "pipeline.py:24: step 'raising' failed: Mute"


@pytest.mark.parametrize("executor", [None, Workers])
def test_a_module_that_fails_on_import_leaves_no_trace(world: World, executor: Any) -> None:
    opened = executor() if executor else None
    world.pipeline("\n\nprint('importing')\nraise RuntimeError('no licence')\n")

    with pytest.raises(PipelineError) as caught:
        world.run(executor=opened)

    if opened:
        opened.shutdown()
    assert str(caught.value) == (
        "pipeline.py:20: importing 'pipeline' failed: RuntimeError: no licence\n"
        "  hint: correct that line, then run again"
    )
    with world.database.read() as connection:
        assert rows.count(connection, Run) == 0


def test_a_module_that_panics_on_import_says_where(world: World) -> None:
    world.pipeline("\n\nclass Panic(BaseException): ...\nraise Panic('out of bounds')\n")

    with pytest.raises(PipelineError) as caught:
        world.run()

    assert caught.value.message == (
        "pipeline.py:20: importing 'pipeline' failed: Panic: out of bounds"
    )


def test_parameters_and_inputs_may_be_named_like_builtins(world: World) -> None:
    run = world.run(
        """
@step
def input(*, list: int = 1, id: int = 2, type: str = "x", self: int = 4) -> int:
    return list + id + len(type) + self

@step
def max(input: int, *, print: bool = False, sum: float = 0.5) -> float:
    return input + sum
""",
        parameters={"input.list": 10, "max.sum": 0.25},
    )

    assert (world.value(run, "input"), world.value(run, "max")) == (17, 17.25)


class TurnedBack(SystemClock):
    """A clock that is put back by a day whenever somebody looks."""

    n_looks = 0

    def now(self) -> datetime:
        self.n_looks += 1
        return datetime(2013, 1, 31, tzinfo=UTC) - timedelta(days=self.n_looks)


def test_a_clock_that_goes_back_makes_no_run_end_before_it_began(world: World) -> None:
    run = world.run("@step\ndef after(before: int) -> int: return 2", clock=TurnedBack())

    assert run.state == "finished"
    assert run.finished_at is not None
    assert run.finished_at >= run.started_at
    assert world.step("after").seconds >= 0


def test_a_step_that_fails_is_tried_again_after_a_pause(world: World) -> None:
    run = world.run("""
@step(retries=2, backoff=0.1)
def flaky(before: int) -> int:
    called("flaky")
    n_calls = (HERE / "calls.txt").read_text().count("flaky")
    print("attempt", n_calls)
    if n_calls == 1:
        os._exit(1)
    if n_calls == 2:
        raise OSError("the network is away")
    return n_calls
""")

    assert world.value(run, "flaky") == 3
    assert world.step("flaky").attempts == 3
    assert world.log("flaky") == b"attempt 1\nattempt 2\nattempt 3\n"
    assert world.calls() == ["before", "flaky", "flaky", "flaky"]


def test_when_no_attempt_is_left_the_step_fails(world: World) -> None:
    message = world.fails("""
@step(retries=1, backoff="10ms")
def failing() -> int:
    called("failing")
    raise OSError("the network is away")
""")

    assert message == "pipeline.py:21: step 'failing' failed: OSError: the network is away"
    assert world.calls().count("failing") == 2


def test_steps_without_a_common_input_run_at_the_same_time(world: World) -> None:
    executor = Workers(2)
    run = world.run(
        """
def meet(mine, other):
    called(mine)
    until = time.monotonic() + 60
    while other not in (HERE / "calls.txt").read_text():
        assert time.monotonic() < until
        time.sleep(0.01)
    return os.getpid()

@step
def left() -> int: return meet("left", "right")

@step
def right() -> int: return meet("right", "left")

@step
def both(left: int, right: int) -> bool: return left != right
""",
        executor=executor,
    )
    executor.shutdown()

    assert world.value(run, "both") is True
    positions = [world.step(name).position for name in ("before", "left", "right", "both")]
    assert positions == [0, 1, 2, 3]


def test_one_process_computes_all_steps_and_imports_once(world: World) -> None:
    world.run("""
print("imported")

@step
def second(before: int) -> int: return os.getpid()

@step
def third(second: int) -> int: return os.getpid()
""")

    assert world.step("second").worker == world.step("third").worker == world.step("before").worker
    assert world.step("third").worker.rpartition(":")[2] != str(os.getpid())
    assert world.log("before") == b"imported\n"
    assert world.step("third").log == ""


@pytest.mark.alone
def test_what_steps_take_is_recorded(world: World) -> None:
    world.run("""
@step
def busy() -> int:
    until = time.process_time() + 0.3
    while time.process_time() < until: pass
    subprocess.run([sys.executable, "-c", "x = bytearray(10)"])
    return 1

@step
def large(busy: int) -> int:
    held = bytearray(b"x" * 200_000_000)
    return len(held)

@step
def small(large: int) -> int:
    time.sleep(0.3)
    return 1
""")

    busy, large, small = (world.step(name) for name in ("busy", "large", "small"))
    assert 0.3 <= busy.cpu_seconds < 3
    assert small.cpu_seconds < 0.2 < small.seconds
    assert large.peak_memory > 200_000_000
    assert small.peak_memory < large.peak_memory - 150_000_000
    with world.database.read() as connection:
        run = rows.get(connection, Run, 1)
    assert run.hardware.cpus >= 1
    assert run.hardware.memory > 10**8
    assert run.cost is None


@pytest.mark.parametrize(
    ("asks", "message"),
    [
        ("gpus=1", "asks for 1 GPUs (there are none)"),
        ("cpus=1000", "asks for 1000 CPUs (there are 2)"),
        ('memory="9TB"', "asks for 9 TB of memory (there are 8 GB)"),
    ],
)
def test_what_is_not_there_is_refused_before_anything_runs(
    world: World, asks: str, message: str
) -> None:
    from cd4ml.records.hardware import Hardware

    executor = Workers(hardware=Hardware(cpus=2, memory=8 * 10**9))

    found = world.fails(
        f"\n@step({asks})\ndef training(before: int) -> int: return 1\n", executor=executor
    )

    executor.shutdown()
    assert found == f"pipeline.py:18: step 'training' {message}"
    assert world.calls() == []
    with world.database.read() as connection:
        assert rows.count(connection, Run) == 0


def test_what_was_computed_where_there_is_more_is_taken_from_there(world: World) -> None:
    from cd4ml.records.hardware import Hardware

    training = "\n@step(gpus=1)\ndef training(before: int) -> str:\n"
    training += "    return os.environ['CUDA_VISIBLE_DEVICES']\n"
    large = Workers(hardware=Hardware(cpus=2, memory=8 * 10**9, gpus=("A", "B")))
    first = world.run(training, executor=large)
    large.shutdown()
    small = Workers(hardware=Hardware(cpus=2, memory=8 * 10**9))

    second = world.run(executor=small)

    small.shutdown()
    assert world.value(first, "training") == "0"
    assert second.outputs == first.outputs


def test_two_runs_that_want_the_same_step_compute_it_once(world: World) -> None:
    world.pipeline("""
@step
def slow(before: int) -> int:
    called("slow")
    time.sleep(1.5)
    return 7
""")
    told: list[str] = []
    other = Thread(target=world.run)
    other.start()
    while "slow" not in world.calls():
        time.sleep(0.02)

    run = world.run(progress=lambda step, state, seconds: told.append(f"{step} {state}"))

    other.join()
    assert world.calls() == ["before", "slow"]
    assert world.value(run, "slow") == 7
    assert told[-3:] == ["slow running", "slow waiting", "slow cached"]
    assert [path.stat().st_size for path in (world.folder / ".cd4ml" / "turns").iterdir()] == [0]


def test_who_waits_for_a_run_that_fails_computes_the_step_itself(world: World) -> None:
    world.pipeline("""
@step
def slow(before: int) -> int:
    called("slow")
    if (HERE / "calls.txt").read_text().count("slow") == 1:
        time.sleep(1)
        raise OSError("away")
    return 7
""")
    other = Thread(target=world.runs_into_an_error)
    other.start()
    while "slow" not in world.calls():
        time.sleep(0.02)

    run = world.run()

    other.join()
    assert world.calls() == ["before", "slow", "slow"]
    assert world.value(run, "slow") == 7


def test_a_blob_missing_from_the_cache_is_computed_again(world: World) -> None:
    steps = "@step\ndef after(before: int) -> int: return before + 1"
    first = world.run(steps)
    world.blobs.path(first.outputs["before"]).unlink()

    second = world.run()

    assert world.calls() == ["before", "before"]
    assert (world.step("before", 2).state, world.step("after", 2).state) == ("computed", "cached")
    assert second.outputs == first.outputs


RUN = """
import sys
from pathlib import Path
from cd4ml.store.blobs import open_blobs
from cd4ml.store.database import open_database
from tests.pipeline.test_hostile_steps import World
folder, database, blobs = sys.argv[1:]
World(Path(folder), open_database(database), open_blobs(blobs)).run()
"""

SLEEPING = """
@step
def sleeping(before: int) -> int:
    subprocess.Popen(["sleep", "700"])
    called("sleeping")
    time.sleep(SECONDS)
    return 1
"""


def started(world: World, sqlite_url: str, files_url: str) -> "subprocess.Popen[bytes]":
    """A run in another process, in the middle of its second step."""
    world.pipeline(SLEEPING.replace("SECONDS", "600"))
    process = subprocess.Popen(
        [sys.executable, "-c", RUN, str(world.folder), sqlite_url, files_url],
        env={**os.environ, "PYTHONPATH": os.pathsep.join([str(ROOT), *sys.path])},
        cwd=ROOT,
        stderr=subprocess.PIPE,
    )
    deadline = time.monotonic() + 60
    while "sleeping" not in world.calls():
        assert time.monotonic() < deadline
        assert process.poll() is None, process.communicate()[1].decode()
        time.sleep(0.02)
    return process


@pytest.mark.crash
@pytest.mark.parametrize("end", [signal.SIGKILL, signal.SIGTERM, signal.SIGINT])
def test_a_run_that_is_ended_leaves_no_process_and_goes_on_where_it_was(
    world: World, sqlite_url: str, files_url: str, end: signal.Signals
) -> None:
    process = started(world, sqlite_url, files_url)
    family = psutil.Process(process.pid).children(recursive=True)
    assert {each.name() for each in family} >= {"sleep"}

    process.send_signal(end)
    said = process.communicate(timeout=30)[1].decode()

    _, alive = psutil.wait_procs(family, timeout=10)
    assert alive == []
    edit(world.folder, "pipeline.py", "time.sleep(600)", "time.sleep(0)")
    run = world.run()
    assert world.calls() == ["before", "sleeping", "sleeping"]
    assert run.state == "finished"
    with world.database.read() as connection:
        ended = rows.get(connection, Run, 1)
    assert ended.state == "failed"
    assert (
        ended.reason
        == {
            signal.SIGKILL: "interrupted: its process ended",
            signal.SIGTERM: "Terminated: 143",
            signal.SIGINT: "KeyboardInterrupt",
        }[end]
    )
    if end != signal.SIGKILL:
        assert process.returncode in (128 + signal.SIGTERM, -signal.SIGINT)
        assert world.step("sleeping").reason == "cancelled"
    if end == signal.SIGINT:
        assert "run/1 was interrupted\n  hint: the same command goes on there\n" in said
