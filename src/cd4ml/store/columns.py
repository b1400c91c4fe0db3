"""Which column was made from which: as far as steps declare it, and the whole table beyond.

A thing whose columns are declared is met only by the way of its columns. One of which nothing
is declared may hold anything of what it was made from: it is met as a whole, under `ANY`.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from typing import NamedTuple

import sqlalchemy as sa

from cd4ml.records.lineage import ColumnEdge, Edge
from cd4ml.store import rows
from cd4ml.store.tables import TABLES

ANY = "*"  # some column, nobody said which

_COLUMNS, _EDGES = TABLES[ColumnEdge], TABLES[Edge]
_ASKED = 500  # addresses in one question


class Place(NamedTuple):
    """A column of a thing."""

    address: str
    column: str


class Flow(NamedTuple):
    """What `child` was made from, and how many steps away from the start that is."""

    depth: int
    child: Place
    parent: Place
    role: str


def declare(
    connection: sa.Connection,
    child: str,
    columns: Mapping[str, Sequence[str]],
    inputs: Mapping[str, str],
) -> None:
    """Write down what a step says about its output; what was said of it before is replaced.

    Args:
        connection: Of the write transaction that records the step.
        child: Address of the output.
        columns: Column of the output -> "input.column", ...; nothing is said where it is empty.
        inputs: Input -> its address.
    """
    if not columns:
        return
    connection.execute(_COLUMNS.delete().where(_COLUMNS.c.child == child))
    for column, sources in columns.items():
        for source in sources or ("",):
            name, _, of_parent = source.partition(".")
            parent = inputs.get(name, "")
            rows.put(
                connection,
                ColumnEdge(child=child, column=column, parent=parent, source=of_parent),
            )


def sources(connection: sa.Connection, start: Place) -> list[Flow]:
    """What a column comes from, nearest first."""
    return _walk(connection, start, goes_up=True)


def uses(connection: sa.Connection, start: Place) -> list[Flow]:
    """What was made from a column, nearest first."""
    return _walk(connection, start, goes_up=False)


def declared_of(connection: sa.Connection, addresses: Iterable[str]) -> list[ColumnEdge]:
    """What is declared about the columns of things."""
    return _asked(connection, ColumnEdge, _COLUMNS.c.child, addresses)


def _walk(connection: sa.Connection, start: Place, *, goes_up: bool) -> list[Flow]:
    flows: list[Flow] = []
    seen, level, depth = {start}, [start], 1
    while level:
        found = _next(connection, level, depth, goes_up=goes_up)
        flows += found
        reached = (flow.parent if goes_up else flow.child for flow in found)
        level = [place for place in dict.fromkeys(reached) if place not in seen]
        seen.update(level)
        depth += 1
    return flows


def _next(
    connection: sa.Connection, level: list[Place], depth: int, *, goes_up: bool
) -> list[Flow]:
    end = _EDGES.c.child if goes_up else _EDGES.c.parent
    addresses = {place.address for place in level}
    # a run is where it happened, not what it was made from: its outputs say themselves
    edges = [
        edge
        for edge in _asked(connection, Edge, end, addresses)
        if not edge.child.startswith("run/") and not edge.parent.startswith("run/")
    ]
    declared: dict[str, list[ColumnEdge]] = {}
    for each in declared_of(connection, {edge.child for edge in edges} | addresses):
        declared.setdefault(each.child, []).append(each)
    by_end: dict[str, list[Edge]] = {}
    for edge in sorted(edges, key=lambda edge: (edge.role, edge.parent, edge.child)):
        by_end.setdefault(edge.child if goes_up else edge.parent, []).append(edge)
    found = [
        Flow(depth, child, parent, edge.role)
        for place in level
        for edge in by_end.get(place.address, [])
        for child, parent in _pairs(edge, place, declared.get(edge.child, []), goes_up=goes_up)
    ]
    return list(dict.fromkeys(found))


def _pairs(
    edge: Edge, place: Place, declared: list[ColumnEdge], *, goes_up: bool
) -> list[tuple[Place, Place]]:
    """The columns between which an edge leads, where one end is the given place."""
    if not declared:
        other = Place(edge.parent if goes_up else edge.child, ANY)
        return [(place, other) if goes_up else (other, place)]
    return [
        (place, Place(each.parent, each.source))
        if goes_up
        else (Place(each.child, each.column), place)
        for each in declared
        if each.parent == edge.parent
        and place.column in (ANY, each.column if goes_up else each.source)
    ]


def _asked(
    connection: sa.Connection, kind: type[rows.R], column: sa.Column[str], values: Iterable[str]
) -> list[rows.R]:
    asked = sorted(values)
    parts = [asked[i : i + _ASKED] for i in range(0, len(asked), _ASKED)]
    table = TABLES[kind]
    return [
        record
        for part in parts
        for record in rows.fetch(connection, kind, table.select().where(column.in_(part)))
    ]
