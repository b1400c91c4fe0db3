"""Asked to end (SIGTERM), a run ends as it does on Ctrl-C: its work stops, and it says so."""

from __future__ import annotations

import signal
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from types import FrameType


class Terminated(SystemExit):
    """The process was asked to end, and ends with the exit code that says so."""

    def __init__(self) -> None:
        super().__init__(128 + signal.SIGTERM)


@contextmanager
def terminated_in_order() -> Iterator[None]:
    """While the block lasts SIGTERM raises `Terminated` in it, unless somebody handles it already.

    Only the main thread hears of signals; in others nothing changes.
    """
    if not _hears_signals() or signal.getsignal(signal.SIGTERM) is not signal.SIG_DFL:
        yield
        return

    def end(_signal: int, _frame: FrameType | None) -> None:
        raise Terminated

    signal.signal(signal.SIGTERM, end)
    try:
        yield
    finally:
        signal.signal(signal.SIGTERM, signal.SIG_DFL)


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


def _hears_signals() -> bool:
    return threading.current_thread() is threading.main_thread()
