"""One turn of everything that happens without anybody asking."""

from __future__ import annotations

import logging
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Literal

import msgspec

from cd4ml.errors import Cd4mlError, Conflict, refused_by_system
from cd4ml.loop.access import for_everybody
from cd4ml.loop.audit import checkpoint_if_due
from cd4ml.loop.due import PULL, ask_for_due, carry_out
from cd4ml.loop.retrain import RETRAIN, retrain
from cd4ml.loop.roll_out import roll_out
from cd4ml.loop.watch import collect, watch
from cd4ml.loop.webhooks import tell
from cd4ml.records.alert import Alert
from cd4ml.records.job import Job
from cd4ml.records.release import Release
from cd4ml.records.window import Window
from cd4ml.store import jobs, ledger, rows
from cd4ml.store.people import SYSTEM
from cd4ml.store.project import Project

_LEASE_S = 30.0
_MOST_ATTEMPTS = 10  # a job that ends its process (memory, a crash) is not tried for ever

_ACTIONS = {RETRAIN: "retraining", PULL: "pull"}  # kinds of job, as the ledger has them

_log = logging.getLogger(__name__)


class WorkReport(msgspec.Struct, frozen=True, kw_only=True):
    """What one turn brought."""

    collected: int
    releases: tuple[Release, ...]
    windows: tuple[Window, ...]
    alerts: tuple[Alert, ...]
    jobs: tuple[Job, ...]
    told: int = 0  # entries of the ledger that webhooks took


def work(
    project: Project,
    *,
    owner: str,
    kinds: tuple[str, ...] | None = None,
    tells: bool = True,
) -> WorkReport:
    """Drain the log, take releases further, measure, read sources, do what was asked for, tell.

    Each part is attempted whatever became of the others: a pipeline that cannot be
    imported at the moment must not keep a harmful canary in production.

    Args:
        project: Whose work.
        owner: Names this process in leases.
        kinds: The kinds of job to carry out; all by default.
        tells: Whether webhooks are told.

    Raises:
        Cd4mlError: The first thing that went wrong, once everything was attempted.
    """
    errors: list[Cd4mlError] = []
    with _held_back(errors):
        collected = collect(project)
    releases: list[Release] = []
    with _held_back(errors):
        releases += roll_out(project)
    with _held_back(errors):
        seen = watch(project)
    wanted = tuple(_ACTIONS) if kinds is None else kinds
    with _held_back(errors):
        _ = ask_for_due(project) if PULL in wanted else []
    done: list[Job] = []
    with _held_back(errors):
        done += _jobs(project, owner, wanted)
    with _held_back(errors):
        releases += roll_out(project) if done else []
    with _held_back(errors):
        _ = checkpoint_if_due(project) if kinds is None else None
    told = 0
    with _held_back(errors):
        told += tell(project, owner=owner) if tells else 0
    if errors:
        raise errors[0]
    return WorkReport(
        collected=collected + seen.collected,
        releases=tuple(releases),
        windows=seen.windows,
        alerts=seen.alerts,
        jobs=tuple(done),
        told=told,
    )


def read_sources(project: Project, *, owner: str) -> list[Job]:
    """Read the sources that are due now; returns the jobs that did it.

    Raises:
        Cd4mlError: If the jobs cannot be asked for; a source that cannot be read fails its own.
    """
    ask_for_due(project)
    return _jobs(project, owner, (PULL,))


def work_until(project: Project, stop: threading.Event, *, owner: str, interval_s: float) -> None:
    """Turn after turn until told to stop; a turn that fails is logged, and repeated.

    Sources are read, and webhooks told, beside the rest: a server that is slow to answer, or a
    long training, holds up neither the others nor a rollout.
    """

    def turn() -> None:
        work(project, owner=owner, kinds=(RETRAIN,), tells=False)

    def read() -> None:
        errors: list[Cd4mlError] = []
        with _held_back(errors):
            checkpoint_if_due(project)
        read_sources(project, owner=owner)
        if errors:
            raise errors[0]

    def tell_others() -> None:
        tell(project, owner=owner)

    beside = [
        threading.Thread(target=_repeat, args=(each, stop, interval_s), name=name, daemon=True)
        for name, each in (("sources", read), ("webhooks", tell_others))
    ]
    for thread in beside:
        thread.start()
    _repeat(turn, stop, interval_s)
    for thread in beside:
        thread.join()


def _repeat(turn: Callable[[], None], stop: threading.Event, interval_s: float) -> None:
    while not stop.is_set():
        try:
            turn()
        except Cd4mlError as error:
            _log.error("background work: %s", error)
        except Exception:  # a worker outlives a turn that failed; the next one may succeed
            _log.exception("background work failed")
        stop.wait(interval_s)


@contextmanager
def _held_back(errors: list[Cd4mlError]) -> Iterator[None]:
    """Keep an error for later, so that what comes next is attempted too."""
    try:
        yield
    except Cd4mlError as error:
        errors.append(error)
    except OSError as error:
        refused = refused_by_system(error)
        if refused is None:
            raise
        errors.append(refused)


def _jobs(project: Project, owner: str, kinds: tuple[str, ...]) -> list[Job]:
    done = []
    while (job := _claim(project, owner, kinds)) is not None:
        done.append(_carry_out(project, job))
    return done


def _claim(project: Project, owner: str, kinds: tuple[str, ...]) -> Job | None:
    with project.database.write() as connection:
        now = project.clock.machine_time()
        return jobs.claim(connection, owner=owner, machine_time=now, lease_s=_LEASE_S, kinds=kinds)


def _carry_out(project: Project, job: Job) -> Job:
    if job.attempts > _MOST_ATTEMPTS:
        reason = f"given up: {_MOST_ATTEMPTS} processes that tried it ended before it did"
        return _end(project, job, "failed", reason)
    with jobs.heartbeat(project.database, job, project.clock, lease_s=_LEASE_S):
        try:
            outcome = _outcome(project, job)
        except Cd4mlError as error:
            return _end(project, job, "failed", for_everybody(project, error))
    return _end(project, job, "finished", outcome)


def _outcome(project: Project, job: Job) -> str:
    if job.kind == PULL:
        return carry_out(project, job)
    return retrain(project, job).outcome


def _end(project: Project, job: Job, how: Literal["finished", "failed"], reason: str) -> Job:
    at, end = project.clock.now(), jobs.finish if how == "finished" else jobs.fail
    if how == "failed":
        _log.error("job/%d %s failed: %s", job.number, job.kind, reason)
    try:
        with project.database.write() as connection:
            ended = end(connection, job, at=at, reason=reason)
            ledger.append(
                connection,
                at=at,
                actor=SYSTEM,
                action=f"{_ACTIONS[job.kind]}.{how}",
                subject=f"job/{job.number}",
                reason=reason,
            )
            return ended
    except Conflict:  # this process was silent for so long that another one took it over
        with project.database.read() as connection:
            return rows.get(connection, Job, job.number)
