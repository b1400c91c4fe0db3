"""Runs are listed and compared by the key and the environment that they were made for."""

from typing import TYPE_CHECKING

import pytest

from cd4ml.experiments.compare import compare
from cd4ml.experiments.tracking import list_runs
from tests.experiments import runs

if TYPE_CHECKING:
    from cd4ml.store.database import Database

RUNS = (
    runs.tracked(1, {}),
    runs.tracked(2, {"auc": 0.6}, partition="origin=EWR"),
    runs.tracked(3, {"auc": 0.7}, partition="origin=JFK", environment_name="staging"),
    runs.tracked(4, {}, partition="origin_=EWR"),
    runs.tracked(5, {"auc": 0.5}, partition="origin=EWR"),
    runs.tracked(6, {}, partition="a%b=1"),
)


@pytest.mark.parametrize(
    ("partition", "expected"),
    [
        ("", [6, 5, 4, 3, 2, 1]),
        ("origin", [5, 3, 2]),
        ("origin=EWR", [5, 2]),
        ("origin_", [4]),
        ("ori", []),
        ("%", []),
        ("a%b", [6]),
    ],
)
def test_runs_are_found_by_key_and_by_column(
    database: "Database", partition: str, expected: list[int]
) -> None:
    with database.write() as connection:
        for each in RUNS:
            runs.record(connection, each)
        found = list_runs(connection, partition=partition)

    assert [each.run.number for each in found] == expected


def test_keys_and_environments_that_differ_are_told() -> None:
    found = compare([RUNS[0], RUNS[2]]).differences

    assert [(each.name, each.values) for each in found] == [
        ("partition", ("-", "origin=JFK")),
        ("env", ("-", "staging")),
        ("auc", (None, 0.7)),
    ]
