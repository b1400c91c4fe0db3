"""Load on several workers while everything happens to them, and what became of each answer."""

import os
import random
import signal
import threading
import time
from collections import Counter
from http.client import HTTPException
from pathlib import Path
from typing import NamedTuple

from tests.serving.builders import Caller, Released, Server, arm, until
from tests.serving.small_disk import fill

N_WORKERS = 2
_QUIET_S = 0.5  # around the time of a full disk, in which a request may be refused all the same


class Given(NamedTuple):
    """What a caller was told of one prediction."""

    plan: int
    number: int
    score: float


class Callers:
    """Callers that ask without a pause; who loses a connection asks again over another one."""

    def __init__(self, running: Server, n_callers: int) -> None:
        self.answered: dict[str, Given] = {}
        self.n_twice = 0
        self.refused: list[tuple[float, str]] = []  # when, and why
        self.lost: list[float] = []  # when a connection broke
        self.wrong: list[str] = []
        self._running = running
        self._is_over = threading.Event()
        self._threads = [threading.Thread(target=self._ask) for _ in range(n_callers)]

    def start(self) -> None:
        """Begin."""
        for thread in self._threads:
            thread.start()

    def stop(self) -> None:
        """End when each has its answer."""
        self._is_over.set()
        for thread in self._threads:
            thread.join()

    def _ask(self) -> None:
        while not self._is_over.is_set():
            try:
                with self._running.caller() as caller:
                    self._ask_over(caller)
            except (OSError, HTTPException):
                self.lost.append(time.monotonic())
            except Exception as error:
                self.wrong.append(repr(error))
                return

    def _ask_over(self, caller: Caller) -> None:
        while not self._is_over.is_set():
            reply = caller.ask()
            if reply.status == 503:
                self.refused.append((time.monotonic(), reply.json["error"]))
                self._is_over.wait(0.02)
            elif reply.status != 200:
                self.wrong.append(f"{reply.status}: {reply.body.decode()}")
            else:
                (given,) = reply.json["predictions"]
                self.n_twice += given["prediction_id"] in self.answered
                self.answered[given["prediction_id"]] = Given(
                    given["plan"], given["number"], given["score"]
                )


class Collector:
    """Drains the segments again and again, as `cd4ml up` does."""

    def __init__(self, project: Released) -> None:
        self.errors: list[str] = []
        self._project = project
        self._is_over = threading.Event()
        self._thread = threading.Thread(target=self._collect)

    def start(self) -> None:
        """Begin."""
        self._thread.start()

    def stop(self) -> None:
        """Drain a last time, and end."""
        self._is_over.set()
        self._thread.join()
        self._project.project.log.collect()

    def _collect(self) -> None:
        while not self._is_over.wait(1):
            try:
                self._project.project.log.collect()
            except Exception as error:
                self.errors.append(repr(error))


class Happened(NamedTuple):
    """What was done to the workers, and when."""

    swaps: int
    killed: list[float]
    full: list[tuple[float, float]]  # from, to

    def is_excused(self, at: float) -> bool:
        """Whether the disk was full then."""
        return any(start - _QUIET_S <= at <= end + _QUIET_S for start, end in self.full)


def trouble(
    project: Released,
    running: Server,
    artifacts: list[str],
    disk: Path | None,
    callers: Callers,
    *,
    seconds: float,
    seed: int = 0,
) -> Happened:
    """Swap, kill, and fill the disk, by turns, for so long and each at least once."""
    chance = random.Random(seed)
    happened = Happened(0, [], [])
    end = time.monotonic() + seconds
    n_swaps = 0
    while time.monotonic() < end or not (n_swaps and happened.killed):
        number = 2 - n_swaps % 2
        plan = project.plan(arm(artifacts[number - 1], number=number))
        until(lambda plan=plan: _plan(running) == plan.number)
        n_swaps += 1
        time.sleep(chance.uniform(0, 0.3))
        victim = chance.choice(sorted(running.pids()))
        happened.killed.append(time.monotonic())
        os.kill(victim, signal.SIGKILL)
        if disk is not None:
            happened.full.append(_full(disk, callers, chance.uniform(0.3, 0.8)))
        until(lambda: _are_back(running, len(happened.killed)), 60)
    return happened._replace(swaps=n_swaps)


def _plan(running: Server) -> float:
    return _metrics(running).get("cd4ml_plan", 0)


def _are_back(running: Server, n_deaths: int) -> bool:
    told = _metrics(running)
    is_known = told.get("cd4ml_worker_deaths_total", 0) == n_deaths
    return is_known and told["cd4ml_workers"] == N_WORKERS


def _metrics(running: Server) -> dict[str, float]:
    try:
        return running.metrics()
    except (OSError, HTTPException):  # by a worker that died just then
        return {}


def _full(disk: Path, callers: Callers, seconds: float) -> tuple[float, float]:
    """Fill the disk for so long, and until somebody was refused."""
    start, n_refused = time.monotonic(), len(callers.refused)
    while time.monotonic() < start + seconds or len(callers.refused) == n_refused:
        assert time.monotonic() < start + 60, "nobody was refused"
        filler = fill(disk)  # again: the collector removes what it has drained
        time.sleep(0.02)
    filler.unlink()
    return start, time.monotonic()


def on_record(project: Released) -> Counter[tuple[str, int, int, float]]:
    """How often each answer is in the prediction log."""
    columns = ["prediction_id", "plan", "number", "score"]
    rows = project.project.log.predictions().select(columns).collect().rows()
    return Counter(rows)
