"""What the metrics of runs were at each step, for MLflow's clients."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, TypeVar

from cd4ml.engines.mlflow import messages
from cd4ml.engines.mlflow.entities import (
    Metric,
    spoken,
)
from cd4ml.errors import InvalidInput
from cd4ml.loop.mlflow.ids import run_id, run_of
from cd4ml.loop.mlflow.paging import Page, page_of
from cd4ml.records.point import Point
from cd4ml.records.run import Metric as MetricRow
from cd4ml.records.run import Run
from cd4ml.store import rows
from cd4ml.store.tracking.history import history

if TYPE_CHECKING:
    from sqlalchemy import Connection

    from cd4ml.store.project import Project

_USUAL_POINTS, _MOST_POINTS = 25_000, 100_000
_MOST_THINNED = 2_500  # points of a run
_MOST_RUNS = 100
_MOST_READ = 1_000_000  # points of a run that is thinned

T = TypeVar("T")


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
    """The points of one metric of some runs, of each as many as are asked for at most.

    They are those that begin as many parts of the same size, and the last one; in the order of
    steps and times.

    Raises:
        NotFound: If there is no such run.
        InvalidInput: If there are too many runs or points to be asked for, or one end of steps.
    """
    most = page_of("", asked.max_results, usual=_MOST_THINNED, most=_MOST_THINNED).size
    _refuse_ends(asked)
    found: list[Metric] = []
    with project.database.read() as connection:
        for id in asked.run_ids:
            run = run_of(connection, id)
            points = _points(connection, run, asked.metric_key, Page(0, _MOST_READ))
            chosen = [point for point in points if _is_between(point.step, asked)]
            chosen.sort(key=lambda point: (point.step, point.time_ms))
            id_told = run_id(connection, run.number)
            found += [_told(point, id_told) for point in thinned(chosen, most)]
    return {"metrics": found}


def thinned(points: Sequence[T], most: int) -> list[T]:
    """At most so many points: the first ones of parts of the same size, and the last one.

    Examples:
        >>> thinned(range(50), 10)
        [0, 5, 10, 15, 20, 25, 30, 35, 40, 49]
        >>> thinned(range(3), 10)
        [0, 1, 2]
    """
    if len(points) <= most:
        return list(points)
    size, n_larger = divmod(len(points), most)
    starts = [i * size + min(i, n_larger) for i in range(most - 1)]
    return [*(points[start] for start in starts), points[-1]]


def _refuse_ends(asked: messages.BulkHistory) -> None:
    if len(asked.run_ids) > _MOST_RUNS:
        raise InvalidInput(f"expected at most {_MOST_RUNS} run_ids, got {len(asked.run_ids):,}")
    if (asked.start_step is None) != (asked.end_step is None):
        raise InvalidInput("expected start_step and end_step, or neither of them")
    start, end = asked.start_step, asked.end_step
    if start is not None and end is not None and start > end:
        msg = f"expected an end_step of at least {start}, got {end}"
        raise InvalidInput(msg)


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
