"""The first page: the loop as it stands, and below it what people look for first."""

from __future__ import annotations

from collections.abc import Sequence
from typing import NamedTuple

from starlette.requests import Request

from cd4ml.loop import Project
from cd4ml.loop.audit import ledger
from cd4ml.loop.compare import runs
from cd4ml.loop.releases import ReleaseDetails, release_details, releases
from cd4ml.loop.status import status
from cd4ml.loop.watch import alerts, windows
from cd4ml.records.plan import Arm
from cd4ml.records.release import ENDED, Release
from cd4ml.records.window import Window
from cd4ml.web.chart import Chart, Measured, line_chart
from cd4ml.web.page import Values

_FEW = 6


class Place(NamedTuple):
    """An environment: who answers there by which release, and the releases that wait to."""

    environment: str
    arms: tuple[Arm, ...]
    release: Release | None
    note: str
    waiting: tuple[ReleaseDetails, ...]


def loop(project: Project, _: Request) -> Values:
    """The value stream, and below it what people look for first."""
    standing = status(project)
    environment = project.settings.monitoring.environment  # which a young project may not have
    seen = [window for window in windows(project) if window.environment == environment]
    return {
        "stages": standing.stages,
        "places": _places(project),
        "alerts": alerts(project)[: -_FEW - 1 : -1],
        "charts": _charts(seen, project),
        "chart_environment": environment,
        "runs": runs(project, limit=_FEW),
        "ledger": ledger(project, limit=_FEW),
    }


def _places(project: Project) -> list[Place]:
    open_ones = [release for release in releases(project) if release.state not in ENDED]
    return [
        _place(project, name, [each for each in open_ones if each.environment == name])
        for name in project.settings.environments
    ]


def _place(project: Project, environment: str, under: Sequence[Release]) -> Place:
    waiting = tuple(release_details(project, each.ref) for each in under if not each.plan)
    answering = [each for each in under if each.plan]
    if not answering:
        return Place(environment, (), None, "", waiting)
    release = max(answering, key=lambda each: each.plan)  # endpoints take the newest plan
    details = release_details(project, release.ref)
    note = "" if release.state == "released" else details.waits_for
    return Place(environment, details.plans[-1].arms, release, note, waiting)


def _charts(measured: Sequence[Window], project: Project) -> list[Chart]:
    charts = []
    for metric in project.settings.monitoring.metrics:
        values = [value for window in measured if (value := _measured(window, metric))]
        if values:
            charts.append(line_chart(metric, values))
    return charts


def _measured(window: Window, metric: str) -> Measured | None:
    found = [f for f in window.findings if f.metric == metric and f.value is not None]
    if not found or found[0].value is None:
        return None
    return Measured(
        at=window.start,
        value=found[0].value,
        low=found[0].low,
        high=found[0].high,
        references={
            _reference(f.gate.removeprefix(metric).strip()): f.limit
            for f in found
            if f.limit is not None
        },
        note=f"{window.model}/{window.champion}, {window.n_labels:,} labels",
    )


def _reference(asked: str) -> str:
    return {"better than trivial": "trivial model", "as at release": "at its release"}.get(
        asked, asked
    )
