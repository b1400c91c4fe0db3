"""Worker processes of this machine, spawned once and asked again and again."""

from __future__ import annotations

import math
import os
import pickle
import threading
from collections import deque
from collections.abc import Callable
from concurrent.futures import CancelledError, Future
from functools import cached_property
from typing import Any, TypeVar

from cd4ml.pipeline.executors.machine import present_hardware, usable_cpus
from cd4ml.pipeline.executors.memory import TablesOfTheProcess
from cd4ml.pipeline.executors.supervised import SupervisedProcess
from cd4ml.pipeline.executors.worker import Request
from cd4ml.records.hardware import Hardware
from cd4ml.records.resources import Resources

T = TypeVar("T")

_HASHES = "PYTHONHASHSEED"
# pools of threads that would take all CPUs in each of several processes
_THREADS = (
    "OMP_NUM_THREADS",
    "OPENBLAS_NUM_THREADS",
    "MKL_NUM_THREADS",
    "POLARS_MAX_THREADS",
    "RAYON_NUM_THREADS",
)


class _Job(Future[Any]):
    """A call that waits, or that a process is working on."""

    def __init__(self, call: bytes, resources: Resources, timeout_s: float) -> None:
        super().__init__()
        self.call = call
        self.resources = resources
        self.timeout_s = timeout_s
        self.devices: tuple[int, ...] = ()
        self.is_unwanted = False
        self.process: SupervisedProcess | None = None

    def cancel(self) -> bool:
        """Take it back; if a process is working on it, that process is ended."""
        if self.done():
            return False
        self.is_unwanted = True
        if super().cancel():
            return True
        if self.process is not None:
            self.process.end()
        return True


class Workers:
    """An executor of so many processes; each is started when there is work for it.

    A process that dies, or is ended over a limit, is replaced by a new one for the next
    call. With more than one, each gets its share of the CPUs for the threads of numeric
    libraries, unless the environment says how many there are to be.
    """

    keeps_output = True
    settles_later = True

    def __init__(self, workers: int = 1, *, hardware: Hardware | None = None) -> None:
        self.workers = workers
        self._given = hardware
        self._jobs: deque[_Job] = deque()
        self._wakes = threading.Condition()
        self._threads: list[threading.Thread] = []
        self._n_idle = 0
        self._is_closed = False
        self._working: set[_Job] = set()

    @cached_property
    def hardware(self) -> Hardware:
        """This machine."""
        return self._given or present_hardware()

    @property
    def capacity(self) -> Hardware:
        """This machine."""
        return self.hardware

    @property
    def tables(self) -> TablesOfTheProcess:
        """Each process holds its own ready."""
        return TablesOfTheProcess()

    def submit(
        self,
        function: Callable[..., T],
        /,
        *arguments: Any,
        resources: Resources = Resources(),  # noqa: B008 - immutable
        timeout_s: float = 0.0,
    ) -> Future[T]:
        """Have a function called by the next process that is free.

        Raises:
            RuntimeError: If it was shut down.
        """
        call = pickle.dumps((function, arguments), pickle.HIGHEST_PROTOCOL)
        job = _Job(call, resources, timeout_s)
        with self._wakes:
            if self._is_closed:
                raise RuntimeError("these workers were shut down")
            self._jobs.append(job)
            if self._n_idle < len(self._jobs) and len(self._threads) < self.workers:
                thread = threading.Thread(target=self._serve, name="cd4ml-worker", daemon=True)
                self._threads.append(thread)
                thread.start()
            self._wakes.notify()
        return job

    def shutdown(self, *, cancel: bool = False) -> None:
        """Take no more work, wait for what was begun (or cancel it), and end the processes."""
        with self._wakes:
            self._is_closed = True
            unwanted = [*self._jobs, *self._working] if cancel else []
            self._wakes.notify_all()
        for job in unwanted:
            job.cancel()
        for thread in self._threads:
            thread.join()

    def _serve(self) -> None:
        """What each thread does: take a job, have its process do it, until there is none."""
        process: SupervisedProcess | None = None
        while (job := self._next()) is not None:
            if process is None or not process.is_alive:
                if process is not None:
                    process.close()
                process = SupervisedProcess(self.variables)
            self._do(job, process)
            with self._wakes:
                self._working.discard(job)
        if process is not None:
            process.close()

    def _next(self) -> _Job | None:
        with self._wakes:
            self._n_idle += 1
            while True:
                while self._jobs:
                    job = self._jobs.popleft()
                    if job.set_running_or_notify_cancel():
                        self._n_idle -= 1
                        job.devices = self._devices(job)
                        self._working.add(job)
                        return job
                if self._is_closed:
                    return None
                self._wakes.wait()

    def _do(self, job: _Job, process: SupervisedProcess) -> None:
        job.process = process
        if job.is_unwanted:  # taken back while its process was being found
            job.set_exception(CancelledError())
            return
        shown = {"CUDA_VISIBLE_DEVICES": ",".join(map(str, job.devices))} if job.devices else {}
        asked = Request(job.call, shown, is_timed=bool(job.timeout_s))
        request = pickle.dumps(tuple(asked), pickle.HIGHEST_PROTOCOL)
        try:
            value = process.call(request, timeout_s=job.timeout_s, memory=job.resources.memory)
        except BaseException as error:
            job.set_exception(CancelledError() if job.is_unwanted else error)
        else:
            job.set_result(value)

    def _devices(self, job: _Job) -> tuple[int, ...]:
        """Which GPUs a job gets: those that no other one has."""
        wanted = math.ceil(job.resources.gpus)
        taken = {device for other in self._working for device in other.devices}
        free = [device for device in range(len(self.hardware.gpus)) if device not in taken]
        return tuple(free[:wanted]) if wanted else ()

    @property
    def variables(self) -> dict[str, str]:
        """What its processes have in their environment beside what is in that of this one.

        Sets have one order in all of them, so that what is made from them has the same bytes.
        """
        found = {} if _HASHES in os.environ else {_HASHES: "0"}
        if self.workers == 1 or any(name in os.environ for name in _THREADS):
            return found
        share = str(max(1, usable_cpus() // self.workers))
        return found | dict.fromkeys(_THREADS, share)
