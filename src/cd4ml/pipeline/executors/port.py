"""What an executor is: `concurrent.futures.Executor`, and limits.

Two things differ from Python's own: a future that is cancelled ends the work even when it
has begun, and work says what it asks for. Functions and arguments are pickled, so functions
stand at the top of a module.
"""

from __future__ import annotations

from collections.abc import Callable
from concurrent.futures import Future
from typing import Any, Protocol, TypeVar

from cd4ml.records.hardware import Hardware
from cd4ml.records.resources import Resources

T = TypeVar("T")


class Tables(Protocol):
    """Tables that are held ready for who needs them next, by their content address.

    It is memory, not storage: any of them may be gone. Can be pickled.
    """

    def get(self, address: str) -> Any | None:
        """The Polars DataFrame of an address, where it is at hand."""

    def put(self, address: str, frame: Any) -> None:
        """Hold a Polars DataFrame ready, if there is room."""

    def drop(self, addresses: tuple[str, ...]) -> None:
        """Nobody needs them any more."""


class Executor(Protocol):
    """Does work for others; safe to share between threads."""

    @property
    def workers(self) -> int:
        """How many calls it works on at a time."""

    @property
    def hardware(self) -> Hardware:
        """What one call can have at most."""

    @property
    def capacity(self) -> Hardware:
        """What all calls together can have."""

    @property
    def tables(self) -> Tables:
        """What its calls may hold ready for one another."""

    @property
    def keeps_output(self) -> bool:
        """Whether what work prints is to be taken from its process, and kept."""

    @property
    def settles_later(self) -> bool:
        """Whether this process can bring to the disk what its calls have written."""

    @property
    def variables(self) -> dict[str, str]:
        """Environment variables that its calls see otherwise than this process does."""

    def submit(
        self,
        function: Callable[..., T],
        /,
        *arguments: Any,
        resources: Resources = ...,
        timeout_s: float = 0.0,
    ) -> Future[T]:
        """Have a function called; returns at once.

        The future raises what the function raised, and

        - `TimedOut`, when the call took more than `timeout_s` seconds (0: no limit);
        - `WorkerLost`, when its process ended, or grew beyond `resources.memory`;
        - `CancelledError`, when it was cancelled. The call has ended then, with all the
          processes that it has started.
        """

    def shutdown(self, *, cancel: bool = False) -> None:
        """Take no more work, wait for what was begun (or cancel it), and end the processes."""
