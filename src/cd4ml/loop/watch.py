"""Measure production: drain the log, measure mature windows, raise alerts, fire triggers."""

from __future__ import annotations

from typing import TYPE_CHECKING

import msgspec

from cd4ml.feedback.triggers import fire
from cd4ml.loop.candidate import candidate_behind, runtime_of, table
from cd4ml.loop.keep import alone, expire
from cd4ml.monitoring.alerts import raise_alerts
from cd4ml.monitoring.answers import answers
from cd4ml.monitoring.measured import idle, measured
from cd4ml.monitoring.reference import Reference, reference_of
from cd4ml.monitoring.windows import Span, due, keep
from cd4ml.records.alert import Alert
from cd4ml.records.model_version import ModelVersion
from cd4ml.records.trigger import Trigger
from cd4ml.records.window import Window
from cd4ml.release.environments import settings_of
from cd4ml.store import people, rows
from cd4ml.store.people import SYSTEM
from cd4ml.store.project import Project

if TYPE_CHECKING:
    from cd4ml.models.runtime import Runtime


class WatchReport(msgspec.Struct, frozen=True, kw_only=True):
    """What one look at production brought."""

    collected: int
    windows: tuple[Window, ...]
    alerts: tuple[Alert, ...]
    triggers: tuple[Trigger, ...]


def watch(project: Project, *, actor: str = SYSTEM) -> WatchReport:
    """Drain the log and measure every window that is mature and not yet measured.

    Any number of processes may watch: a window is measured once, an alert raised once.

    Raises:
        NotFound: If nobody has the actor's name.
    """
    with project.database.read() as connection:
        people.actor(connection, actor)
    collected = collect(project)
    reports = [
        _look(project, model, span, actor)
        for model in _models(project)
        for span in _due(project, model)
    ]
    return WatchReport(
        collected=collected,
        windows=tuple(window for report in reports for window in report.windows),
        alerts=tuple(alert for report in reports for alert in report.alerts),
        triggers=tuple(trigger for report in reports for trigger in report.triggers),
    )


def collect(project: Project) -> int:
    """Drain what serving processes of this machine wrote; returns the number of rows.

    One process does it at a time. The next one waits for it, because what it does
    afterwards (measure a window) counts on a log with everything in it.
    """
    with alone(project):
        n_rows = project.log.collect()
        expire(project)
    return n_rows


def windows(project: Project, *, environment: str = "") -> list[Window]:
    """Every measured window, by environment, model and start.

    Raises:
        NotFound: If nothing was measured in the environment, and `cd4ml.toml` does not name it.
    """
    with project.database.read() as connection:
        found = rows.find(connection, Window)
    if environment and environment not in {window.environment for window in found}:
        settings_of(project.settings.environments, environment)
    return [window for window in found if environment in ("", window.environment)]


def alerts(project: Project) -> list[Alert]:
    """Every alert, oldest first."""
    with project.database.read() as connection:
        return rows.find(connection, Alert)


def _models(project: Project) -> list[str]:
    with project.database.read() as connection:
        return sorted({version.model for version in rows.find(connection, ModelVersion)})


def _due(project: Project, model: str) -> list[Span]:
    with project.database.read() as connection:
        return due(connection, project.settings.monitoring, model, project.clock.now())


def _look(project: Project, model: str, span: Span, actor: str) -> WatchReport:
    window = _measure(project, model, span)
    now = project.clock.now()
    with project.database.write() as connection:
        if not keep(connection, window, actor=actor):
            return WatchReport(collected=0, windows=(), alerts=(), triggers=())
        raised = raise_alerts(connection, window, now=now, actor=actor)
        trigger = fire(connection, project.settings.retrain, window, raised, now=now, actor=actor)
    fired = (trigger,) if trigger else ()
    return WatchReport(collected=0, windows=(window,), alerts=tuple(raised), triggers=fired)


def _measure(project: Project, model: str, span: Span) -> Window:
    settings, now = project.settings.monitoring, project.clock.now()
    seen = answers(
        project.log,
        environment=settings.environment,
        model=model,
        start=span.start,
        end=span.end,
        known_at=now,
    )
    if seen.champion == 0:
        return idle(span, seen, model, settings, now)
    with project.database.read() as connection:
        version = rows.get(connection, ModelVersion, model, seen.champion)
    runtime = runtime_of(project, version)
    reference = _reference(project, version, runtime)
    contract = runtime.contract
    return measured(span, seen, reference, contract=contract, settings=settings, now=now)


def _reference(project: Project, version: ModelVersion, runtime: Runtime) -> Reference:
    candidate = candidate_behind(project, version)
    holdout = table(project, candidate.holdout)
    return reference_of(
        table(project, candidate.training),
        holdout.with_columns(score=runtime.score_frame(holdout)),
        model=version.model,
        number=version.number,
        contract=runtime.contract,
        target=project.settings.model.target,
        metrics=project.settings.monitoring.metrics,
    )
