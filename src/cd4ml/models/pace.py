"""Whether a model answers so quickly that an event loop may wait for it."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from time import perf_counter
from typing import Any

SLOW_S = 0.05  # of one call: beyond that others should not have to wait for it
_CALLS = 100  # that have to be quick before a model counts as quick again

ScoreValues = Callable[[Sequence[Sequence[Any]]], list[float]]


class Pace:
    """How long a model's calls take. Safe to share between threads: a count may miss a call.

    Args:
        slow_s: Seconds of a call that is slow.
    """

    def __init__(self, slow_s: float = SLOW_S) -> None:
        self._slow_s = slow_s
        self._n_left = 0  # quick calls that are missing

    @property
    def is_quick(self) -> bool:
        """Whether none of the last hundred calls was slow.

        Examples:
            >>> pace = Pace(slow_s=0.05)
            >>> pace.took(0.01)
            >>> pace.is_quick
            True
            >>> pace.took(0.2)
            >>> pace.is_quick
            False
        """
        return self._n_left == 0

    def begin(self, seconds: float) -> None:
        """Forget all calls but one, which took so long."""
        self._n_left = 0
        self.took(seconds)

    def took(self, seconds: float) -> None:
        """Note what a call took."""
        if seconds > self._slow_s:
            self._n_left = _CALLS
        elif self._n_left:
            self._n_left -= 1

    def watching(self, score: ScoreValues) -> ScoreValues:
        """The same function, each call of which is noted."""

        def watched(values: Sequence[Sequence[Any]]) -> list[float]:
            begun = perf_counter()
            try:
                return score(values)
            finally:
                self.took(perf_counter() - begun)

        return watched
