"""Lineage by column: only where steps declare it, and never less than what may be so."""

from typing import TYPE_CHECKING

import pytest
import sqlalchemy as sa

from cd4ml.store import columns, lineage
from cd4ml.store.columns import ANY, Place, declare, sources, uses

if TYPE_CHECKING:
    from cd4ml.store.database import Database


@pytest.fixture
def connection(database: "Database") -> "sa.Connection":
    """flights, weather -> features (declared) -> training -> model; features -> report (declared)."""
    with database.write() as opened:
        for child, parent in (
            ("run/1", "flights"),
            ("run/1", "weather"),
            ("features", "run/1"),
            ("features", "flights"),
            ("features", "weather"),
            ("training", "features"),
            ("model", "training"),
            ("report", "features"),
        ):
            lineage.link(opened, child, parent, "input")
        said = {"speed": ["weather.wind", "flights.tail"], "late": ["flights.late"], "hour": []}
        declare(opened, "features", said, {"flights": "flights", "weather": "weather"})
        declare(opened, "report", {"delay": ["features.late"]}, {"features": "features"})
        yield opened  # type: ignore[misc]


def met(flows: list[columns.Flow], end: str) -> list[tuple[int, str, str]]:
    return [(flow.depth, *getattr(flow, end)) for flow in flows]


def test_a_column_comes_from_the_columns_that_were_declared(connection: sa.Connection) -> None:
    assert met(sources(connection, Place("features", "speed")), "parent") == [
        (1, "flights", "tail"),
        (1, "weather", "wind"),
    ]
    assert sources(connection, Place("features", "hour")) == []
    assert sources(connection, Place("features", "unknown")) == []


def test_what_declares_nothing_may_come_from_any_column(connection: sa.Connection) -> None:
    found = met(sources(connection, Place("model", "x")), "parent")

    assert found[:2] == [(1, "training", ANY), (2, "features", ANY)]
    assert set(found[2:]) == {
        (3, "flights", "tail"),
        (3, "flights", "late"),
        (3, "weather", "wind"),
    }


def test_a_column_goes_only_where_it_is_declared_to_go(connection: sa.Connection) -> None:
    assert met(uses(connection, Place("weather", "wind")), "child") == [
        (1, "features", "speed"),
        (2, "training", ANY),
        (3, "model", ANY),
    ]
    assert (2, "report", "delay") in met(uses(connection, Place("flights", "late")), "child")
    assert uses(connection, Place("weather", "pressure")) == []


def test_whatever_is_asked_of_all_columns_goes_everywhere(connection: sa.Connection) -> None:
    children = {flow.child for flow in uses(connection, Place("flights", ANY))}

    assert children == {
        Place("features", "speed"),
        Place("features", "late"),
        Place("training", ANY),
        Place("model", ANY),
        Place("report", "delay"),
    }


def test_a_later_declaration_replaces_the_one_before(connection: sa.Connection) -> None:
    declare(connection, "features", {"late": ["weather.wind"]}, {"weather": "weather"})

    assert met(uses(connection, Place("weather", "wind")), "child")[0] == (1, "features", "late")
    assert uses(connection, Place("flights", "late")) == []
    declare(connection, "features", {}, {})
    assert uses(connection, Place("weather", "wind")) != []


def test_a_circle_is_walked_once(connection: sa.Connection) -> None:
    lineage.link(connection, "flights", "model", "input")

    assert len(uses(connection, Place("flights", "late"))) < 20
    assert len(sources(connection, Place("flights", ANY))) < 20
