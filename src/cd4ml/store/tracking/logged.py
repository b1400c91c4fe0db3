"""What runs log, written down in batches.

The latest value of a metric is a row; its history grows in chunks of packed points beside
it, of which only the newest one is ever rewritten.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from math import isnan
from typing import Any, NamedTuple

import msgspec
import sqlalchemy as sa

from cd4ml.errors import AlreadyExists, InvalidInput
from cd4ml.records.point import Point, PointChunk
from cd4ml.records.run import Metric, Run
from cd4ml.records.run_artifact import RunArtifact
from cd4ml.records.run_input import RunInput
from cd4ml.store import rows
from cd4ml.store.storable import problem
from cd4ml.store.tables import TABLES
from cd4ml.store.tracking.packing import (
    Columns,
    columns_of,
    cut,
    joined,
    pack,
    unpack,
    values_of,
)
from cd4ml.store.tracking.times import moment_of

_METRICS, _POINTS = TABLES[Metric], TABLES[PointChunk]

_GROWS_TO = 256  # points; a chunk with fewer is rewritten when more come
_LARGEST = 4096  # points in a chunk
_ASKED = 500  # names in one question
_LAST_MS = 253_402_300_799_999  # the end of the year 9999
_INTEGERS = range(-(2**63), 2**63)


def log_metrics(
    connection: sa.Connection, run: int, points: Iterable[Point], *, by: str = ""
) -> None:
    """Append points to the histories of a run's metrics, and move their latest values.

    The latest value is that of the highest step; of those with one step that of the latest
    time; of those with one time the last one logged.

    Args:
        connection: Of a write transaction.
        run: The number of a run that is there.
        points: In the order in which they were logged.
        by: The step of the pipeline that logged them.

    Raises:
        InvalidInput: If a name, step or time cannot be stored; nothing is written then.
    """
    new = _by_name(points)
    if not new:
        return
    found = _found(connection, run, list(new))
    metrics: list[Metric] = []
    chunks: list[PointChunk] = []
    for name, columns in new.items():
        known = found.get(name)
        chunks += _chunks(run, name, known, columns)
        metric = _metric(known.metric if known else None, run, name, columns, by)
        metrics.append(msgspec.structs.replace(metric, tail=chunks[-1].start))
    rows.put_all(connection, metrics)
    rows.put_all(connection, chunks)


def log_parameters(
    connection: sa.Connection, run: int, parameters: Mapping[str, Any], *, is_fixed: bool = False
) -> None:
    """Add parameters to a run.

    Args:
        connection: Of a write transaction.
        run: The number of a run that is there.
        parameters: Name -> plain value.
        is_fixed: Refuse another value for a name that has one; else the later value counts.

    Raises:
        NotFound: If there is no such run.
        AlreadyExists: If a name has another value, and is fixed.
        InvalidInput: If a value cannot be stored.
    """
    old = rows.get(connection, Run, run, lock=True)
    if is_fixed:
        for name, value in parameters.items():
            if old.parameters.get(name, value) != value:
                msg = (
                    f"the parameter {name!r} of {old.ref} is {old.parameters[name]!r} already,"
                    f" and cannot become {value!r}"
                )
                raise AlreadyExists(msg)
    new = {**old.parameters, **parameters}
    if new != old.parameters:
        rows.replace(connection, msgspec.structs.replace(old, parameters=new))


def log_artifacts(connection: sa.Connection, artifacts: Iterable[RunArtifact]) -> None:
    """Note files that runs left behind; what was logged under a path before is replaced.

    Their bytes are in the blob store already.

    Raises:
        InvalidInput: If a path is not one within the run.
    """
    for artifact in artifacts:
        _refuse_path(artifact.path)
        rows.put(connection, artifact)


def log_inputs(connection: sa.Connection, inputs: Iterable[RunInput]) -> None:
    """Note data that runs say they have used."""
    for each in inputs:
        rows.put(connection, each)


class _Known(NamedTuple):
    """A metric that has been logged before, and its chunk that still grows."""

    metric: Metric
    chunk: PointChunk | None


def _by_name(points: Iterable[Point]) -> dict[str, Columns]:
    lists: dict[str, tuple[list[int], list[int], list[float | None]]] = {}
    for point in points:
        columns = lists.get(point.name)
        if columns is None:
            _refuse_name(point.name)
            columns = lists[point.name] = ([], [], [])
        columns[0].append(point.step)
        columns[1].append(point.time_ms)
        columns[2].append(point.value)
    for name, (steps, times, _) in lists.items():
        if min(steps) not in _INTEGERS or max(steps) not in _INTEGERS:
            raise InvalidInput(f"a step of the metric {name!r} has more than 64 bits")
        if min(times) < 0 or max(times) > _LAST_MS:
            msg = f"a time of the metric {name!r} is not one of the years 1970 to 9999"
            raise InvalidInput(msg, hint="times are in milliseconds since 1970")
    return {name: columns_of(*columns) for name, columns in lists.items()}


def _refuse_name(name: str) -> None:
    found = problem(name) or ("" if name else "expected at least one character, got none")
    if found:
        raise InvalidInput(f"a metric cannot be named so: {found}")


def _refuse_path(path: str) -> None:
    if any(part in ("", ".", "..") for part in path.split("/")):
        msg = f"expected a path within the run, got {path!r}"
        raise InvalidInput(msg, hint="as in figures/curve.json")


def _found(connection: sa.Connection, run: int, names: list[str]) -> dict[str, _Known]:
    grows = sa.and_(
        _POINTS.c.run == _METRICS.c.run,
        _POINTS.c.metric == _METRICS.c.name,
        _POINTS.c.start == _METRICS.c.tail,
        _POINTS.c.n < _GROWS_TO,
    )
    both = sa.select(_METRICS, _POINTS.c.n, _POINTS.c.data)
    found = {}
    for i in range(0, len(names), _ASKED):
        asked = both.select_from(_METRICS.outerjoin(_POINTS, grows)).where(
            _METRICS.c.run == run, _METRICS.c.name.in_(names[i : i + _ASKED])
        )
        for metric, (n, data) in rows.fetch_with(connection, Metric, asked):
            if metric.history_of:  # a history that is another run's is not gone on with
                continue
            chunk = None
            if n is not None:
                chunk = PointChunk(run=run, metric=metric.name, start=metric.tail, n=n, data=data)
            found[metric.name] = _Known(metric, chunk)
    return found


def _metric(old: Metric | None, run: int, name: str, new: Columns, by: str) -> Metric:
    """The row of a metric when points were added."""
    place = _latest(new)
    value = values_of(new.values[place : place + 1])[0]
    is_nan = value is not None and isnan(value)
    numbers = new.values[new.values == new.values]
    metric = Metric(
        run=run,
        name=name,
        value=None if is_nan else value,
        is_nan=is_nan,
        logged_at=moment_of(int(new.times_ms[place])),
        step=int(new.steps[place]),
        by=by,
        lowest=float(numbers.min()) if len(numbers) else None,
        highest=float(numbers.max()) if len(numbers) else None,
        first_step=int(new.steps.min()),
        last_step=int(new.steps.max()),
        n_points=len(new.steps),
    )
    return metric if old is None else _continued(old, metric)


def _continued(old: Metric, new: Metric) -> Metric:
    latest = max(old, new, key=lambda each: (each.step, each.logged_at, each is new))
    return msgspec.structs.replace(
        latest,
        by=new.by,
        lowest=min((x for x in (old.lowest, new.lowest) if x is not None), default=None),
        highest=max((x for x in (old.highest, new.highest) if x is not None), default=None),
        first_step=min(old.first_step, new.first_step),
        last_step=max(old.last_step, new.last_step),
        n_points=old.n_points + new.n_points,
        tail=old.tail,
    )


def _latest(columns: Columns) -> int:
    import numpy as np

    logged = np.arange(len(columns.steps))
    return int(np.lexsort((logged, columns.times_ms, columns.steps))[-1])


def _chunks(run: int, name: str, known: _Known | None, new: Columns) -> list[PointChunk]:
    """The chunks in which new points are kept: the one that grows, then new ones."""
    start, columns = 0, new
    if known and known.chunk:
        start, columns = known.chunk.start, joined([unpack(known.chunk.data), new])
    elif known:
        start = known.metric.n_points
    chunks = []
    for place in range(0, len(columns.steps), _LARGEST):
        part = cut(columns, place, place + _LARGEST)
        n = len(part.steps)
        data = pack(part, is_final=n >= _GROWS_TO)
        chunks.append(PointChunk(run=run, metric=name, start=start + place, n=n, data=data))
    return chunks
