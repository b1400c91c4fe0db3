"""Who computes the steps of a run: worker processes, this process, or a Ray cluster."""

from __future__ import annotations

import os
from collections.abc import Iterator
from contextlib import contextmanager
from typing import TYPE_CHECKING, get_args

import msgspec

from cd4ml.errors import ConfigurationError
from cd4ml.pipeline.executors.inline import Inline
from cd4ml.pipeline.executors.pool import Workers
from cd4ml.pipeline.libraries import load_libraries
from cd4ml.records.settings import ExecutorName
from cd4ml.store.project import Project

if TYPE_CHECKING:
    from cd4ml.pipeline.executors.port import Executor

__all__ = ["VARIABLE", "Executor", "Where", "open_executor", "which"]

VARIABLE = "CD4ML_EXECUTOR"
_NAMES = get_args(ExecutorName)


class Where(msgspec.Struct, frozen=True, kw_only=True):
    """Where a run is computed; what is left open is as `[run]` of cd4ml.toml says."""

    executor: str = ""  # "processes", "in-process" or "ray"
    workers: int = 0  # steps at a time; 0: as many as [run] says
    ray: str = ""  # address of a cluster


@contextmanager
def open_executor(project: Project, where: Where = Where()) -> Iterator[Executor]:  # noqa: B008
    """The executor of a run, until the block ends; what is being computed then is ended.

    Raises:
        ConfigurationError: If CD4ML_EXECUTOR names none, or Ray is not installed.
        Unavailable: If the Ray cluster cannot be reached.
    """
    executor = _chosen(project, where)
    if isinstance(executor, Workers):  # it loads them while the run gets ready
        executor.submit(load_libraries, project.folder, project.settings.project.pipeline)
    try:
        yield executor
    finally:
        executor.shutdown(cancel=True)  # what was asked for has ended, or nobody wants it now


def which(project: Project, where: Where) -> str:
    """The name of the executor: what was asked for, CD4ML_EXECUTOR, or what `[run]` says.

    Raises:
        ConfigurationError: If CD4ML_EXECUTOR names none.
    """
    return where.executor or ("ray" if where.ray else _named(project.settings.run.executor))


def _chosen(project: Project, where: Where) -> Executor:
    settings = project.settings.run
    workers = where.workers or settings.workers
    name = which(project, where)
    if name == "in-process":
        return Inline()
    if name == "ray":
        from cd4ml.engines.ray.executor import RayExecutor

        return RayExecutor(where.ray or settings.ray or "local", workers=workers)
    return Workers(workers or 1)


def _named(default: str) -> str:
    name = os.environ.get(VARIABLE, "") or default
    if name not in _NAMES:
        msg = f"{VARIABLE}: expected {', '.join(_NAMES)}, got {name!r}"
        raise ConfigurationError(msg)
    return name
