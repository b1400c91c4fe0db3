"""Work done where it is asked for: for a debugger, and in a process that is a worker itself."""

from __future__ import annotations

from collections.abc import Callable
from concurrent.futures import Future
from functools import cached_property
from typing import Any, TypeVar

from cd4ml.pipeline.executors.machine import present_hardware
from cd4ml.pipeline.executors.memory import NoTables
from cd4ml.records.hardware import Hardware
from cd4ml.records.resources import Resources

T = TypeVar("T")


class Inline:
    """An executor that calls each function at once, in the thread that asks.

    Nobody can end what runs here: neither timeouts nor limits of memory hold, an interrupt
    goes through to the function, and a function that ends its process ends this one.
    """

    workers = 1
    keeps_output = False
    settles_later = False

    @property
    def variables(self) -> dict[str, str]:
        """None: it is this process."""
        return {}

    @cached_property
    def hardware(self) -> Hardware:
        """This machine."""
        return present_hardware()

    @property
    def capacity(self) -> Hardware:
        """This machine."""
        return self.hardware

    @property
    def tables(self) -> NoTables:
        """None: what runs here reads its inputs anew."""
        return NoTables()

    def submit(
        self,
        function: Callable[..., T],
        /,
        *arguments: Any,
        resources: Resources = Resources(),  # noqa: B008 - immutable
        timeout_s: float = 0.0,
    ) -> Future[T]:
        """Call the function; the future is done when this returns."""
        future: Future[T] = Future()
        future.set_running_or_notify_cancel()
        try:
            future.set_result(function(*arguments))
        except Exception as error:
            future.set_exception(error)
        return future

    def shutdown(self, *, cancel: bool = False) -> None:
        """There is nothing to end."""
