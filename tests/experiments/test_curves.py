"""Metrics of several runs over their training, read for a drawing."""

from datetime import timedelta

import pytest

from cd4ml.errors import InvalidInput, NotFound
from cd4ml.experiments.curves import curves_of
from cd4ml.records.point import Point
from cd4ml.store import rows
from cd4ml.store.database import Database
from cd4ml.store.tracking.logged import log_metrics
from cd4ml.store.tracking.times import milliseconds
from tests.experiments.runs import NOW, run


def logged(database: Database, number: int, name: str, *values: float | None) -> None:
    """A point a second, at step 0, 10, 20, ..."""
    with database.write() as connection:
        rows.put(connection, run(number))
        points = [
            Point(name, value, 10 * i, milliseconds(NOW + timedelta(seconds=number + i)))
            for i, value in enumerate(values)
        ]
        log_metrics(connection, number, points)


def test_each_metric_is_one_drawing_of_those_runs_that_logged_it(database: Database) -> None:
    logged(database, 1, "loss", 3.0, None, 1.0)
    logged(database, 2, "loss", 2.0, float("nan"))
    logged(database, 2, "auc", 0.5, 0.7)
    logged(database, 3, "rows", 100.0)

    with database.read() as connection:
        auc, loss = curves_of(connection, [2, 1, 3])

    assert (auc.metric, [each.run for each in auc.runs]) == ("auc", ["run/2"])
    assert (loss.metric, [each.run for each in loss.runs]) == ("loss", ["run/2", "run/1"])
    first = loss.runs[1]
    assert (first.steps, first.seconds) == ((0, 10, 20), (0.0, 1.0, 2.0))
    assert (first.values, first.n_points) == ((3.0, None, 1.0), 3)
    assert loss.runs[0].values == (2.0, None)


def test_one_that_is_named_is_drawn_alone_also_with_one_point(database: Database) -> None:
    logged(database, 1, "loss", 3.0, 1.0)
    logged(database, 1, "rows", 100.0)

    with database.read() as connection:
        found = curves_of(connection, [1, 1], metrics=["rows"])

    assert [(each.metric, [curve.values for curve in each.runs]) for each in found] == [
        ("rows", [(100.0,)])
    ]


def test_what_the_machine_did_comes_last_and_twelve_are_enough(database: Database) -> None:
    for name in ("system/cpu", *(f"m{i:02}" for i in range(13))):
        logged(database, 1, name, 1.0, 2.0)

    with database.read() as connection:
        names = [each.metric for each in curves_of(connection, [1])]

    assert names == [f"m{i:02}" for i in range(12)]


def test_a_long_curve_is_smoothed_and_then_thinned(database: Database) -> None:
    logged(database, 1, "loss", *[float(i % 2) for i in range(1000)])

    with database.read() as connection:
        curve = curves_of(connection, [1], smoothing=0.99, width=50)[0].runs[0]

    assert len(curve.values) <= 54
    assert curve.n_points == 1000
    assert curve.values[-1] == pytest.approx(0.5, abs=0.01)
    assert curve.steps[-1] == 9990


def test_what_cannot_be_drawn_is_said(database: Database) -> None:
    logged(database, 1, "loss", 3.0, 1.0)

    with database.read() as connection:
        with pytest.raises(NotFound) as unknown:
            curves_of(connection, [1], metrics=["los"])
        with pytest.raises(InvalidInput) as rough:
            curves_of(connection, [1], smoothing=1.0)

    assert str(unknown.value) == "none of these runs has the metric 'los'\n  hint: known: loss"
    assert rough.value.message == "expected a smoothing from 0 to below 1, got 1"
