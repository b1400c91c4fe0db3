"""Runs with their metrics, filtered and sorted by the database."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Literal

import msgspec
import sqlalchemy as sa

from cd4ml.records.run import Metric, Run
from cd4ml.store import rows
from cd4ml.store.tables import TABLES

if TYPE_CHECKING:
    from sqlalchemy import Connection

Direction = Literal["higher", "lower"]

_RUNS = TABLES[Run]
_METRICS = TABLES[Metric]

_LOWER = frozenset(["deviance", "error", "loss", "mae", "mape", "mse", "pinball", "rmse"])


class TrackedRun(msgspec.Struct, frozen=True, kw_only=True):
    """A run and what was measured in it."""

    run: Run
    metrics: dict[str, float | None]


def list_runs(
    connection: Connection,
    *,
    experiment: str = "",
    search: int = 0,
    state: str = "",
    partition: str = "",
    sort_by: str = "",
    limit: int | None = None,
) -> list[TrackedRun]:
    """Runs with their metrics: the newest first, or the best first by one metric.

    Args:
        connection: Of a read or write transaction.
        experiment: Only runs of this experiment.
        search: Only the trials of the search with this number.
        state: Only runs that are "running", "finished" or "failed".
        partition: Only runs of a key ("origin=EWR"), or of any key of a column ("origin").
        sort_by: The name of a metric; runs without it come last. A metric of which lower
            is better (`better`) has its lowest value first.
        limit: At most so many.
    """
    wanted = sa.select(_RUNS.c.number).limit(limit)
    for column, value in (
        (_RUNS.c.experiment, experiment),
        (_RUNS.c.search, search),
        (_RUNS.c.state, state),
    ):
        wanted = wanted.where(column == value) if value else wanted
    if partition:
        wanted = wanted.where(of_partition(partition))
    if sort_by:
        wanted = _best_first(wanted, sort_by)
    numbers = list(connection.execute(wanted.order_by(_RUNS.c.number.desc())).scalars())
    metrics = _metrics_of(connection, wanted.order_by(_RUNS.c.number.desc()))
    return [
        TrackedRun(run=rows.get(connection, Run, number), metrics=metrics.get(number, {}))
        for number in numbers
    ]


def of_partition(partition: str) -> sa.ColumnElement[bool]:
    """Whether a run is of a key ("origin=EWR"), or of any key of a column ("origin")."""
    if "=" in partition:
        return _RUNS.c.partition == partition
    return _RUNS.c.partition.startswith(f"{partition}=", autoescape=True)


def tracked(connection: Connection, number: int) -> TrackedRun:
    """One run with its metrics.

    Raises:
        NotFound: If there is no such run.
    """
    run = rows.get(connection, Run, number)
    found = rows.find(connection, Metric, run=number)
    return TrackedRun(run=run, metrics={metric.name: metric.value for metric in found})


def metric_names(connection: Connection) -> list[str]:
    """The names of everything that was ever measured in a run."""
    return list(
        connection.execute(sa.select(_METRICS.c.name).distinct().order_by("name")).scalars()
    )


def better(metric: str) -> Direction | None:
    """Which values of a metric are better; None if its name does not tell.

    Examples:
        >>> better("auc"), better("holdout_brier"), better("test_rmse"), better("n_rows")
        ('higher', 'lower', 'lower', None)
    """
    from cd4ml.measures.named import NAMED

    words = metric.lower().replace(".", "_").split("_")
    for name, measure in NAMED.items():
        if f"_{name}_" in f"_{'_'.join(words)}_":
            return measure.direction
    return "lower" if _LOWER.intersection(words) else None


def _best_first(statement: sa.Select[Any], metric: str) -> sa.Select[Any]:
    is_it = sa.and_(_METRICS.c.run == _RUNS.c.number, _METRICS.c.name == metric)
    value = _METRICS.c.value
    order = value.asc() if better(metric) == "lower" else value.desc()
    return statement.outerjoin(_METRICS, is_it).order_by(order.nulls_last())


def _metrics_of(connection: Connection, runs: sa.Select[Any]) -> dict[int, dict[str, float | None]]:
    numbers = runs.subquery()
    statement = sa.select(_METRICS.c.run, _METRICS.c.name, _METRICS.c.value).where(
        _METRICS.c.run.in_(sa.select(numbers.c.number))
    )
    found: dict[int, dict[str, float | None]] = {}
    for run, name, value in connection.execute(statement.order_by(_METRICS.c.name)):
        found.setdefault(run, {})[name] = value
    return found
