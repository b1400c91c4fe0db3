from typing import TYPE_CHECKING, Any

import pytest

from cd4ml.errors import NotFound
from cd4ml.experiments.tracking import list_runs, orders, tracked
from cd4ml.store.tracking.runs import delete_run
from tests.experiments import runs

if TYPE_CHECKING:
    from cd4ml.store.database import Database

RUNS = (
    runs.tracked(1, {"auc": 0.60, "brier": 0.20}),
    runs.tracked(2, {"auc": 0.64, "brier": 0.17}, search=1),
    runs.tracked(3, {}, state="failed"),
    runs.tracked(4, {"auc": 0.62, "brier": None}, search=1),
    runs.tracked(5, {"auc": 0.70}, experiment="prices"),
)


@pytest.fixture
def filled(database: "Database") -> "Database":
    with database.write() as connection:
        for each in RUNS:
            runs.record(connection, each)
    return database


@pytest.mark.parametrize(
    ("options", "expected"),
    [
        ({}, [5, 4, 3, 2, 1]),
        ({"limit": 2}, [5, 4]),
        ({"experiment": "delays"}, [4, 3, 2, 1]),
        ({"search": 1}, [4, 2]),
        ({"state": "failed"}, [3]),
        ({"experiment": "none"}, []),
        ({"sort_by": "auc"}, [5, 2, 4, 1, 3]),
        ({"sort_by": "brier"}, [2, 1, 5, 4, 3]),
        ({"sort_by": "auc", "experiment": "delays", "limit": 2}, [2, 4]),
        ({"sort_by": "unknown"}, [5, 4, 3, 2, 1]),
    ],
)
def test_runs_are_filtered_and_sorted(
    filled: "Database", options: dict[str, Any], expected: list[int]
) -> None:
    with filled.read() as connection:
        found = list_runs(connection, **options)

    assert [each.run.number for each in found] == expected


def test_runs_come_with_their_metrics(filled: "Database") -> None:
    with filled.read() as connection:
        found = list_runs(connection)
        one = tracked(connection, 4)

    assert sorted(found, key=lambda each: each.run.number) == list(RUNS)
    assert one == RUNS[3]


def test_an_unknown_run_gets_the_known_ones(filled: "Database") -> None:
    with filled.read() as connection, pytest.raises(NotFound) as caught:
        tracked(connection, 9)

    assert str(caught.value) == "no run '9'\n  hint: known: 1, 2, 3, 4, 5"


@pytest.mark.parametrize(
    ("options", "expected"),
    [
        ({"where": "metrics.auc >= 0.62"}, [5, 4, 2]),
        ({"where": "metrics.auc >= 0.62", "experiment": "delays"}, [4, 2]),
        ({"order": orders("experiment desc, metrics.brier")}, [5, 2, 1, 4, 3]),
        ({"order": orders("metrics.auc asc"), "limit": 2, "offset": 1}, [4, 2]),
    ],
)
def test_runs_are_found_with_a_filter(
    filled: "Database", options: dict[str, Any], expected: list[int]
) -> None:
    with filled.read() as connection:
        found = list_runs(connection, **options)

    assert [each.run.number for each in found] == expected


def test_what_was_deleted_is_in_no_list_until_it_is_asked_for(filled: "Database") -> None:
    with filled.write() as connection:
        delete_run(connection, 5, at=runs.NOW, actor="ada")

    with filled.read() as connection:
        there = [each.run.number for each in list_runs(connection)]
        deleted = [each.run.number for each in list_runs(connection, deleted=True)]
    assert (there, deleted) == ([4, 3, 2, 1], [5])


def test_a_name_with_a_comma_is_sorted_by() -> None:
    found = orders("metrics.`a,b` desc, params.c")

    assert [(str(order.field), order.is_descending) for order in found] == [
        ("metrics.a,b", True),
        ("params.c", False),
    ]
