"""Kills a child process at one step of its work after another, until it comes to its end."""

import os
import signal
import subprocess
import sys
from collections.abc import Callable
from functools import partial
from pathlib import Path
from types import CodeType, FrameType
from typing import Any

_ROOT = Path(__file__).parents[1]

Step = tuple[str, int]  # a source line
Work = Callable[[], object]
IsWatched = Callable[[CodeType], bool]


def apart(program: Callable[..., object], *words: str) -> str:
    """What a function prints, called in a fresh process: one that has threads must not fork.

    Args:
        program: Stands at the top of a module of tests, and takes texts.
        words: The texts.
    """
    call = f"import sys; from {program.__module__} import {program.__name__} as call"
    done = subprocess.run(
        [sys.executable, "-c", f"{call}; call(*sys.argv[1:])", *words],
        capture_output=True,
        text=True,
        check=False,
        cwd=_ROOT,
        env={**os.environ, "PYTHONPATH": os.pathsep.join([str(_ROOT), *sys.path])},
    )
    assert done.returncode == 0, done.stderr
    return done.stdout


def kill_at_every_step(
    attempt: Callable[[int], Work],
    is_watched: IsWatched,
    *,
    afterwards: Callable[[int], object] | None = None,
    is_apart: bool = False,
) -> int:
    """Let children work, each killed at a step that none before was killed at; how many were.

    Args:
        attempt: Prepares the n-th attempt in its child, and gives the work to be killed in.
        is_watched: Of which functions every line is a step.
        afterwards: What follows the n-th kill, in a child that lives.
        is_apart: Whether no attempt has to do with another: then the next one goes on meanwhile.
    """
    seen: set[Step] = set()
    following = _Following()
    while (step := _killed(partial(attempt, len(seen)), is_watched, seen)) is not None:
        if afterwards is not None:
            following.begin(partial(afterwards, len(seen)), step)
        if not is_apart:
            following.end()
        seen.add(step)
    following.end()
    return len(seen)


class _Following:
    """What follows a kill, in a child; there is one of them at a time."""

    def __init__(self) -> None:
        self._child: tuple[int, Step] | None = None

    def begin(self, work: Work, step: Step) -> None:
        self.end()
        self._child = _begun(work), step

    def end(self) -> None:
        if self._child is not None:
            (child, step), self._child = self._child, None
            status = os.waitpid(child, 0)[1]
            assert status == 0, (step, status)


def _killed(attempt: Callable[[], Work], is_watched: IsWatched, seen: set[Step]) -> Step | None:
    reader, writer = os.pipe()
    try:
        status = _run(lambda: _traced(attempt(), is_watched, seen, writer))
        os.close(writer)
        step = os.read(reader, 1000).decode()
    finally:
        os.close(reader)
    if not step:
        assert status == 0, status
        return None
    file, number = step.rsplit(":", 1)
    return file, int(number)


def _run(work: Work) -> int:
    return os.waitpid(_begun(work), 0)[1]


def _begun(work: Work) -> int:
    """The process of a child that works."""
    child = os.fork()
    if child == 0:
        work()
        os._exit(0)
    return child


def _traced(work: Work, is_watched: IsWatched, seen: set[Step], report: int) -> None:
    """Work, say which step comes that was not seen, and die there."""

    def at_step(frame: FrameType, event: str, argument: Any) -> Any:
        step = (frame.f_code.co_filename, frame.f_lineno)
        if event == "line" and step not in seen:
            os.write(report, f"{step[0]}:{step[1]}".encode())
            os.kill(os.getpid(), signal.SIGKILL)
        return at_step

    def at_call(frame: FrameType, event: str, argument: Any) -> Any:
        return at_step if is_watched(frame.f_code) else None

    sys.settrace(at_call)
    work()
    sys.settrace(None)
