"""What a metric was at each step, a page at a time, or as a curve that a screen can show."""

from __future__ import annotations

from collections.abc import Iterator, Sequence

import sqlalchemy as sa

from cd4ml.errors import InvalidInput
from cd4ml.records.point import Point, PointChunk
from cd4ml.records.run import Metric
from cd4ml.store import rows
from cd4ml.store.tables import TABLES
from cd4ml.store.tracking.packing import Columns, columns_of, cut, joined, unpack, values_of
from cd4ml.store.tracking.times import milliseconds

_POINTS = TABLES[PointChunk]


def history(
    connection: sa.Connection, run: int, metric: str, *, start: int = 0, limit: int = 10_000
) -> list[Point]:
    """Points of one metric of a run, in the order in which they were logged.

    Args:
        connection: Of a read or write transaction.
        run: The run's number.
        metric: The name.
        start: How many to pass over; what the page before ended with plus one.
        limit: At most so many.

    Returns:
        The points; fewer than `limit` where the history ends. A metric without a history has
        its one value.

    Raises:
        NotFound: If the run has no such metric.
        InvalidInput: If `start` or `limit` is negative.
    """
    if start < 0 or limit < 0:
        raise InvalidInput(f"expected a start and limit of at least 0, got {start} and {limit}")
    columns = columns_from(connection, run, metric, start=start, limit=limit)
    values = values_of(columns.values)
    return [
        Point(metric, value, step, time_ms)
        for step, time_ms, value in zip(
            columns.steps.tolist(), columns.times_ms.tolist(), values, strict=True
        )
    ]


def columns_from(
    connection: sa.Connection, run: int, metric: str, *, start: int = 0, limit: int | None = None
) -> Columns:
    """The same points as columns: for a million of them.

    Raises:
        NotFound: If the run has no such metric.
    """
    found = metric_of(connection, run, metric)
    if found.n_points == 0:
        only = columns_of([found.step], [milliseconds(found.logged_at)], [found.number])
        return cut(only, start, start + (1 if limit is None else limit))
    end = found.n_points if limit is None else start + limit
    parts = list(_parts(connection, found.history_of or run, metric, start, end))
    return joined(parts) if parts else columns_of([], [], [])


def metric_of(connection: sa.Connection, run: int, metric: str) -> Metric:
    """The latest value of a metric of a run, and what is known of its history.

    Raises:
        NotFound: If the run has no such metric; the hint lists those it has.
    """
    return rows.get(connection, Metric, run, metric)


def metrics_of(connection: sa.Connection, runs: Sequence[int]) -> list[Metric]:
    """The latest values of all metrics of some runs, by run and name."""
    table = TABLES[Metric]
    found: list[Metric] = []
    for i in range(0, len(runs), 500):
        chosen = table.select().where(table.c.run.in_(runs[i : i + 500]))
        found += rows.fetch(connection, Metric, chosen.order_by(table.c.run, table.c.name))
    return found


def _parts(
    connection: sa.Connection, run: int, metric: str, start: int, end: int
) -> Iterator[Columns]:
    mine = sa.and_(_POINTS.c.run == run, _POINTS.c.metric == metric)
    first = sa.select(sa.func.max(_POINTS.c.start)).where(mine, _POINTS.c.start <= start)
    chosen = _POINTS.select().where(
        mine, _POINTS.c.start >= first.scalar_subquery(), _POINTS.c.start < end
    )
    for chunk in rows.fetch(connection, PointChunk, chosen.order_by(_POINTS.c.start)):
        columns = unpack(chunk.data)
        yield cut(columns, max(0, start - chunk.start), min(chunk.n, end - chunk.start))
