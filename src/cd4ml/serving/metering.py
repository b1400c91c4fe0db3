"""What answering takes: CPU time and cost by version, and what a worker is busy with now."""

from __future__ import annotations

import asyncio
import dataclasses
import os
import time
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any

import msgspec

from cd4ml.models.assignment import champion_of
from cd4ml.records.settings import PriceSettings
from cd4ml.serving.endpoint import Endpoint, Version
from cd4ml.serving.metrics import Counts, Label, label_of

_EVERY = (
    16  # calls of a model of which one is timed: asking for a thread's time costs a microsecond
)
_EVERY_S = 0.5
_HOUR_S = 3600.0
_GB = 10**9
_STATM = Path("/proc/self/statm")

Score = Callable[[Sequence[tuple[Any, ...]]], list[float]]


def metered(endpoint: Endpoint, counts: Counts) -> Endpoint:
    """The same endpoint; what its models take is noted in `counts.work`."""

    def with_meter(version: Version) -> Version:
        score = _timed(version.score, label_of(version.arm), counts.work)
        return msgspec.structs.replace(version, score=score)

    return dataclasses.replace(
        endpoint,
        champion=with_meter(endpoint.champion),
        canary=None if endpoint.canary is None else with_meter(endpoint.canary),
        shadows=tuple(with_meter(version) for version in endpoint.shadows),
    )


def shares(
    spent: float, work: Mapping[Label, float], answered: Mapping[Label, float]
) -> dict[Label, float]:
    """Some CPU time by version: what its model took, and of the rest by the rows that it answered.

    Args:
        spent: CPU seconds of the process.
        work: CPU seconds of each model, about.
        answered: Rows that each version answered in that time.

    Returns:
        CPU seconds; together no more than were spent, less if nothing was answered.

    Examples:
        >>> one, two = ("delay", 1, "champion"), ("delay", 2, "canary")
        >>> shares(10.0, {two: 4.0}, {one: 90, two: 10})
        {('delay', 1, 'champion'): 5.4, ('delay', 2, 'canary'): 4.6}
    """
    total = sum(answered.values())
    if not total:
        return {}
    in_models = sum(work.get(label, 0.0) for label in answered)
    scale = min(1.0, spent / in_models) if in_models else 0.0
    rest = max(0.0, spent - in_models * scale)
    return {
        label: work.get(label, 0.0) * scale + rest * n / total for label, n in answered.items() if n
    }


def cost(prices: PriceSettings, *, cpu_s: float, seconds: float, memory_bytes: float) -> float:
    """What CPU time, and a machine and memory for a time, cost.

    Examples:
        >>> from cd4ml.records.settings import PriceSettings
        >>> prices = PriceSettings(cpu_hour=0.036, machine_hour=0.36)
        >>> round(cost(prices, cpu_s=100, seconds=10, memory_bytes=10**9), 6)
        0.002
    """
    held = prices.machine_hour + prices.memory_gb_hour * memory_bytes / _GB
    return (prices.cpu_hour * cpu_s + held * seconds) / _HOUR_S


class Meter:
    """Keeps a worker's counts at what it takes; used within its event loop.

    Args:
        counts: Where it is written.
        prices: Per hour.
        n_workers: How many processes share the machine whose hours are paid.
        present: What there is of each gauge now.
    """

    def __init__(
        self,
        counts: Counts,
        *,
        prices: PriceSettings,
        n_workers: int = 1,
        present: Callable[[], Mapping[str, float]],
    ) -> None:
        self._counts = counts
        machine = prices.machine_hour / n_workers
        self._prices = msgspec.structs.replace(prices, machine_hour=machine)
        self._present = present
        self._cpu_s, self._at = 0.0, time.monotonic()
        self._work: dict[Label, float] = {}
        self._rows = counts.answered.numbers

    async def run(self, endpoint: Callable[[], Endpoint | None]) -> None:
        """Look again and again, until it is cancelled."""
        while True:
            self.look(endpoint())
            await asyncio.sleep(_EVERY_S)

    def look(self, endpoint: Endpoint | None) -> None:
        """Write down what was taken since the last look, and what there is now."""
        memory = _memory_bytes()
        self._counts.set("cd4ml_memory_bytes", memory)
        for metric, number in self._present().items():
            self._counts.set(metric, number)
        cpu_s, at = time.process_time(), time.monotonic()
        spent, seconds = cpu_s - self._cpu_s, at - self._at
        self._cpu_s, self._at = cpu_s, at
        self._counts.increase("cd4ml_process_cpu_seconds_total", spent)
        taken = shares(spent, self._new_work(), self._new_rows())
        for label, share in taken.items():
            self._counts.cpu.add(label, share)
        if self._prices.are_given:
            self._pay(taken, endpoint, seconds, memory)

    def _pay(
        self,
        taken: Mapping[Label, float],
        endpoint: Endpoint | None,
        seconds: float,
        memory: float,
    ) -> None:
        if not taken:  # nobody asked: the machine waits for who is in charge
            taken = {} if endpoint is None else {label_of(champion_of(endpoint.plan)): 0.0}
        total = sum(taken.values())
        for label, cpu_s in taken.items():
            part = cpu_s / total if total else 1 / len(taken)
            paid = cost(self._prices, cpu_s=cpu_s, seconds=seconds * part, memory_bytes=memory)
            self._counts.cost.add((*label, self._prices.currency), paid)

    def _new_work(self) -> dict[Label, float]:
        before, self._work = self._work, dict(self._counts.work)
        return {label: s - before.get(label, 0.0) for label, s in self._work.items()}

    def _new_rows(self) -> dict[Label, float]:
        before, self._rows = self._rows, self._counts.answered.numbers
        new = {label: n - before.get(label, 0.0) for label, n in self._rows.items()}
        return {label: n for label, n in new.items() if n}


def _timed(score: Score, label: Label, work: dict[Label, float]) -> Score:
    n_calls = 0

    def timed(values: Sequence[tuple[Any, ...]]) -> list[float]:
        nonlocal n_calls
        n_calls += 1
        if n_calls % _EVERY:
            return score(values)
        begun = time.thread_time()
        answers = score(values)
        work[label] += (time.thread_time() - begun) * _EVERY
        return answers

    return timed


def _memory_bytes() -> float:
    try:
        pages = int(_STATM.read_bytes().split()[1])
    except OSError:  # not on Linux
        return 0.0
    return float(pages * os.sysconf("SC_PAGE_SIZE"))
