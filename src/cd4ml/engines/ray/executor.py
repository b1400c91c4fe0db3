"""An executor whose calls are Ray tasks."""

from __future__ import annotations

import threading
from collections.abc import Callable
from concurrent.futures import CancelledError, Future
from functools import cached_property
from typing import Any, TypeVar

from cd4ml.engines.ray.connection import (
    connect,
    hear_children,
    largest_node,
    ray_module,
    whole_cluster,
)
from cd4ml.engines.ray.tables import RayTables
from cd4ml.errors import TimedOut, WorkerLost
from cd4ml.records.hardware import Hardware
from cd4ml.records.resources import Resources

T = TypeVar("T")

_NODES_LOST = 3  # how often a call is made anew because its node died
_TOLD_AFTER_S = 4.0  # at most so late Ray says that a process has ended itself


class _Task(Future[Any]):
    """A call on the cluster; cancelling it ends the process that works on it."""

    def __init__(self, start: Callable[[], Any], timeout_s: float) -> None:
        super().__init__()
        self._start = start
        self._timeout_s = timeout_s
        self._n_lost = 0
        self._ended_by: BaseException | None = None
        self._late: TimedOut | None = None
        self._reference: Any = None
        self._timer: threading.Timer | None = None

    def begin(self) -> None:
        """Have the cluster make the call."""
        self.set_running_or_notify_cancel()
        self._make()
        self._after(self._timeout_s, self._is_late)

    def cancel(self) -> bool:
        """End the call; its future raises `CancelledError` once it has ended."""
        if self.done():
            return False
        self._end(CancelledError())
        return True

    def _after(self, seconds: float, what: Callable[[], None]) -> None:
        if seconds and not self.done():
            self._timer = threading.Timer(seconds, what)
            self._timer.daemon = True
            self._timer.start()

    def _is_late(self) -> None:
        """Its time is over: that it is ended waits for the news that it had ended before."""
        self._late = _too_long(self._timeout_s)
        self._after(_TOLD_AFTER_S, lambda: self._end(_too_long(self._timeout_s)))

    def _make(self) -> None:
        self._reference = self._start()
        self._reference.future().add_done_callback(self._settle)

    def _end(self, reason: BaseException) -> None:
        # Future.cancel of Ray's own future says True, and lets the task run to its end
        self._ended_by = reason
        ray_module().cancel(self._reference, force=True)

    def _settle(self, done: Future[Any]) -> None:
        error = done.exception()
        if error is not None and self._is_lost(error):
            self._n_lost += 1
            self._make()
            return
        if self._timer is not None:
            self._timer.cancel()
        if error is not None:
            self.set_exception(self._ended_by or _explained(error))
        elif self._ended_by or self._late:  # it came to its end meanwhile
            self.set_exception(self._ended_by or self._late)
        else:
            self.set_result(done.result())

    def _is_lost(self, error: BaseException) -> bool:
        """Whether the node is to blame, and another one may do better."""
        exceptions = ray_module().exceptions
        is_node = isinstance(error, exceptions.NodeDiedError | exceptions.LocalRayletDiedError)
        is_wanted = self._ended_by is None and self._late is None
        return is_node and is_wanted and self._n_lost < _NODES_LOST


class RayExecutor:
    """An executor on a Ray cluster, whose nodes see the project's folder and its stores.

    Ray gives each call the CPUs and GPUs that it asks for, and keeps its memory free; a call
    that takes more is ended only when its node runs short. The time that a call waits for a
    place counts as its own; one whose time is over is ended four seconds later, as Ray takes
    that long to say that its process had ended before. A call whose node dies is made anew on
    another one.

    Args:
        address: Of the cluster; see `connect`.
        workers: How many calls at a time; 0: as many as there are CPUs.

    Raises:
        ConfigurationError: If Ray is not installed.
        Unavailable: If the cluster does not answer.
    """

    keeps_output = True
    settles_later = False

    def __init__(self, address: str, *, workers: int = 0) -> None:
        self._is_ours = connect(address)
        self._ray = ray_module()
        self._call = self._ray.remote(call)
        self._open: set[_Task] = set()
        self.workers = workers or max(1, whole_cluster().cpus)

    @property
    def hardware(self) -> Hardware:
        """What the largest nodes have."""
        return largest_node()

    @property
    def capacity(self) -> Hardware:
        """What the cluster has."""
        return whole_cluster()

    @cached_property
    def tables(self) -> RayTables:
        """Tables in the cluster's shared memory."""
        return RayTables()

    @property
    def variables(self) -> dict[str, str]:
        """None: a cluster has its own."""
        return {}

    def submit(
        self,
        function: Callable[..., T],
        /,
        *arguments: Any,
        resources: Resources = Resources(),  # noqa: B008 - immutable
        timeout_s: float = 0.0,
    ) -> Future[T]:
        """Have a function called on the cluster."""
        remote = self._call.options(
            num_cpus=resources.cpus,
            num_gpus=resources.gpus,
            memory=resources.memory or None,
            max_retries=0,  # a step that ended its process would do so again
        )
        task = _Task(lambda: remote.remote(function, arguments), timeout_s)
        self._open.add(task)
        task.add_done_callback(self._open.discard)
        task.begin()
        return task

    def shutdown(self, *, cancel: bool = False) -> None:
        """Wait for what was begun (or cancel it), and let go of the cluster."""
        for task in list(self._open):
            if cancel:
                task.cancel()
            task.exception()  # waits; who submitted it hears of it
        if "tables" in self.__dict__:
            self.tables.end()
        if self._is_ours:
            self._ray.shutdown()


def call(function: Callable[..., T], arguments: tuple[Any, ...]) -> T:
    """Call a function: Ray takes no builtins, and its options want one name for all."""
    hear_children()
    return function(*arguments)


def _too_long(timeout_s: float) -> TimedOut:
    return TimedOut(f"it took more than {timeout_s:g} s, and was ended")


def _explained(error: BaseException) -> BaseException:
    """What went wrong, in the classes that executors raise; the call's own error as it was."""
    exceptions = ray_module().exceptions
    if isinstance(error, exceptions.RayTaskError):
        cause = getattr(error, "cause", None)
        if not isinstance(cause, BaseException):
            return RuntimeError(str(error).strip().splitlines()[-1])
        cause.__cause__ = RuntimeError(f"\n{error}")  # with the traceback over there
        return cause
    if isinstance(error, exceptions.TaskCancelledError):
        return CancelledError()
    if isinstance(error, exceptions.OutOfMemoryError):
        msg = "its node ran out of memory, and Ray ended it"
        return WorkerLost(msg, hint='have room kept for it: @step(memory="...")')
    if isinstance(error, exceptions.WorkerCrashedError | exceptions.NodeDiedError):
        return WorkerLost("its process, or its node, died")
    return error
