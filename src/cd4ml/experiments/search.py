"""Many values of parameters tried at once: trials, in processes of their own.

A trial is a run that carries the search's number. One that fails, or whose process
dies, is one trial less, not the end of the search.
"""

from __future__ import annotations

import math
import os
import random
import signal
from collections import Counter
from collections.abc import Callable, Collection, Iterator, Mapping, Sequence
from concurrent.futures import FIRST_COMPLETED, Future, ProcessPoolExecutor, wait
from concurrent.futures.process import BrokenProcessPool
from contextlib import contextmanager
from datetime import datetime
from multiprocessing import active_children, get_context
from multiprocessing.process import BaseProcess
from time import monotonic
from types import FrameType
from typing import TYPE_CHECKING, Any, Literal, NamedTuple

import msgspec

from cd4ml.errors import Cd4mlError, InvalidInput
from cd4ml.records.run import Run
from cd4ml.store import ledger, rows

if TYPE_CHECKING:
    from sqlalchemy import Connection

Space = Mapping[str, Sequence[Any]]  # "step.parameter" -> the values to try
Attempt = Callable[[dict[str, Any]], int]  # parameters -> the number of the finished run
Progress = Callable[["Trial", int, int], None]  # the trial that ended, how many did, of how many

_LOOK_S = 0.2  # between two looks whether somebody wants an end
_GRACE_S = 2.0  # for trials to write down that they were interrupted

DIED = "its process died: killed, out of memory, or crashed"


class Trial(msgspec.Struct, frozen=True, kw_only=True):
    """One attempt of a search: its values, and the run that tried them.

    `run` is 0 where none finished; `reason` then says why.
    """

    position: int
    parameters: dict[str, Any]
    state: Literal["finished", "failed"]
    run: int = 0
    reason: str = ""


def grid(space: Space) -> list[dict[str, Any]]:
    """Every combination of the values; the last parameter changes fastest.

    Raises:
        InvalidInput: If there is no parameter, or one without a value.

    Examples:
        >>> grid({"a": [1, 2], "b": [3]})
        [{'a': 1, 'b': 3}, {'a': 2, 'b': 3}]
    """
    return [_combination(space, index) for index in range(_size(space))]


def sample(space: Space, n: int, *, seed: int) -> list[dict[str, Any]]:
    """`n` different combinations at random; all of them, in a random order, if there are fewer.

    Args:
        space: The values of each parameter.
        n: How many, at least 1.
        seed: The same one gives the same combinations.

    Raises:
        InvalidInput: If there is no parameter, or one without a value, or n is below 1.

    Examples:
        >>> sample({"a": range(1000), "b": range(1000)}, 2, seed=0)
        [{'a': 885, 'b': 440}, {'a': 403, 'b': 958}]
    """
    if n < 1:
        msg = f"expected at least one trial, got {n}"
        raise InvalidInput(msg)
    size = _size(space)
    chosen = random.Random(seed).sample(range(size), min(n, size))
    return [_combination(space, index) for index in chosen]


def start_search(
    connection: Connection, *, space: Space, n_trials: int, at: datetime, actor: str
) -> int:
    """A new search's number, with a ledger entry that says what it tries.

    Args:
        connection: Of a write transaction.
        space: The values of each parameter.
        n_trials: How many combinations of them.
        at: When.
        actor: Who.
    """
    number = rows.next_number(connection, Run, "search")
    details = {"space": {name: list(values) for name, values in space.items()}}
    ledger.append(
        connection,
        at=at,
        actor=actor,
        action="search.started",
        subject=f"search/{number}",
        reason=f"{n_trials} trials",
        details=details,
    )
    return number


def run_trials(
    trials: Sequence[dict[str, Any]],
    attempt: Attempt,
    *,
    workers: int,
    progress: Progress | None = None,
) -> list[Trial]:
    """Attempt every trial in parallel processes; returns them in their order.

    Processes are spawned, not forked: a fork after Polars has started its threads hangs.
    Ctrl-C ends them at once, whether the terminal sent it to them as well or not.

    Args:
        trials: The parameters of each.
        attempt: Runs one and returns the number of its run. It is pickled: a function at
            the top of a module, or a `functools.partial` of one, that opens what it needs.
        workers: How many processes.
        progress: Is told of each trial that ends.
    """
    search = _Search(trials, attempt, progress)
    search.attempt_all(list(range(len(trials))), workers)
    # whoever was underway when a process died may have been its end, or its victim
    for position in search.unknown():
        search.attempt_all([position], 1)
    for position in search.unknown():
        search.end(position, _Outcome(0, DIED))
    return search.ended()


class _Outcome(NamedTuple):
    run: int
    reason: str


class _Search:
    def __init__(
        self, trials: Sequence[dict[str, Any]], attempt: Attempt, progress: Progress | None
    ) -> None:
        self._trials = trials
        self._attempt = attempt
        self._progress = progress
        self._ended: dict[int, Trial] = {}
        self._others = set(active_children())  # of whoever calls, not of the search

    def attempt_all(self, positions: list[int], workers: int) -> None:
        """Attempt some trials; those that a dead process leaves open stay unknown."""
        n_processes = max(1, min(workers, len(positions)))
        spawning = get_context("spawn")
        with ProcessPoolExecutor(n_processes, spawning, initializer=_end_on_interrupt) as pool:
            try:
                with _interrupts_held_back():  # the processes begin with them held back
                    waiting = {
                        pool.submit(_attempted, self._attempt, self._trials[p]): p
                        for p in positions
                    }
                for future in _as_they_end(waiting):
                    self.end(waiting[future], future.result())
            except BrokenProcessPool:
                return
            except BaseException:  # Ctrl-C: what has not begun will not, what has ends
                pool.shutdown(wait=False, cancel_futures=True)
                _interrupt([child for child in active_children() if child not in self._others])
                raise

    def end(self, position: int, outcome: _Outcome) -> None:
        trial = Trial(
            position=position,
            parameters=self._trials[position],
            state="finished" if outcome.run else "failed",
            run=outcome.run,
            reason=outcome.reason,
        )
        self._ended[position] = trial
        if self._progress:
            self._progress(trial, len(self._ended), len(self._trials))

    def unknown(self) -> list[int]:
        return [position for position in range(len(self._trials)) if position not in self._ended]

    def ended(self) -> list[Trial]:
        return [self._ended[position] for position in sorted(self._ended)]


def _attempted(attempt: Attempt, parameters: dict[str, Any]) -> _Outcome:
    """One trial, in its process; what it raises comes back as words, which can be pickled."""
    global _is_trying
    _is_trying = True
    try:
        return _Outcome(attempt(parameters), "")
    except Cd4mlError as error:
        return _Outcome(0, error.message)
    except Exception as error:
        return _Outcome(0, f"{type(error).__name__}: {error}")
    except KeyboardInterrupt:  # it has written down by now that it was interrupted
        os._exit(_INTERRUPTED)
    finally:
        _is_trying = False


_INTERRUPTED = 128 + signal.SIGINT
_is_trying = False


def _end_on_interrupt() -> None:
    """In a trial's process: an interrupt ends the process, and no other trial begins there."""

    def end(_signal: int, _frame: FrameType | None) -> None:
        if not _is_trying:
            os._exit(_INTERRUPTED)
        raise KeyboardInterrupt

    signal.signal(signal.SIGINT, end)
    signal.pthread_sigmask(signal.SIG_UNBLOCK, [signal.SIGINT])


@contextmanager
def _interrupts_held_back() -> Iterator[None]:
    before = signal.pthread_sigmask(signal.SIG_BLOCK, [signal.SIGINT])
    try:
        yield
    finally:
        signal.pthread_sigmask(signal.SIG_SETMASK, before)


def _as_they_end(futures: Collection[Future[_Outcome]]) -> Iterator[Future[_Outcome]]:
    pending = set(futures)
    while pending:
        # a wait without an end is not interrupted once Polars is loaded: its SIGINT handler
        # has SA_RESTART
        ended, pending = wait(pending, timeout=_LOOK_S, return_when=FIRST_COMPLETED)
        yield from ended


def _interrupt(children: Sequence[BaseProcess]) -> None:
    for child in children:
        if child.pid is not None and child.is_alive():
            os.kill(child.pid, signal.SIGINT)
    deadline = monotonic() + _GRACE_S
    for child in children:
        child.join(max(0.0, deadline - monotonic()))
    for child in children:
        if child.is_alive():  # deep in a library's loop: its run is found interrupted later
            child.kill()


def _size(space: Space) -> int:
    for name, values in space.items():
        if not len(values):
            msg = f"the parameter {name!r} has no value to try"
            raise InvalidInput(msg, hint=f"--grid {name}=1,2,3")
        ((often, times),) = Counter(map(repr, values)).most_common(1)
        if times > 1:
            msg = f"the parameter {name!r} is to have the value {often} {times} times"
            raise InvalidInput(msg, hint="the same trial again shows nothing new")
    if not space:
        msg = "a search needs a parameter with the values to try"
        raise InvalidInput(msg, hint="--grid STEP.PARAMETER=1,2,3")
    return math.prod(len(values) for values in space.values())


def _combination(space: Space, index: int) -> dict[str, Any]:
    """The combination at a position of the grid, without making the others."""
    chosen = {}
    for name, values in reversed(list(space.items())):
        index, digit = divmod(index, len(values))
        chosen[name] = values[digit]
    return {name: chosen[name] for name in space}
