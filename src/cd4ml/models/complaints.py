"""What goes wrong again and again is said once in a while, with how often it did.

It imports nothing but Python's own library: a packaged model (`serving.packaging`) takes this
very file along.
"""

from __future__ import annotations

import threading
import time
from collections.abc import Callable, Hashable
from pathlib import PurePath
from traceback import extract_tb

_EVERY_S = 60.0
_MOST = 1_000  # kinds that are remembered
_FRAMES = 3  # of a traceback that are named


class Complaints:
    """Decides whether something is said now. Safe to share between threads.

    Args:
        every_s: Seconds in which the same is said once.
        clock: Seconds since whenever.
    """

    def __init__(
        self, every_s: float = _EVERY_S, clock: Callable[[], float] = time.monotonic
    ) -> None:
        self._every_s = every_s
        self._clock = clock
        self._lock = threading.Lock()
        self._known: dict[Hashable, tuple[float, int]] = {}  # kind -> when it was said, times since

    def due(self, kind: Hashable) -> int:
        """How often it happened since it was said last, now included; 0 if that is not long ago.

        Examples:
            >>> now = [0.0]
            >>> complaints = Complaints(every_s=60, clock=lambda: now[0])
            >>> complaints.due("NaN"), complaints.due("NaN"), complaints.due("other")
            (1, 0, 1)
            >>> now[0] = 61.0
            >>> complaints.due("NaN")
            2
        """
        with self._lock:
            now = self._clock()
            said_at, n = self._known.get(kind, (float("-inf"), 0))
            is_due = now - said_at >= self._every_s
            if len(self._known) >= _MOST and kind not in self._known:
                self._known.clear()
            self._known[kind] = (now, 0) if is_due else (said_at, n + 1)
            return n + 1 if is_due else 0


def times(n: int) -> str:
    """How often, in words that end a line of a log; "" for once.

    Examples:
        >>> times(1), times(12)
        ('', ' (12 times since this was said last)')
    """
    return "" if n == 1 else f" ({n:,} times since this was said last)"


def place_of(error: BaseException) -> str:
    """What was raised and where, without its words: these may hold values of somebody's row.

    Examples:
        >>> try:
        ...     float("B6")
        ... except ValueError as error:
        ...     place_of(error).partition(" (")[0]
        'ValueError'
    """
    frames = extract_tb(error.__traceback__)[: -_FRAMES - 1 : -1]
    places = [f"{PurePath(f.filename).name}, line {f.lineno}, in {f.name}" for f in frames]
    where = f" ({'; called from '.join(places)})" if places else ""
    return f"{type(error).__name__}{where}"
