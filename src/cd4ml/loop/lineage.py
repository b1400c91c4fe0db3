"""What a thing came from, and what was made from it."""

from __future__ import annotations

import re
from collections.abc import Iterable
from datetime import datetime

import msgspec
import sqlalchemy as sa

from cd4ml.data.refs import find_version
from cd4ml.errors import InvalidInput, NotFound
from cd4ml.loop.watch import collect
from cd4ml.records.dataset import DatasetVersion
from cd4ml.records.lineage import Edge, Node
from cd4ml.records.run import StepRun
from cd4ml.store import columns, rows
from cd4ml.store import lineage as graph
from cd4ml.store.address import PREFIX
from cd4ml.store.columns import Flow, Place
from cd4ml.store.project import Project

MOST = 200  # things in one answer

_PREDICTION = re.compile(r"[0-9a-f]{32}")
_OUTPUT = re.compile(r"run/([1-9][0-9]{0,8})/(\w+)")


class Thing(msgspec.Struct, frozen=True, kw_only=True):
    """Something in the graph, seen from where the walk began.

    `depth` counts the steps from there: above 0 for what was made from it, below for what it
    came from. `column` is one of its columns, "*" for any of them, "" where none was asked for.
    """

    id: str
    address: str
    kind: str
    name: str
    depth: int
    column: str = ""
    seen_at: datetime

    @property
    def label(self) -> str:
        """Its name, with the column if it is one."""
        return f"{self.name}.{self.column}" if self.column not in ("", columns.ANY) else self.name


class Link(msgspec.Struct, frozen=True, kw_only=True):
    """`child` was made from, or decided by, `parent`: both by their ids."""

    child: str
    parent: str
    role: str


class Lineage(msgspec.Struct, frozen=True, kw_only=True):
    """A part of the graph around one thing, the nearest things first."""

    of: Thing
    things: tuple[Thing, ...]  # without the one it is of
    links: tuple[Link, ...]
    n_left_out: int = 0

    def at(self, id: str) -> Thing:
        """The thing with this id."""
        return next(thing for thing in (self.of, *self.things) if thing.id == id)


def lineage(
    project: Project,
    ref: str,
    *,
    column: str = "",
    up: bool = True,
    down: bool = True,
    limit: int = MOST,
) -> Lineage:
    """What a thing came from, and what was made from it.

    Args:
        project: Whose graph.
        ref: A dataset or a version of it, a run, the output of a step ("run/3/features"), a
            model version, verdict, release, plan, window, alert, trigger, job, approval, a
            prediction's id, or a content address.
        column: Only by the way of this column, as far as steps declare their columns.
        up: Whether to look at what it came from.
        down: Whether to look at what was made from it.
        limit: The most things to return; the nearest stay.

    Raises:
        NotFound: If there is no such thing.
        InvalidInput: If the reference has none of the known forms, or a dataset version has
            no such column.
    """
    found = _prediction(project, ref) if _PREDICTION.fullmatch(ref) else []
    with project.database.read() as connection:
        start = found[0].node if found else node_of(connection, ref)
        if column:
            _refuse_unless_column(connection, start, column)
            return _by_column(connection, start, column, up=up, down=down, limit=limit)
        above = _above(connection, start, found[1:]) if up else []
        below = graph.downstream(connection, start.address) if down else []
    return _around(start, above, below, limit)


def _above(connection: sa.Connection, start: Node, answered: list[graph.Hop]) -> list[graph.Hop]:
    """What a node comes from; a prediction, which is none, from what answered it."""
    if not answered:
        return graph.upstream(connection, start.address)
    further = [graph.upstream(connection, hop.node.address) for hop in answered]
    return answered + [hop._replace(depth=hop.depth + 1) for hops in further for hop in hops]


def node_of(connection: sa.Connection, ref: str) -> Node:
    """The node that people mean by a reference.

    Raises:
        NotFound: If there is none.
        InvalidInput: If the reference has none of the known forms.
    """
    address = _address(connection, ref.strip())
    for node in rows.find(connection, Node, address=address):
        return node
    msg = f"nothing named {ref!r} is in the lineage"
    raise NotFound(msg, hint="cd4ml data list, compare, model list and release list show names")


def _address(connection: sa.Connection, ref: str) -> str:
    if ref.startswith(PREFIX):
        return ref
    if output := _OUTPUT.fullmatch(ref):
        return rows.get(connection, StepRun, int(output[1]), output[2]).output
    if "@" in ref or ref.isidentifier():
        return find_version(connection, ref).digest
    if "/" not in ref:
        msg = f"expected a name like flights@1, run/3, delay/1 or release/2, got {ref!r}"
        raise InvalidInput(msg, hint="a prediction id has 32 hex digits")
    return ref


def _prediction(project: Project, prediction_id: str) -> list[graph.Hop]:
    """The prediction itself, then what answered it."""
    answers = project.log.prediction(prediction_id)
    if not answers:
        collect(project)  # answered a moment ago, perhaps
        answers = project.log.prediction(prediction_id)
    if not answers:
        msg = f"no prediction {prediction_id!r} in the log"
        raise NotFound(msg, hint="was it answered by this project?")
    answer = answers[0]
    at, name = answer.answered_at, prediction_id
    itself = Node(address=name, kind="prediction", name=f"prediction {name[:8]}", seen_at=at)
    parents = {
        f"{answer.model}/{answer.number}": "answered by",
        f"plan/{answer.plan}": "answered under",
    }
    with project.database.read() as connection:
        return [
            graph.Hop(0, Edge(child=name, parent=name, role=""), itself),
            *(
                graph.Hop(1, Edge(child=name, parent=node.address, role=role), node)
                for parent, role in parents.items()
                for node in rows.find(connection, Node, address=parent)
            ),
        ]


def _around(start: Node, above: list[graph.Hop], below: list[graph.Hop], limit: int) -> Lineage:
    of = _thing(start, 0)
    things: dict[str, Thing] = {}
    for sign, hops in ((-1, above), (1, below)):
        for hop in hops:
            if hop.node.address != start.address and hop.node.address not in things:
                things[hop.node.address] = _thing(hop.node, sign * hop.depth)
    edges = dict.fromkeys(hop.edge for hop in (*above, *below))
    return _cut(
        of,
        things.values(),
        (Link(child=e.child, parent=e.parent, role=e.role) for e in edges),
        limit,
    )


def _cut(of: Thing, things: Iterable[Thing], links: Iterable[Link], limit: int) -> Lineage:
    nearest = sorted(things, key=lambda thing: abs(thing.depth))
    kept = {of.id, *(thing.id for thing in nearest[:limit])}
    return Lineage(
        of=of,
        things=tuple(nearest[:limit]),
        links=tuple(link for link in links if {link.child, link.parent} <= kept),
        n_left_out=max(0, len(nearest) - limit),
    )


def _thing(node: Node, depth: int, column: str = "") -> Thing:
    return Thing(
        id=f"{node.address}#{column}" if column else node.address,
        address=node.address,
        kind=node.kind,
        name=node.name,
        depth=depth,
        column=column,
        seen_at=node.seen_at,
    )


def _refuse_unless_column(connection: sa.Connection, node: Node, column: str) -> None:
    known: set[str] = set()
    for version in rows.find(connection, DatasetVersion, digest=node.address):
        known |= {each.name for each in version.columns}
    known |= {each.column for each in columns.declared_of(connection, [node.address])}
    if known and column not in known:
        msg = f"{node.name} has no column {column!r}"
        raise InvalidInput(msg, hint=f"known: {', '.join(sorted(known))}")


def _by_column(
    connection: sa.Connection, start: Node, column: str, *, up: bool, down: bool, limit: int
) -> Lineage:
    begin = Place(start.address, column)
    above = columns.sources(connection, begin) if up else []
    below = columns.uses(connection, begin) if down else []
    nodes = _nodes(connection, [*above, *below])
    things: dict[Place, Thing] = {}
    for sign, flows in ((-1, above), (1, below)):
        for flow in flows:
            place = flow.parent if sign < 0 else flow.child
            if place != begin and place not in things and place.address in nodes:
                things[place] = _thing(nodes[place.address], sign * flow.depth, place.column)
    things_and_start = {**things, begin: _thing(start, 0, column)}
    links = [
        Link(child=things_and_start[f.child].id, parent=things_and_start[f.parent].id, role=f.role)
        for f in dict.fromkeys((*above, *below))
        if f.child in things_and_start and f.parent in things_and_start
    ]
    return _cut(things_and_start[begin], things.values(), links, limit)


def _nodes(connection: sa.Connection, flows: list[Flow]) -> dict[str, Node]:
    wanted = {place.address for flow in flows for place in (flow.child, flow.parent)}
    return {node.address: node for node in graph.nodes_of(connection, wanted)}
