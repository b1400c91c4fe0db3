"""The value stream as it stands, from data to feedback."""

from __future__ import annotations

from collections.abc import Callable
from datetime import datetime
from typing import Literal

import msgspec
import sqlalchemy as sa

from cd4ml.loop.due import PullSeen, failing
from cd4ml.loop.interrupted import settle_interrupted
from cd4ml.records.alert import Alert
from cd4ml.records.dataset import Dataset, DatasetVersion
from cd4ml.records.job import Job
from cd4ml.records.log_file import LogFile
from cd4ml.records.plan import Plan
from cd4ml.records.release import Release
from cd4ml.records.run import Run
from cd4ml.records.trigger import Trigger
from cd4ml.records.verdict import Verdict
from cd4ml.records.window import Window
from cd4ml.records.worker import Worker
from cd4ml.store import rows
from cd4ml.store.clock import SystemClock
from cd4ml.store.project import Project
from cd4ml.store.tables import TABLES

StageState = Literal["idle", "working", "good", "attention"]


class Stage(msgspec.Struct, frozen=True, kw_only=True):
    """One stage of the value stream: a headline, some facts, and how it is."""

    name: str
    headline: str
    facts: tuple[tuple[str, str], ...] = ()
    state: StageState = "idle"


class Status(msgspec.Struct, frozen=True, kw_only=True):
    """The project at one moment."""

    project: str
    now: datetime
    is_simulated: bool
    stages: tuple[Stage, ...]


def status(project: Project) -> Status:
    """The eight stages of the loop as they stand."""
    settle_interrupted(project)
    with project.database.read() as connection:
        data, *others = (describe(connection) for describe in _STAGES)
    stages = (_with_failing(data, failing(project)), *others)
    return Status(
        project=project.settings.project.name,
        now=project.clock.now(),
        is_simulated=is_simulated(project),
        stages=stages,
    )


def is_simulated(project: Project) -> bool:
    """Whether the project's time is a rehearsal's."""
    return not isinstance(project.clock, SystemClock)


def _data(connection: sa.Connection) -> Stage:
    newest = {version.dataset: version for version in rows.find(connection, DatasetVersion)}
    if not newest:
        return Stage(name="data", headline="no dataset yet: cd4ml data add NAME")
    broken = [version.ref for version in newest.values() if version.outcome == "fail"]
    facts = tuple((version.ref, _counted(version.n_rows, "row")) for version in newest.values())
    return Stage(
        name="data",
        headline=_counted(rows.count(connection, Dataset), "dataset"),
        facts=facts,
        state="attention" if broken else "good",
    )


def _with_failing(data: Stage, pulls: list[PullSeen]) -> Stage:
    """The data with the sources that could not be read when it was last tried."""
    if not pulls:
        return data
    facts = tuple((each.dataset, f"not read: {each.job.reason.splitlines()[0]}") for each in pulls)
    return msgspec.structs.replace(data, facts=(*facts, *data.facts), state="attention")


def _pipeline(connection: sa.Connection) -> Stage:
    newest = rows.find(connection, Run, newest_first=True, limit=1)
    if not newest:
        return Stage(name="pipeline", headline="no run yet: cd4ml run")
    run = newest[0]
    states: dict[str, StageState] = {"running": "working", "failed": "attention"}
    return Stage(
        name="pipeline",
        headline=f"{run.ref} {run.state}",
        facts=(("revision", run.revision[:10] or "outside git"), ("experiment", run.experiment)),
        state=states.get(run.state, "good"),
    )


def _experiments(connection: sa.Connection) -> Stage:
    n_runs = rows.count(connection, Run)
    if n_runs == 0:
        return Stage(name="experiments", headline="nothing to compare yet")
    n_failed = rows.count(connection, Run, state="failed")
    facts = (("failed", str(n_failed)),) if n_failed else ()
    return Stage(name="experiments", headline=_counted(n_runs, "run"), facts=facts, state="good")


def _gates(connection: sa.Connection) -> Stage:
    newest = rows.find(connection, Verdict, newest_first=True, limit=1)
    if not newest:
        return Stage(name="gates", headline="nothing judged yet: cd4ml gate run/N")
    verdict = newest[0]
    passed = rows.count(connection, Verdict, outcome="pass")
    facts = (("accepted", str(passed)), ("judged", str(rows.count(connection, Verdict))))
    return Stage(
        name="gates",
        headline=f"run/{verdict.run}: {verdict.outcome}",
        facts=facts,
        state="good" if verdict.outcome == "pass" else "attention",
    )


def _release(connection: sa.Connection) -> Stage:
    waiting = rows.find(connection, Release, state="awaiting_approval")
    sent_back = rows.find(connection, Release, state="changes_requested")
    emergencies = rows.find(connection, Release, is_emergency=True)
    unseen = [release for release in emergencies if release.needs_review]
    rolling = rows.find(connection, Release, state="rolling_out")
    released = rows.find(connection, Release, state="released")
    facts = (
        *((each.environment, f"{each.model}/{each.version}") for each in released),
        *((each.ref, _offered(each)) for each in (*rolling, *waiting)),
        *((each.ref, f"{_offered(each)}, waits for {each.requested_by}") for each in sent_back),
        *((each.ref, f"{_offered(each)}, an emergency to review") for each in unseen),
    )
    if unseen:
        headline = f"{unseen[-1].ref} was an emergency that nobody has reviewed"
        return Stage(name="release", headline=headline, facts=facts, state="attention")
    if waiting:
        headline = f"{waiting[-1].ref} waits for approval"
        return Stage(name="release", headline=headline, facts=facts, state="attention")
    if rolling:
        headline = f"{rolling[-1].ref} is rolling out"
        return Stage(name="release", headline=headline, facts=facts, state="working")
    if not released:
        return Stage(name="release", headline="nothing released yet")
    newest = released[-1]
    headline = f"{newest.model}/{newest.version} in {newest.environment}"
    return Stage(name="release", headline=headline, facts=facts, state="good")


def _offered(release: Release) -> str:
    return f"{release.model}/{release.version} to {release.environment}"


def _serving(connection: sa.Connection) -> Stage:
    plans = {plan.environment: plan for plan in rows.find(connection, Plan)}
    workers = rows.find(connection, Worker)
    if not plans:
        return Stage(name="serving", headline="no endpoint yet")
    table = TABLES[LogFile]
    counted = sa.select(sa.func.coalesce(sa.func.sum(table.c.n_rows), 0))
    recorded = connection.execute(counted.where(table.c.log == "predictions")).scalar_one()
    facts = tuple(
        (plan.environment, " + ".join(f"{arm.ref} {arm.role}" for arm in plan.arms))
        for plan in plans.values()
    )
    return Stage(
        name="serving",
        headline=f"{recorded:,} predictions on record",
        facts=facts,
        state="good" if workers else "idle",
    )


def _monitoring(connection: sa.Connection) -> Stage:
    windows = rows.find(connection, Window)
    if not windows:
        return Stage(name="monitoring", headline="no window measured yet")
    window = max(windows, key=lambda window: window.start)
    alerts = rows.find(connection, Alert, newest_first=True, limit=1)
    facts = tuple((f"{alert.ref} {alert.kind}", f"{alert.window_start:%d %b}") for alert in alerts)
    return Stage(
        name="monitoring",
        headline=f"{window.start:%d %b} to {window.end:%d %b}: {window.outcome}",
        facts=(("labelled", f"{window.coverage:.1%}"), *facts),
        state="good" if window.outcome == "pass" else "attention",
    )


def _feedback(connection: sa.Connection) -> Stage:
    triggers = rows.find(connection, Trigger, newest_first=True, limit=1)
    if not triggers:
        return Stage(name="feedback", headline="no retraining asked for yet")
    trigger = triggers[0]
    job = rows.get(connection, Job, trigger.job)
    states: dict[str, StageState] = {"queued": "working", "running": "working"}
    return Stage(
        name="feedback",
        headline=f"retraining {job.state}",
        facts=(("because of", trigger.rule), ("result", job.reason)),
        state=states.get(job.state, "good" if job.state == "done" else "attention"),
    )


def _counted(number: int, noun: str) -> str:
    return f"{number:,} {noun}{'' if number == 1 else 's'}"


_STAGES: tuple[Callable[[sa.Connection], Stage], ...] = (
    _data,
    _pipeline,
    _experiments,
    _gates,
    _release,
    _serving,
    _monitoring,
    _feedback,
)
