"""Processes that attempt trials: spawned once, reused, and ended with their search."""

from __future__ import annotations

import os
import signal
import threading
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import (
    FIRST_COMPLETED,
    BrokenExecutor,
    Executor,
    Future,
    ProcessPoolExecutor,
    wait,
)
from contextlib import contextmanager, suppress
from multiprocessing import active_children, get_context, parent_process
from multiprocessing.process import BaseProcess
from time import monotonic, perf_counter
from types import FrameType, TracebackType
from typing import NamedTuple, Self

from cd4ml.errors import Cd4mlError, WorkerLost
from cd4ml.records.search import Trial

_LOOK_S = 0.2  # between two looks whether somebody wants an end
_GRACE_S = 2.0  # for trials to write down that they were interrupted


class Outcome(NamedTuple):
    """What became of a trial: its run and metric, or the reason why there is none."""

    run: int = 0
    value: float | None = None
    reason: str = ""
    seconds: float = 0.0


class Ended(NamedTuple):
    """A trial that ended; without an outcome its process died under it.

    `lost` says how its own process died, where that is known; "" if that of any trial that
    was underway may have been to blame.
    """

    trial: Trial
    outcome: Outcome | None
    lost: str = ""


Attempt = Callable[[Trial], Outcome]
MakeExecutor = Callable[[int], Executor]  # so many at a time


def spawned(n: int) -> Executor:
    """Processes of this machine, which end with this one, and end at once when it is interrupted."""
    return ProcessPoolExecutor(n, get_context("spawn"), initializer=_prepare)


class Workers:
    """So many processes, each attempting one trial at a time.

    They are spawned, not forked: a fork after Polars has started its threads hangs. When one
    dies all are replaced, and whatever was underway in them is said to have died: which
    of them was to blame nobody knows. Leaving the block ends them: in good order when they
    are idle, at once when an exception (Ctrl-C) passes.

    Args:
        attempt: Tries one. It is pickled: a function at the top of a module, or a
            `functools.partial` of one, that opens what it needs.
        n: How many processes.
        executor: Makes what runs so many at a time, where it is not processes of this machine.
    """

    def __init__(self, attempt: Attempt, n: int, executor: MakeExecutor | None = None) -> None:
        self._attempt = attempt
        self._n = n
        self._executor = executor or spawned
        self._pool: Executor | None = None
        self._underway: dict[Future[Outcome], Trial] = {}
        self._others = set(active_children())  # of whoever calls

    @property
    def n_underway(self) -> int:
        """How many trials have begun and not ended."""
        return len(self._underway)

    def begin(self, trials: Sequence[Trial]) -> None:
        """Attempt some more."""
        with _interrupts_held_back():  # processes begin with them held back
            for trial in trials:
                self._underway[self._submit(trial)] = trial
            # the thread of the pool that notices when processes die may have listed them before
            # the last one was there; it lists them anew whenever it is asked for something
            if isinstance(self._pool, ProcessPoolExecutor):
                with suppress(BrokenExecutor):
                    self._pool.submit(int)

    def _submit(self, trial: Trial) -> Future[Outcome]:
        self._pool = self._pool or self._executor(self._n)
        try:
            return self._pool.submit(_attempted, self._attempt, trial)
        except BrokenExecutor as error:  # between two looks: it died as the others did
            died: Future[Outcome] = Future()
            died.set_exception(error)
            return died

    def wait(self) -> list[Ended]:
        """The trials that ended, after a moment at most; none if none did."""
        # a wait without an end is not interrupted once Polars is loaded: its SIGINT handler
        # has SA_RESTART
        done, _ = wait(self._underway, timeout=_LOOK_S, return_when=FIRST_COMPLETED)
        if any(isinstance(future.exception(), BrokenExecutor) for future in done):
            done, _ = wait(self._underway)  # all of them, now
            self._close()
        return [self._ended(future) for future in sorted(done, key=self._position)]

    def _position(self, future: Future[Outcome]) -> int:
        return self._underway[future].position

    def _ended(self, future: Future[Outcome]) -> Ended:
        trial = self._underway.pop(future)
        error = future.exception()  # what a trial raises comes as words
        if error is None:
            return Ended(trial, future.result())
        if isinstance(error, BrokenExecutor):
            return Ended(trial, None)
        if isinstance(error, WorkerLost):
            return Ended(trial, None, lost=error.message)
        return Ended(trial, Outcome(reason=_named(error)))  # the call could not be made

    def _close(self) -> None:
        if self._pool is not None:
            self._pool.shutdown()
            self._pool = None

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        if error is not None and self._pool is not None:
            # what has not begun will not, what has ends
            self._pool.shutdown(wait=False, cancel_futures=True)
            _interrupt([child for child in active_children() if child not in self._others])
        self._close()


def _attempted(attempt: Attempt, trial: Trial) -> Outcome:
    """One trial, in its process; what it raises comes back as words, which can be pickled."""
    global _is_trying
    _is_trying = True
    began = perf_counter()
    try:
        outcome = attempt(trial)
    except Cd4mlError as error:
        outcome = Outcome(reason=error.message)
    except Exception as error:
        outcome = Outcome(reason=_named(error))
    except KeyboardInterrupt:  # it has written down by now that it was interrupted
        os._exit(_INTERRUPTED)
    finally:
        _is_trying = False
    return outcome._replace(seconds=perf_counter() - began)


def _named(error: BaseException) -> str:
    return f"{type(error).__name__}: {error}"


_INTERRUPTED = 128 + signal.SIGINT
_is_trying = False


def _prepare() -> None:
    """In a process that was spawned, before its first trial."""
    _end_on_interrupt()
    _end_with_parent()


def _end_with_parent() -> None:
    # killed without a word, the parent leaves processes behind that wait for work for ever
    parent = parent_process()
    if parent is None:
        return

    def end() -> None:
        parent.join()
        os._exit(1)

    threading.Thread(target=end, name="parent-watch", daemon=True).start()


def _end_on_interrupt() -> None:
    """An interrupt ends the process, and no other trial begins there."""

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
