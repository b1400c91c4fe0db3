"""What the metrics of runs were at each step, for MLflow's clients."""

from __future__ import annotations

from typing import TYPE_CHECKING

from cd4ml.engines.mlflow import messages
from cd4ml.engines.mlflow.entities import (
    Metric,
    spoken,
)
from cd4ml.loop.mlflow.ids import run_id, run_of
from cd4ml.loop.mlflow.paging import Page, page_of
from cd4ml.records.point import Point
from cd4ml.records.run import Metric as MetricRow
from cd4ml.records.run import Run
from cd4ml.store import rows
from cd4ml.store.tracking.history import history
from cd4ml.store.tracking.runs import (
    Ending,
)

if TYPE_CHECKING:
    from sqlalchemy import Connection

    from cd4ml.store.project import Project

_ENDINGS: dict[str, Ending] = {"FINISHED": "finished", "FAILED": "failed", "KILLED": "killed"}
_STATUSES = {1: "RUNNING", 2: "SCHEDULED", 3: "FINISHED", 4: "FAILED", 5: "KILLED"}
_USUAL_POINTS, _MOST_POINTS = 25_000, 100_000
_LONGEST_KEY = 250  # characters
_MOST_METRICS = 1_000_000  # in a batch

Nothing = dict[str, object]


def metric_history(
    project: Project, asked: messages.MetricHistory, actor: str
) -> dict[str, object]:
    """The points of one metric of a run, by pages; none if it has no such metric.

    Raises:
        NotFound: If there is no such run.
        InvalidInput: If the page cannot be.
    """
    most = _MOST_POINTS
    page = page_of(asked.page_token, asked.max_results, usual=_USUAL_POINTS, most=most)
    with project.database.read() as connection:
        run = run_of(connection, asked.run)
        points = _points(connection, run, asked.metric_key, page)
    shown = [_told(point) for point in points[: page.size]]
    token = page.next_token(is_more=len(points) > page.size)
    return {"metrics": shown, "next_page_token": token}


def bulk_history(project: Project, asked: messages.BulkHistory, actor: str) -> dict[str, object]:
    """The points of one metric of some runs, thinned to about as many steps as are asked for.

    Raises:
        NotFound: If there is no such run.
    """
    most = asked.max_results or 2_500
    found: list[Metric] = []
    with project.database.read() as connection:
        for id in asked.run_ids:
            run = run_of(connection, id)
            points = _points(connection, run, asked.metric_key, Page(0, _MOST_METRICS))
            chosen = [point for point in points if _is_between(point.step, asked)]
            every = -(-len(chosen) // most) or 1
            kept = [each for i, each in enumerate(chosen) if i % every == 0 or each is chosen[-1]]
            found += [_told(point, run_id(connection, run.number)) for point in kept]
    return {"metrics": found}


def _points(connection: Connection, run: Run, name: str, page: Page) -> list[Point]:
    if not rows.find(connection, MetricRow, run=run.number, name=name):
        return []
    return history(connection, run.number, name, start=page.start, limit=page.size + 1)


def _is_between(step: int, asked: messages.BulkHistory) -> bool:
    after = asked.start_step is None or step >= asked.start_step
    return after and (asked.end_step is None or step <= asked.end_step)


def _told(point: Point, run: str = "") -> Metric:
    value = float("nan") if point.value is None else point.value
    return Metric(
        key=point.name, value=spoken(value), timestamp=point.time_ms, step=point.step, run_id=run
    )
