"""Many values of parameters tried at once: trials, in processes of their own.

A trial is a run that carries the search's number. One that fails, or whose process
dies, is one trial less, not the end of the search.
"""

from __future__ import annotations

import math
import random
from collections.abc import Callable, Mapping, Sequence
from concurrent.futures import ProcessPoolExecutor, as_completed
from concurrent.futures.process import BrokenProcessPool
from datetime import datetime
from multiprocessing import get_context
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

    def attempt_all(self, positions: list[int], workers: int) -> None:
        """Attempt some trials; those that a dead process leaves open stay unknown."""
        n_processes = max(1, min(workers, len(positions)))
        with ProcessPoolExecutor(n_processes, mp_context=get_context("spawn")) as pool:
            waiting = {
                pool.submit(_attempted, self._attempt, self._trials[p]): p for p in positions
            }
            try:
                for future in as_completed(waiting):
                    self.end(waiting[future], future.result())
            except BrokenProcessPool:
                return
            except BaseException:  # Ctrl-C: what has not begun will not
                pool.shutdown(wait=True, cancel_futures=True)
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
    try:
        return _Outcome(attempt(parameters), "")
    except Cd4mlError as error:
        return _Outcome(0, error.message)
    except Exception as error:
        return _Outcome(0, f"{type(error).__name__}: {error}")


def _size(space: Space) -> int:
    for name, values in space.items():
        if not len(values):
            msg = f"the parameter {name!r} has no value to try"
            raise InvalidInput(msg, hint=f"--grid {name}=1,2,3")
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
