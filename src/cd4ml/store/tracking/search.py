"""Runs found by what was logged in them: filtered, sorted, paged and grouped by the database."""

from __future__ import annotations

import re
from collections.abc import Callable, Sequence
from functools import cache
from typing import Any, NamedTuple

import msgspec
import sqlalchemy as sa

from cd4ml.errors import InvalidInput
from cd4ml.records.run import Metric, Run
from cd4ml.store import rows
from cd4ml.store.tables import TABLES
from cd4ml.store.tracking.conditions import (
    column_of,
    condition_of,
    number_column_of,
)
from cd4ml.store.tracking.where import Field, field_of

_RUNS, _METRICS = TABLES[Run], TABLES[Metric]

_ASKED = 900  # numbers in one question
_NUMBERS: sa.BindParameter[Any] = sa.bindparam("numbers", expanding=True)
# built once: a list is asked for more often than anything else
_RUNS_OF = _RUNS.select().where(_RUNS.c.number.in_(_NUMBERS))
_METRICS_OF = (
    sa.select(_METRICS.c.run, _METRICS.c.name, _METRICS.c.value)
    .where(_METRICS.c.run.in_(_NUMBERS))
    .order_by(_METRICS.c.run, _METRICS.c.name)
)
_NAN_OF = sa.select(_METRICS.c.run, _METRICS.c.name).where(
    _METRICS.c.run.in_(_NUMBERS), _METRICS.c.is_nan
)
_METRICS_IN_SQLITE = (
    "SELECT run, name, value FROM metrics"
    " WHERE run IN (SELECT value FROM json_each(?)) ORDER BY run, name"
)
_MOST_GROUPS = 1000
_MOST_WALKED = 500  # runs that are looked for in the order of an index
_TIMES_WALKED = 4  # of them: how much of it is read
_WALKED = _METRICS.alias("walked")
_OF_JSON = re.compile("param|tag", re.IGNORECASE)  # in a filter
_MOST_METRICS = 6  # of a group, where none was asked for
_LOOKED_AT = 20  # runs, for what metrics there are


class TrackedRun(msgspec.Struct, frozen=True, kw_only=True):
    """A run and the latest value of each of its metrics; NaN where that was it."""

    run: Run
    metrics: dict[str, float | None]


class Order(NamedTuple):
    """A field to sort by."""

    field: Field
    is_descending: bool = False


class Spread(msgspec.Struct, frozen=True, kw_only=True):
    """A metric over the runs of a group: of how many, their mean, the lowest, the highest."""

    n: int
    mean: float | None
    lowest: float | None
    highest: float | None


class Group(msgspec.Struct, frozen=True, kw_only=True):
    """Runs that have something in common: what, how many they are, and their metrics."""

    values: tuple[Any, ...]
    n_runs: int
    metrics: dict[str, Spread]


def search_runs(
    connection: sa.Connection,
    *,
    where: str = "",
    order: Sequence[Order] = (),
    limit: int | None = None,
    offset: int = 0,
    deleted: bool | None = False,
    partition: str = "",
    **equal: object,
) -> list[TrackedRun]:
    """Runs that a filter lets through, in the order asked for; then the newest first.

    Args:
        connection: Of a read or write transaction.
        where: The filter; see `where`. "" lets everything through.
        order: What to sort by; runs without it come last.
        limit: At most so many.
        offset: So many of the first are passed over.
        deleted: Only those that are there (False), were deleted (True), or both (None).
        partition: Only runs of a key ("origin=EWR"), or of any key of a column ("origin").
        equal: Columns of a run that have to have these values.

    Raises:
        InvalidInput: If the filter is none; the message points at the place.
    """

    def chosen(*, is_walked: bool = False) -> sa.Select[Any]:
        those = _chosen(connection, where, deleted, equal, is_walked=is_walked)
        return those.where(_of_partition(partition)) if partition else those

    asked = (where, deleted, partition, tuple(equal.items()))
    found = _first_by_metric(connection, chosen, asked, order, limit, offset)
    if found is not None:
        return _with_metrics(connection, found)
    statement = _ordered(connection, chosen(), order).limit(limit).offset(offset or None)
    return found_runs(connection, list(connection.execute(statement).scalars()))


def count_runs(
    connection: sa.Connection, *, where: str = "", deleted: bool | None = False, **equal: object
) -> int:
    """How many runs a filter lets through.

    Raises:
        InvalidInput: If the filter is none.
    """
    chosen = _chosen(connection, where, deleted, equal).subquery()
    return connection.execute(sa.select(sa.func.count()).select_from(chosen)).scalar_one()


def found_runs(connection: sa.Connection, numbers: Sequence[int]) -> list[TrackedRun]:
    """Runs with their metrics, in the order of these numbers; those that are not there are left out."""
    runs: dict[int, Run] = {}
    for i in range(0, len(numbers), _ASKED):
        for run in rows.fetch(connection, Run, _RUNS_OF, {"numbers": numbers[i : i + _ASKED]}):
            runs[run.number] = run
    return _with_metrics(connection, [runs[number] for number in numbers if number in runs])


def _with_metrics(connection: sa.Connection, runs: Sequence[Run]) -> list[TrackedRun]:
    metrics: dict[int, dict[str, float | None]] = {}
    for i in range(0, len(runs), _ASKED):
        _add_metrics(connection, [run.number for run in runs[i : i + _ASKED]], metrics)
    return [TrackedRun(run=run, metrics=metrics.get(run.number, {})) for run in runs]


def group_runs(
    connection: sa.Connection,
    by: Sequence[Field],
    *,
    metrics: Sequence[str] = (),
    where: str = "",
    deleted: bool | None = False,
    **equal: object,
) -> list[Group]:
    """Runs put together by what they have in common, each group with its metrics.

    Args:
        connection: Of a read or write transaction.
        by: Parameters, tags or attributes; not metrics.
        metrics: Of which; else the first few that the newest of the runs have, without those
            of the machine (`system/...`).
        where: Only the runs that this filter lets through.
        deleted: See `search_runs`.
        equal: Columns of a run that have to have these values.

    Returns:
        The groups in the order of their values, numbers as numbers; a value is None where runs
        do not have it.

    Raises:
        InvalidInput: If the filter is none, nothing or a metric is grouped by, or there are
            more than 1,000 groups.
    """
    if not by:
        raise InvalidInput("expected something to group by", hint="as in params.max_iter")
    for field in by:
        if field.kind == "metrics":
            msg = f"runs are not grouped by a metric, got {field}"
            raise InvalidInput(msg, hint="by params.NAME, tags.NAME or an attribute")
    chosen = _chosen(connection, where, deleted, equal).subquery()
    columns = [column_of(connection, field).label(f"key{i}") for i, field in enumerate(by)]
    sorts = [number_column_of(connection, field).label(f"sort{i}") for i, field in enumerate(by)]
    keyed = (
        sa.select(_RUNS.c.number, *columns, *sorts)
        .join_from(_RUNS, chosen, chosen.c.number == _RUNS.c.number)
        .cte("keyed")
        .prefix_with("MATERIALIZED")
    )
    counted = _counted(connection, keyed, len(by))
    if len(counted) > _MOST_GROUPS:
        msg = f"grouped by {', '.join(map(str, by))} there are more than {_MOST_GROUPS:,} groups"
        raise InvalidInput(msg, hint="filter the runs, or group by what fewer values have")
    names = metrics or _metrics_of_newest(connection, keyed)
    spreads = _spreads(connection, keyed, names)
    return [Group(values=key, n_runs=n, metrics=spreads.get(key, {})) for key, n in counted]


def order_of(text: str) -> Order:
    """A field with its direction, as people type it.

    Raises:
        InvalidInput: If it is none.

    Examples:
        >>> order_of("metrics.auc desc").is_descending
        True
    """
    words = text.strip().rsplit(maxsplit=1)
    if len(words) == 2 and words[1].lower() in ("asc", "desc"):
        return Order(field_of(words[0]), words[1].lower() == "desc")
    return Order(field_of(text))


def _chosen(
    connection: sa.Connection,
    where: str,
    deleted: bool | None,
    equal: dict[str, object],
    *,
    is_walked: bool = False,
) -> sa.Select[Any]:
    chosen = sa.select(_RUNS.c.number)
    if deleted is not None:
        there = _RUNS.c.deleted_at.is_(None)
        chosen = chosen.where(sa.not_(there) if deleted else there)
    for name, value in equal.items():
        chosen = chosen.where(_RUNS.c[name] == value)
    if not where.strip():
        return chosen
    return chosen.where(condition_of(connection, where, is_asked_by_run=is_walked))


def _of_partition(partition: str) -> sa.ColumnElement[bool]:
    if "=" in partition:
        return _RUNS.c.partition == partition
    return _RUNS.c.partition.startswith(f"{partition}=", autoescape=True)


def _first_by_metric(
    connection: sa.Connection,
    chosen: Callable[..., sa.Select[Any]],
    asked: tuple[object, ...],
    order: Sequence[Order],
    limit: int | None,
    offset: int,
) -> list[Run] | None:
    """The first runs by one metric, if they are among the first in its index; else None.

    The index is in order already. How far it has to be read for runs that the filter lets
    through nobody knows: after some of it all of them are sorted instead.
    """
    if limit is None or len(order) != 1 or order[0].field.kind != "metrics":
        return None
    if limit + offset > _MOST_WALKED:
        return None

    def walk() -> sa.Select[Any]:
        name, is_descending = order[0].field.name, order[0].is_descending
        there = (
            chosen(is_walked=True)
            .with_only_columns(*_RUNS.c)
            .join(_WALKED, _WALKED.c.run == _RUNS.c.number)
            .where(*_walked(name, _TIMES_WALKED * (limit + offset), is_descending=is_descending))
        )
        columns = (_WALKED.c.value, _WALKED.c.run.desc())
        first = columns[0].desc() if is_descending else columns[0].asc()
        return there.order_by(first, columns[1]).limit(limit).offset(offset or None)

    # what parameters there are decides what a filter on them means
    is_fixed = not _OF_JSON.search(str(asked[0]))
    key = ("walk", *asked, order[0], limit, offset) if is_fixed else None
    found = rows.fetch_again(connection, Run, key, walk)
    return found if len(found) == limit else None


def _walked(name: str, n: int, *, is_descending: bool) -> list[sa.ColumnElement[bool]]:
    """The first so many of a metric's index, and those that are equal to the last of them."""
    index = _METRICS.alias("last_walked")
    named = [index.c.name == name, index.c.value.is_not(None)]
    value = index.c.value.desc() if is_descending else index.c.value.asc()
    last = sa.select(index.c.value).where(*named).order_by(value).limit(1).offset(n - 1)
    endless: sa.BindParameter[float] = sa.literal(
        float("-inf" if is_descending else "inf"), sa.Double()
    )
    end = sa.func.coalesce(last.scalar_subquery(), endless)
    is_before = _WALKED.c.value >= end if is_descending else _WALKED.c.value <= end
    return [_WALKED.c.name == name, _WALKED.c.value.is_not(None), is_before]


def _ordered(
    connection: sa.Connection, chosen: sa.Select[Any], order: Sequence[Order]
) -> sa.Select[Any]:
    for i, (field, is_descending) in enumerate(order):
        if field.kind == "metrics":
            metric = _sorted_by(i)
            is_it = sa.and_(metric.c.run == _RUNS.c.number, metric.c.name == field.name)
            chosen = chosen.outerjoin(metric, is_it)
            columns: list[sa.ColumnElement[Any]] = [metric.c.value]
        elif field.kind == "attributes":
            columns = [column_of(connection, field)]
        else:
            columns = [number_column_of(connection, field), column_of(connection, field)]
        for column in columns:
            directed = column.desc() if is_descending else column.asc()
            chosen = chosen.order_by(directed.nulls_last())
    return chosen.order_by(_RUNS.c.number.desc())


@cache  # making an alias takes as long as a small search
def _sorted_by(i: int) -> sa.FromClause:
    return _METRICS.alias(f"sorted_by_{i}")


def _add_metrics(
    connection: sa.Connection,
    numbers: Sequence[int],
    metrics: dict[int, dict[str, float | None]],
) -> None:
    of_run: dict[str, float | None] = {}
    before = None
    without: set[int] = set()  # runs with a metric that has no value
    if connection.dialect.name == "sqlite":
        asked = msgspec.json.encode(numbers).decode()
        found = rows.in_sqlite(connection, _METRICS_IN_SQLITE, [asked])
    else:
        found = rows.plain(connection, _METRICS_OF, {"numbers": numbers})
    for run, name, value in found:
        if run != before:
            before, of_run = run, metrics.setdefault(run, {})
        of_run[name] = value
        if value is None:
            without.add(run)
    if without:  # asked apart: a fourth column takes a fifth of the time, and few have one
        for run, name in rows.plain(connection, _NAN_OF, {"numbers": sorted(without)}):
            metrics[run][name] = float("nan")


def _counted(connection: sa.Connection, keyed: sa.CTE, n: int) -> list[tuple[tuple[Any, ...], int]]:
    keys = [keyed.c[f"key{i}"] for i in range(n)]
    first = [sa.func.min(keyed.c[f"sort{i}"]).asc().nulls_last() for i in range(n)]
    statement = (sa.select(*keys, sa.func.count()).group_by(*keys).order_by(*first, *keys)).limit(
        _MOST_GROUPS + 1
    )
    return [(tuple(row[:-1]), row[-1]) for row in connection.execute(statement)]


def _spreads(
    connection: sa.Connection, keyed: sa.CTE, names: Sequence[str]
) -> dict[tuple[Any, ...], dict[str, Spread]]:
    value = _METRICS.c.value
    keys = [column for column in keyed.c if column.name.startswith("key")]
    statement = (
        sa.select(
            *keys,
            _METRICS.c.name,
            sa.func.count(value),
            sa.func.avg(value),
            sa.func.min(value),
            sa.func.max(value),
        )
        .join_from(keyed, _METRICS, _METRICS.c.run == keyed.c.number)
        .where(_METRICS.c.name.in_(names))
        .group_by(*keys, _METRICS.c.name)
        .order_by(_METRICS.c.name)
    )
    spreads: dict[tuple[Any, ...], dict[str, Spread]] = {}
    for *key, name, n, mean, lowest, highest in connection.execute(statement):
        spread = Spread(n=n, mean=mean, lowest=lowest, highest=highest)
        spreads.setdefault(tuple(key), {})[name] = spread
    return spreads


def _metrics_of_newest(connection: sa.Connection, keyed: sa.CTE) -> list[str]:
    newest = sa.select(keyed.c.number).order_by(keyed.c.number.desc()).limit(_LOOKED_AT)
    statement = (
        sa.select(_METRICS.c.name)
        .distinct()
        .where(_METRICS.c.run.in_(newest), _METRICS.c.name.not_like("system/%"))
        .order_by(_METRICS.c.name)
        .limit(_MOST_METRICS)
    )
    return list(connection.execute(statement).scalars())
