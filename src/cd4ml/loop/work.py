"""One turn of everything that happens without anybody asking."""

from __future__ import annotations

import logging
import threading

import msgspec

from cd4ml.errors import Cd4mlError
from cd4ml.loop.retrain import RETRAIN, retrain
from cd4ml.loop.roll_out import roll_out
from cd4ml.loop.watch import watch
from cd4ml.records.alert import Alert
from cd4ml.records.job import Job
from cd4ml.records.release import Release
from cd4ml.records.window import Window
from cd4ml.store import jobs
from cd4ml.store.project import Project

_LEASE_S = 30.0

_log = logging.getLogger(__name__)


class WorkReport(msgspec.Struct, frozen=True, kw_only=True):
    """What one turn brought."""

    collected: int
    releases: tuple[Release, ...]
    windows: tuple[Window, ...]
    alerts: tuple[Alert, ...]
    jobs: tuple[Job, ...]


def work(project: Project, *, owner: str, kinds: tuple[str, ...] | None = None) -> WorkReport:
    """Drain the log, measure, take releases further, carry out what was asked for.

    Args:
        project: Whose work.
        owner: Names this process in leases.
        kinds: The kinds of job to carry out; all by default.
    """
    seen = watch(project)
    before = roll_out(project)
    done = _jobs(project, owner, kinds)
    after = roll_out(project) if done else []
    return WorkReport(
        collected=seen.collected,
        releases=(*before, *after),
        windows=seen.windows,
        alerts=seen.alerts,
        jobs=tuple(done),
    )


def work_until(project: Project, stop: threading.Event, *, owner: str, interval_s: float) -> None:
    """Turn after turn until told to stop; a turn that fails is logged, and repeated."""
    while not stop.is_set():
        try:
            work(project, owner=owner)
        except Cd4mlError as error:
            _log.error("background work: %s", error)
        except Exception:  # a worker outlives a turn that failed; the next one may succeed
            _log.exception("background work failed")
        stop.wait(interval_s)


def _jobs(project: Project, owner: str, kinds: tuple[str, ...] | None) -> list[Job]:
    done = []
    while (job := _claim(project, owner, kinds)) is not None:
        done.append(_carry_out(project, job))
    return done


def _claim(project: Project, owner: str, kinds: tuple[str, ...] | None) -> Job | None:
    with project.database.write() as connection:
        now = project.clock.machine_time()
        wanted = (RETRAIN,) if kinds is None else kinds
        return jobs.claim(connection, owner=owner, machine_time=now, lease_s=_LEASE_S, kinds=wanted)


def _carry_out(project: Project, job: Job) -> Job:
    with jobs.heartbeat(project.database, job, project.clock, lease_s=_LEASE_S):
        try:
            report = retrain(project, job)
        except Cd4mlError as error:
            with project.database.write() as connection:
                return jobs.fail(connection, job, at=project.clock.now(), reason=str(error))
    with project.database.write() as connection:
        return jobs.finish(connection, job, at=project.clock.now(), reason=report.outcome)
