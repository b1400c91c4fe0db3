"""Who attempts the trials of a search: processes of this machine, or a Ray cluster."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from concurrent import futures
from contextlib import contextmanager
from typing import TYPE_CHECKING, Any, TypeVar

from cd4ml.errors import InvalidInput
from cd4ml.experiments.workers import MakeExecutor
from cd4ml.loop.executors import Where, open_executor, which
from cd4ml.pipeline.executors.machine import present_hardware
from cd4ml.pipeline.run import Pipeline
from cd4ml.records.hardware import Hardware
from cd4ml.records.resources import Resources, resources
from cd4ml.records.settings import SearchSettings
from cd4ml.store.project import Project

if TYPE_CHECKING:
    from cd4ml.pipeline.executors.port import Executor

T = TypeVar("T")


def needs_of(wanted: SearchSettings, pipeline: Pipeline) -> Resources:
    """What a trial asks for: what is wanted, else what its hungriest step does.

    Raises:
        InvalidInput: If it cannot be.
    """
    asked = resources(cpus=wanted.cpus or 1, gpus=wanted.gpus, memory=wanted.memory)
    steps = [step.resources for step in pipeline.graph.steps]
    return Resources(
        cpus=asked.cpus if wanted.cpus else max(step.cpus for step in steps),
        gpus=asked.gpus or max(step.gpus for step in steps),
        memory=asked.memory or max(step.memory for step in steps),
    )


@contextmanager
def trial_executor(
    project: Project, where: Where, *, needs: Resources, workers: int
) -> Iterator[MakeExecutor | None]:
    """What makes the executor of a search's trials; None where plain processes do.

    On a cluster, and where a trial asks for more than one CPU, each is a call of an executor
    with limits: it gets its share, and whose process died is known.

    Args:
        project: Whose trials.
        where: Where they are attempted; never in this process.
        needs: What each asks for.
        workers: How many at a time, as far as there is room.

    Raises:
        InvalidInput: If no machine has what one trial asks for.
        ConfigurationError: If Ray is not installed.
        Unavailable: If the cluster does not answer.
    """
    is_ray = which(project, where) == "ray"
    if not is_ray and needs == Resources():
        yield None
        return
    if not is_ray:
        workers = _with_room(present_hardware(), needs, workers)
    kind = "ray" if is_ray else "processes"
    inner = Where(executor=kind, ray=where.ray, workers=workers)
    with open_executor(project, inner) as opened:
        _refuse_lacking(opened.hardware, needs)
        yield lambda _: _Calls(opened, needs)


def _with_room(machine: Hardware, needs: Resources, workers: int) -> int:
    """How many trials a machine has room for at a time, of those that are wanted."""
    _refuse_lacking(machine, needs)
    shares = [machine.cpus / needs.cpus]
    shares += [len(machine.gpus) / needs.gpus] if needs.gpus else []
    shares += [machine.memory / needs.memory] if needs.memory else []
    return max(1, min(workers, int(min(shares))))


def _refuse_lacking(machine: Hardware, needs: Resources) -> None:
    if missing := machine.lacks(needs):
        msg = f"each trial asks for {missing}"
        raise InvalidInput(msg, hint="run it where there is more, or let it ask for less")


class _Calls(futures.Executor):
    """Trials as calls of an executor with limits."""

    def __init__(self, inner: Executor, needs: Resources) -> None:
        self._inner = inner
        self._needs = needs

    def submit(self, function: Callable[..., T], /, *call: Any, **_: Any) -> futures.Future[T]:
        return self._inner.submit(function, *call, resources=self._needs)

    def shutdown(self, wait: bool = True, *, cancel_futures: bool = False) -> None:
        self._inner.shutdown(cancel=cancel_futures)
