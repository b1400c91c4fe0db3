"""Runs with their metrics, filtered and sorted by the database."""

from __future__ import annotations

import re
from collections.abc import Sequence
from typing import TYPE_CHECKING, Literal

import sqlalchemy as sa

from cd4ml.records.run import Metric, Run
from cd4ml.store import rows
from cd4ml.store.tables import TABLES
from cd4ml.store.tracking.search import Order, TrackedRun, found_runs, order_of, search_runs
from cd4ml.store.tracking.where import Field

if TYPE_CHECKING:
    from sqlalchemy import Connection

__all__ = ["TrackedRun", "best_first", "better", "list_runs", "metric_names", "orders", "tracked"]

Direction = Literal["higher", "lower"]

_METRICS = TABLES[Metric]

_LOWER = frozenset(["deviance", "error", "loss", "mae", "mape", "mse", "pinball", "rmse"])


def list_runs(
    connection: Connection,
    *,
    experiment: str = "",
    search: int = 0,
    state: str = "",
    where: str = "",
    sort_by: str = "",
    order: Sequence[Order] = (),
    limit: int | None = None,
    offset: int = 0,
    deleted: bool | None = False,
) -> list[TrackedRun]:
    """Runs with their metrics: the newest first, or as asked for.

    Args:
        connection: Of a read or write transaction.
        experiment: Only runs of this experiment.
        search: Only the trials of the search with this number.
        state: Only runs that are "running", "finished", "failed" or "killed".
        where: Only those that this filter lets through; see `store.tracking.where`.
        sort_by: The name of a metric; runs without it come last. A metric of which lower
            is better (`better`) has its lowest value first.
        order: What else to sort by.
        limit: At most so many.
        offset: So many of the first are passed over.
        deleted: Only those that are there (False), were deleted (True), or both (None).

    Raises:
        InvalidInput: If the filter is none.
    """
    asked = {"experiment": experiment, "search": search, "state": state}
    first = [best_first(sort_by)] if sort_by else []
    return search_runs(
        connection,
        where=where,
        order=[*first, *order],
        limit=limit,
        offset=offset,
        deleted=deleted,
        **{name: value for name, value in asked.items() if value},
    )


def best_first(metric: str) -> Order:
    """The order that puts the best value of a metric first; the highest, if nobody knows."""
    return Order(Field("metrics", metric), better(metric) != "lower")


def orders(text: str) -> list[Order]:
    """What to sort by, as people type it: fields with commas between them.

    Each may say `asc` or `desc`; of a metric that does not, the best value comes first.

    Raises:
        InvalidInput: If it is none of that.

    Examples:
        >>> [order.is_descending for order in orders("metrics.auc, metrics.loss, params.a desc")]
        [True, False, True]
    """
    found = []
    for part in re.findall(r"(?:`[^`]*`|\"[^\"]*\"|[^,`\"])+", text):
        order = order_of(part.strip())
        says_how = part.split()[-1:] in (["asc"], ["desc"])
        if order.field.kind == "metrics" and not says_how:
            order = best_first(order.field.name)
        found.append(order)
    return found


def tracked(connection: Connection, number: int) -> TrackedRun:
    """One run with its metrics.

    Raises:
        NotFound: If there is no such run.
    """
    rows.get(connection, Run, number)
    (found,) = found_runs(connection, [number])
    return found


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
    from cd4ml.measures.catalog import MEASURES

    words = metric.lower().replace(".", "_").split("_")
    for name, measure in MEASURES.items():
        if f"_{name}_" in f"_{'_'.join(words)}_":
            return measure.direction
    return "lower" if _LOWER.intersection(words) else None
