"""What a piece of work costs its process: time, CPU time, memory at its peak."""

from __future__ import annotations

import resource
from collections.abc import Iterator
from contextlib import contextmanager
from time import perf_counter
from typing import NamedTuple

from cd4ml.pipeline.executors import footprint


class Usage(NamedTuple):
    """Seconds, CPU seconds (with those of processes that were waited for), peak in bytes."""

    seconds: float = 0.0
    cpu_seconds: float = 0.0
    peak_memory: int = 0


@contextmanager
def measured() -> Iterator[list[Usage]]:
    """Measure a block; afterwards the list has its usage as its only element."""
    found: list[Usage] = []
    footprint.reset_peak()
    began, cpu = perf_counter(), _cpu_seconds()
    try:
        yield found
    finally:
        found.append(Usage(perf_counter() - began, _cpu_seconds() - cpu, footprint.peak()))


def _cpu_seconds() -> float:
    # in microseconds, where `os.times` counts ticks of 10 ms
    used = (resource.getrusage(who) for who in (resource.RUSAGE_SELF, resource.RUSAGE_CHILDREN))
    return sum(each.ru_utime + each.ru_stime for each in used)
