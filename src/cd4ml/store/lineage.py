"""The graph of what was made from what, between content addresses and refs."""

from __future__ import annotations

from collections.abc import Iterable
from datetime import datetime
from typing import NamedTuple

import sqlalchemy as sa

from cd4ml.records.lineage import Edge, Node
from cd4ml.store import rows
from cd4ml.store.tables import TABLES, TEXT

_EDGES = TABLES[Edge]
_NODES = TABLES[Node]
# where a loop through production closes: rows that somebody was answered, windows of answers
THROUGH_PRODUCTION = frozenset({"answered under", "answered by"})

_ASKED = 500  # addresses in one question


class Hop(NamedTuple):
    """One edge met on a walk, with the node it leads to and how far away that is."""

    depth: int
    edge: Edge
    node: Node


def note(connection: sa.Connection, *, address: str, kind: str, name: str, at: datetime) -> None:
    """Give an address its kind and the name people know it by."""
    rows.put(connection, Node(address=address, kind=kind, name=name, seen_at=at))


def link(connection: sa.Connection, child: str, parent: str, role: str) -> None:
    """`child` was made from, or decided by, `parent`; saying it twice is harmless."""
    rows.put(connection, Edge(child=child, parent=parent, role=role))


def nodes_of(connection: sa.Connection, addresses: Iterable[str]) -> list[Node]:
    """The nodes with these addresses, as far as there are any."""
    asked = sorted(addresses)
    parts = [asked[i : i + _ASKED] for i in range(0, len(asked), _ASKED)]
    return [
        node
        for part in parts
        for node in rows.fetch(connection, Node, _NODES.select().where(_NODES.c.address.in_(part)))
    ]


def upstream(
    connection: sa.Connection, address: str, *, without: frozenset[str] = frozenset()
) -> list[Hop]:
    """Everything `address` comes from, nearest first; in one recursive query.

    Args:
        connection: Of a read or write transaction.
        address: Where to begin.
        without: The roles of edges that are not followed.
    """
    return _walk(connection, address, without, leaving=_EDGES.c.child, reaching=_EDGES.c.parent)


def downstream(
    connection: sa.Connection, address: str, *, without: frozenset[str] = frozenset()
) -> list[Hop]:
    """Everything that was made from `address`, nearest first; as `upstream`."""
    return _walk(connection, address, without, leaving=_EDGES.c.parent, reaching=_EDGES.c.child)


def _walk(
    connection: sa.Connection,
    address: str,
    without: frozenset[str],
    *,
    leaving: sa.Column[str],
    reaching: sa.Column[str],
) -> list[Hop]:
    # joined, not asked with IN and OR: the database then goes from index to index
    start = sa.select(sa.literal(address, TEXT).label("address"))
    reached = start.cte("reached", recursive=True)
    onward = leaving == reached.c.address
    if without:
        onward = sa.and_(onward, _EDGES.c.role.not_in(sorted(without)))
    reached = reached.union(sa.select(reaching).join(reached, onward))
    met = (
        sa.select(_EDGES, *_NODES.c)
        .select_from(reached.join(_EDGES, onward))
        .outerjoin(_NODES, _NODES.c.address == reaching)
    )
    edges, nodes = [], {}
    for child, parent, role, *node in connection.execute(met).all():
        edges.append(Edge(child=child, parent=parent, role=role))
        if node[0] is not None and node[0] not in nodes:
            nodes[node[0]] = Node(**dict(zip(Node.__struct_fields__, node, strict=True)))
    return _in_order(edges, address, leaving.name, reaching.name, nodes)


def _in_order(
    edges: list[Edge], start: str, leaving: str, reaching: str, nodes: dict[str, Node]
) -> list[Hop]:
    from_address: dict[str, list[Edge]] = {}
    for edge in sorted(edges, key=lambda edge: (edge.role, edge.parent, edge.child)):
        from_address.setdefault(getattr(edge, leaving), []).append(edge)
    hops: list[Hop] = []
    seen = {start}
    level, depth = [start], 1
    while level:
        found = [edge for address in level for edge in from_address.get(address, [])]
        hops += [
            Hop(depth, edge, nodes[getattr(edge, reaching)])
            for edge in found
            if getattr(edge, reaching) in nodes
        ]
        level = list(dict.fromkeys(getattr(edge, reaching) for edge in found))
        level = [address for address in level if address not in seen]
        seen.update(level)
        depth += 1
    return hops
