"""How a run is interrupted: on Ctrl-C and SIGTERM its work stops, and it says so.

An exception that comes between any two lines may come where a transaction has begun and its
block has not: it then stays open as long as the exception is being handled, and what is to be
written about the end waits for it, in vain. What writes is therefore done in one piece.
"""

from __future__ import annotations

import signal
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from types import FrameType


class Terminated(SystemExit):
    """The process was asked to end, and ends with the exit code that says so."""

    def __init__(self) -> None:
        super().__init__(128 + signal.SIGTERM)


class _Held:
    """What came while something was done in one piece; signals are the main thread's alone."""

    depth = 0
    come: type[BaseException] | None = None


_RAISED: dict[int, type[BaseException]] = {
    signal.SIGINT: KeyboardInterrupt,
    signal.SIGTERM: Terminated,
}
_DEFAULTS = {signal.SIGINT: signal.default_int_handler, signal.SIGTERM: signal.SIG_DFL}


@contextmanager
def interrupted_in_order() -> Iterator[None]:
    """While the block lasts Ctrl-C and SIGTERM raise in it, but for what is done in one piece.

    Ctrl-C raises `KeyboardInterrupt`, SIGTERM `Terminated`, unless somebody handles them already.
    Only the main thread hears of signals; in others nothing changes.
    """
    if not _hears_signals():
        yield
        return
    ours = {each: old for each, old in _DEFAULTS.items() if signal.getsignal(each) is old}
    for each in ours:
        signal.signal(each, _raising(_RAISED[each]))
    try:
        yield
    finally:
        for each, before in ours.items():
            signal.signal(each, before)


@contextmanager
def in_one_piece() -> Iterator[None]:
    """What interrupts the block counts when it has ended."""
    if not _hears_signals():
        yield
        return
    _Held.depth += 1
    try:
        yield
    finally:
        _Held.depth -= 1
        if not _Held.depth and _Held.come is not None:
            come, _Held.come = _Held.come, None
            raise come


@contextmanager
def undisturbed() -> Iterator[None]:
    """Nothing interrupts the block: who presses Ctrl-C twice still finds the end written down."""
    if not _hears_signals():
        yield
        return
    before = {each: signal.getsignal(each) for each in (signal.SIGINT, signal.SIGTERM)}
    for each in before:
        signal.signal(each, signal.SIG_IGN)
    try:
        yield
    finally:
        for each, handler in before.items():
            signal.signal(each, handler)


def _raising(error: type[BaseException]) -> Callable[[int, FrameType | None], None]:
    def handle(_signal: int, _frame: FrameType | None) -> None:
        if not _Held.depth:
            raise error
        _Held.come = error

    return handle


def _hears_signals() -> bool:
    return threading.current_thread() is threading.main_thread()
