"""A program: the way from a released model to its successor, killed wherever something lasts.

    python kill_loop.py FOLDER [--undisturbed]

FOLDER is a project with delay/1 in charge. Each command is carried out in a child process, which
is killed at the first source line after something was written that no earlier child was killed
at; then the same command is given again, until it comes to its end. (Between two lines without
a write the disk is the same, so is a death.) Prints how many children were killed.
"""

import os
import signal
import sqlite3
import sys
import traceback
from collections.abc import Callable, Iterator
from contextlib import closing
from pathlib import Path
from types import FrameType
from typing import Any

# imported before the forks, which then cost next to nothing
import alembic.command  # noqa: F401
import onnxruntime  # noqa: F401
import polars  # noqa: F401
import skl2onnx  # noqa: F401
import sklearn.linear_model  # noqa: F401
import sqlalchemy.dialects.sqlite  # noqa: F401

import cd4ml
from cd4ml.loop import Project, open_project
from cd4ml.loop.promote import approve
from cd4ml.loop.retrain import ask, retrain
from cd4ml.loop.roll_out import roll_out
from cd4ml.loop.watch import collect
from cd4ml.records.job import Job
from cd4ml.store import rows
from tests.loop.world import EVE, MAX, live

WATCHED = tuple(
    str(Path(cd4ml.__file__).parent / room)
    for room in ("loop", "release", "gates", "data", "pipeline", "feedback")
)
Act = Callable[[Project], object]


def job(project: Project) -> Job:
    """The one job there is."""
    with project.database.read() as connection:
        return rows.get(connection, Job, 1)


def facts(n: int, seed: int) -> Act:
    """The world goes on: requests are answered, and come true."""

    def happen(project: Project) -> None:
        live(project, n, seed=seed)
        collect(project)

    return happen


COMMANDS: list[tuple[bool, Act]] = [  # whether it is killed, and what it does
    (False, facts(30, seed=1)),
    (True, lambda project: ask(project, reason="new winds", actor=EVE)),
    (True, lambda project: retrain(project, job(project))),
    (True, lambda project: approve(project, "release/4", reason="better", actor=MAX)),
    (False, facts(25, seed=2)),
    (True, roll_out),
    (False, facts(60, seed=3)),
    (True, roll_out),
]


def written(folder: Path) -> tuple[int, ...]:
    """What changes whenever something lasting is written."""
    state = folder / ".cd4ml"
    return tuple(_changed(path) for path in (state / "cd4ml.db", state / "cd4ml.db-wal"))


def _changed(path: Path) -> int:
    try:
        return os.stat(path).st_mtime_ns
    except FileNotFoundError:
        return 0


def entries(folder: Path) -> int:
    """How long the ledger is; without runs, of which an interrupted one is followed by another."""
    with closing(sqlite3.connect(folder / ".cd4ml" / "cd4ml.db")) as connection:
        count: int = connection.execute(
            "SELECT count(*) FROM ledger WHERE action NOT LIKE 'run.%'"
        ).fetchone()[0]
    return count


def place(frame: FrameType | None) -> str:
    """Where a process is: the lines of cd4ml that called one another."""
    lines = []
    while frame is not None:
        if frame.f_code.co_filename.startswith(WATCHED):
            lines.append(f"{Path(frame.f_code.co_filename).stem}:{frame.f_lineno}")
        frame = frame.f_back
    return " < ".join(lines)


def act_until_a_new_step(folder: Path, act: Act, seen: list[str], report: int) -> None:
    """Carry out a command, and die where something new has just been written."""
    before = [written(folder)]

    def at_step(frame: FrameType, event: str, argument: Any) -> Any:
        if event == "line" and (now := written(folder)) != before[0]:
            before[0] = now
            if (step := f"entry {entries(folder)}: {place(frame)}") not in seen:
                os.write(report, step.encode())
                os.kill(os.getpid(), signal.SIGKILL)
        return at_step

    def at_call(frame: FrameType, event: str, argument: Any) -> Any:
        return at_step if frame.f_code.co_filename.startswith(WATCHED) else None

    with open_project(folder) as project:
        sys.settrace(at_call)
        act(project)
        sys.settrace(None)


def deaths(folder: Path, act: Act, *, is_killed: bool) -> Iterator[str]:
    """The places at which children died, until one came to the end of the command."""
    seen: list[str] = []
    while True:
        reader, writer = os.pipe()
        child = os.fork()
        if child == 0:
            os._exit(_attempt(folder, act, seen if is_killed else None, writer))
        os.close(writer)
        step = os.read(reader, 4000).decode()
        os.close(reader)
        _, status = os.waitpid(child, 0)
        if not step:
            assert status == 0, status
            return
        seen.append(step)
        yield step


def _attempt(folder: Path, act: Act, seen: list[str] | None, report: int) -> int:
    try:
        if seen is not None:
            act_until_a_new_step(folder, act, seen, report)
        else:
            with open_project(folder) as project:
                act(project)
    except BaseException:
        traceback.print_exc()
        return 1
    return 0


def main(folder: Path, *, is_undisturbed: bool) -> None:
    """The whole way."""
    n_killed = 0
    for is_killed, act in COMMANDS:
        for step in deaths(folder, act, is_killed=is_killed and not is_undisturbed):
            n_killed += 1
            sys.stderr.write(f"killed at {step}\n")
    sys.stdout.write(str(n_killed))


if __name__ == "__main__":
    main(Path(sys.argv[1]), is_undisturbed="--undisturbed" in sys.argv)
