from datetime import timedelta
from itertools import pairwise

import pytest
import sqlalchemy as sa

from cd4ml.records.lineage import Edge, Node
from cd4ml.store import lineage, rows
from cd4ml.store.database import Database
from tests.store.records import NOW


def draw(connection: sa.Connection, *arrows: str) -> None:
    """Edges like "model <- run": the model was made from the run; every end gets a node."""
    for arrow in arrows:
        child, parent = arrow.split(" <- ")
        for end in (child, parent):
            lineage.note(connection, address=end, kind="thing", name=end.title(), at=NOW)
        lineage.link(connection, child, parent, "input")


def told(hops: list[lineage.Hop]) -> list[str]:
    return [f"{hop.depth}: {hop.edge.child} <- {hop.edge.parent} ({hop.node.name})" for hop in hops]


@pytest.fixture
def connection(database: Database) -> "sa.Connection":
    with database.write() as opened:
        yield opened  # type: ignore[misc]


def test_what_a_thing_comes_from_is_told_nearest_first(connection: sa.Connection) -> None:
    draw(connection, "plan <- model", "model <- run", "run <- flights", "run <- weather")

    assert told(lineage.upstream(connection, "plan")) == [
        "1: plan <- model (Model)",
        "2: model <- run (Run)",
        "3: run <- flights (Flights)",
        "3: run <- weather (Weather)",
    ]
    assert told(lineage.downstream(connection, "weather")) == [
        "1: run <- weather (Run)",
        "2: model <- run (Model)",
        "3: plan <- model (Plan)",
    ]


def test_a_diamond_is_walked_once_and_all_its_edges_are_told(connection: sa.Connection) -> None:
    draw(
        connection,
        "model <- features",
        "model <- labels",
        "features <- rows",
        "labels <- rows",
        "rows <- source",
    )

    assert told(lineage.upstream(connection, "model")) == [
        "1: model <- features (Features)",
        "1: model <- labels (Labels)",
        "2: features <- rows (Rows)",
        "2: labels <- rows (Rows)",
        "3: rows <- source (Source)",
    ]
    assert told(lineage.downstream(connection, "rows")) == [
        "1: features <- rows (Features)",
        "1: labels <- rows (Labels)",
        "2: model <- features (Model)",
        "2: model <- labels (Model)",
    ]


def test_edges_of_a_role_can_be_left_out_of_a_walk(connection: sa.Connection) -> None:
    draw(connection, "plan <- model", "rows <- source", "model <- rows", "next <- rows")
    lineage.link(connection, "rows", "plan", "answered under")

    above = lineage.upstream(connection, "model", without=lineage.THROUGH_PRODUCTION)
    below = lineage.downstream(connection, "plan", without=frozenset({"answered under"}))

    assert told(above) == ["1: model <- rows (Rows)", "2: rows <- source (Source)"]
    assert below == []
    assert len(lineage.downstream(connection, "plan")) == 4


def test_a_cycle_ends(connection: sa.Connection) -> None:
    """Retrained on what its own predecessor answered: the loop is closed in the graph too."""
    draw(connection, "model <- rows", "rows <- answers", "answers <- model", "model <- model")

    assert told(lineage.upstream(connection, "model")) == [
        "1: model <- model (Model)",
        "1: model <- rows (Rows)",
        "2: rows <- answers (Answers)",
        "3: answers <- model (Model)",
    ]
    assert len(lineage.downstream(connection, "answers")) == 4


def test_only_what_is_connected_is_told(connection: sa.Connection) -> None:
    draw(connection, "model <- run", "other model <- other run", "report <- run")

    assert told(lineage.upstream(connection, "model")) == ["1: model <- run (Run)"]
    assert lineage.upstream(connection, "run") == []
    assert lineage.downstream(connection, "nowhere") == []


def test_two_things_may_be_related_in_two_ways(connection: sa.Connection) -> None:
    draw(connection, "release <- verdict")
    lineage.link(connection, "release", "verdict", "judged by")
    lineage.link(connection, "release", "verdict", "judged by")

    assert [hop.edge.role for hop in lineage.upstream(connection, "release")] == [
        "input",
        "judged by",
    ]
    assert rows.count(connection, Edge) == 2


def test_a_thing_goes_by_the_name_it_was_given_last(connection: sa.Connection) -> None:
    draw(connection, "model <- run")
    later = NOW + timedelta(days=1)

    lineage.note(connection, address="run", kind="run", name="run/3", at=later)

    (hop,) = lineage.upstream(connection, "model")
    assert hop.node == Node(address="run", kind="run", name="run/3", seen_at=later)


def test_a_graph_of_ten_thousand_edges_is_walked_in_a_second(connection: sa.Connection) -> None:
    layers, width = 100, 10
    names = [[f"{layer}-{i}" for i in range(width)] for layer in range(layers + 1)]
    nodes = [
        {"address": name, "kind": "thing", "name": name, "seen_at": NOW}
        for layer in names
        for name in layer
    ]
    edges = [
        {"child": child, "parent": parent, "role": "input"}
        for below, above in pairwise(names)
        for child in below
        for parent in above
    ]
    connection.execute(lineage._NODES.insert(), nodes)
    connection.execute(lineage._EDGES.insert(), edges)

    hops = lineage.upstream(connection, "0-0")

    assert len(hops) == width + (layers - 1) * width * width
    assert [hop.depth for hop in hops] == sorted(hop.depth for hop in hops)
    assert hops[-1].depth == layers
