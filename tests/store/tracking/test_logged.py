"""Metrics with their histories, parameters, artifacts and inputs."""

from datetime import UTC, datetime
from math import inf, isnan, nan
from typing import TYPE_CHECKING

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from cd4ml.errors import AlreadyExists, InvalidInput, NotFound
from cd4ml.records.point import Point, PointChunk
from cd4ml.records.run import Metric, Run
from cd4ml.records.run_artifact import RunArtifact
from cd4ml.store import rows
from cd4ml.store.tracking.history import columns_from, history, metric_of
from cd4ml.store.tracking.logged import log_artifacts, log_metrics, log_parameters
from tests.store.records import NOW, metric, run

if TYPE_CHECKING:
    from cd4ml.store.database import Database


def log(database: "Database", *points: Point, number: int = 1) -> None:
    with database.write() as connection:
        log_metrics(connection, number, points)


def latest(database: "Database", name: str = "loss") -> Metric:
    with database.read() as connection:
        return metric_of(connection, 1, name)


def test_the_latest_value_and_the_history_are_kept_apart(database: "Database") -> None:
    log(database, Point("loss", 0.9, 0, 1_000), Point("loss", 0.5, 1, 2_000))
    log(database, Point("loss", 0.7, 2, 3_000), Point("auc", 0.6, 0, 3_000))

    found = latest(database)
    with database.read() as connection:
        points = history(connection, 1, "loss")

    assert points == [
        Point("loss", 0.9, 0, 1_000),
        Point("loss", 0.5, 1, 2_000),
        Point("loss", 0.7, 2, 3_000),
    ]
    assert (found.value, found.step, found.lowest, found.highest) == (0.7, 2, 0.5, 0.9)
    assert (found.first_step, found.last_step, found.n_points) == (0, 2, 3)
    assert found.logged_at == datetime(1970, 1, 1, 0, 0, 3, tzinfo=UTC)


@pytest.mark.parametrize(
    ("points", "value"),
    [
        ([Point("loss", 1.0, 5, 10), Point("loss", 2.0, 3, 99)], 1.0),  # the highest step
        ([Point("loss", 1.0, 5, 10), Point("loss", 2.0, 5, 9)], 1.0),  # then the latest time
        ([Point("loss", 1.0, 5, 10), Point("loss", 2.0, 5, 10)], 2.0),  # then the last logged
    ],
)
@pytest.mark.parametrize("at_once", [True, False])
def test_the_latest_value_is_that_of_the_highest_step(
    database: "Database", points: list[Point], value: float, at_once: bool
) -> None:
    for batch in [points] if at_once else [[point] for point in points]:
        log(database, *batch)

    assert latest(database).value == value


def test_every_kind_of_value_is_a_value(database: "Database") -> None:
    values = [nan, inf, -inf, None, 1e308, 5e-324, 0.0]
    log(database, *(Point("loss", value, i) for i, value in enumerate(values)))
    log(database, Point("nothing", None), Point("never", nan), Point("high", inf))

    with database.read() as connection:
        points = history(connection, 1, "loss")
    found = [latest(database, name) for name in ("nothing", "never", "high")]

    assert [repr(point.value) for point in points] == [repr(value) for value in values]
    assert (latest(database).lowest, latest(database).highest) == (-inf, inf)
    assert [each.value for each in found] == [None, None, inf]
    assert [each.is_nan for each in found] == [False, True, False]
    assert isnan(found[1].number or 0.0)


@settings(
    max_examples=15, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture]
)
@given(
    sizes=st.lists(st.integers(1, 5000), min_size=1, max_size=6),
    start=st.integers(0, 20_000),
    limit=st.integers(0, 6000),
)
def test_a_history_is_paged_whatever_it_was_logged_in(
    database: "Database", sizes: list[int], start: int, limit: int
) -> None:
    with database.write() as connection:
        number = rows.next_number(connection, Run)
    logged: list[Point] = []
    for size in sizes:
        batch = [Point("loss", float(i), i) for i in range(len(logged), len(logged) + size)]
        log(database, *batch, number=number)
        logged += batch

    with database.read() as connection:
        page = history(connection, number, "loss", start=start, limit=limit)
        n_chunks = rows.count(connection, PointChunk, run=number)
        steps = columns_from(connection, number, "loss").steps

    assert page == logged[start : start + limit]
    assert steps.tolist() == list(range(len(logged)))
    assert n_chunks <= len(sizes) + len(logged) // 4096


def test_points_logged_one_by_one_fill_chunks(database: "Database") -> None:
    with database.write() as connection:
        for i in range(600):
            log_metrics(connection, 1, [Point("loss", float(i), i)])

    with database.read() as connection:
        chunks = rows.find(connection, PointChunk, run=1)

    assert [(chunk.start, chunk.n) for chunk in chunks] == [(0, 256), (256, 256), (512, 88)]


def test_a_metric_of_a_step_has_its_one_value_as_history(database: "Database") -> None:
    with database.write() as connection:
        rows.insert(connection, metric(0.7))

    with database.read() as connection:
        assert history(connection, 1, "auc") == [Point("auc", 0.7, 0, 1_356_998_400_000)]
        assert history(connection, 1, "auc", start=1) == []


def test_a_history_of_another_run_is_read_and_not_gone_on_with(database: "Database") -> None:
    log(database, Point("loss", 0.9, 0), Point("loss", 0.8, 1))
    with database.write() as connection:
        taken = Metric(
            run=2, name="loss", value=0.8, step=1, n_points=2, history_of=1, logged_at=NOW
        )
        rows.insert(connection, taken)
    with database.read() as connection:
        before = history(connection, 2, "loss")

    log(database, Point("loss", 0.5, 0), number=2)

    with database.read() as connection:
        assert [point.value for point in before] == [0.9, 0.8]
        assert [point.value for point in history(connection, 2, "loss")] == [0.5]
        assert [point.value for point in history(connection, 1, "loss")] == [0.9, 0.8]


@pytest.mark.parametrize(
    ("point", "message"),
    [
        (
            Point("", 1.0),
            "a metric cannot be named so: expected at least one character, got none",
        ),
        (
            Point("a\0", 1.0),
            "a metric cannot be named so: expected text without NUL characters, got 'a\\x00'",
        ),
        (Point("loss", 1.0, 2**63), "a step of the metric 'loss' has more than 64 bits"),
        (
            Point("loss", 1.0, 0, -1),
            "a time of the metric 'loss' is not one of the years 1970 to 9999\n"
            "  hint: times are in milliseconds since 1970",
        ),
    ],
)
def test_what_cannot_be_stored_leaves_no_trace(
    database: "Database", point: Point, message: str
) -> None:
    with pytest.raises(InvalidInput) as refused, database.write() as connection:
        log_metrics(connection, 1, [Point("auc", 0.5), point])

    with database.read() as connection:
        assert rows.find(connection, Metric) == []
    assert str(refused.value) == message


def test_a_history_that_is_not_there_is_said_so(database: "Database") -> None:
    log(database, Point("loss", 0.9))

    with database.read() as connection, pytest.raises(NotFound) as missing:
        history(connection, 1, "auc")
    with database.read() as connection, pytest.raises(InvalidInput) as refused:
        history(connection, 1, "loss", start=-1)

    assert str(missing.value) == "no metric '1/auc'\n  hint: known: 1/loss"
    assert str(refused.value) == "expected a start and limit of at least 0, got -1 and 10000"


def test_ten_thousand_parameters_and_any_text(database: "Database") -> None:
    many = {f"größe {i}": i for i in range(10_000)}
    with database.write() as connection:
        rows.insert(connection, run())
        log_parameters(connection, 1, many)
        log_parameters(connection, 1, {"日本語": "🙂" * 100_000})

    with database.read() as connection:
        found = rows.get(connection, Run, 1).parameters

    assert found == {**many, "日本語": "🙂" * 100_000}


def test_a_fixed_parameter_keeps_its_value(database: "Database") -> None:
    with database.write() as connection:
        rows.insert(connection, run(parameters={"depth": "3"}))
        log_parameters(connection, 1, {"depth": "3", "rate": "0.1"}, is_fixed=True)

    with pytest.raises(AlreadyExists) as refused, database.write() as connection:
        log_parameters(connection, 1, {"rate": "0.1", "depth": "4"}, is_fixed=True)

    assert str(refused.value) == (
        "the parameter 'depth' of run/1 is '3' already, and cannot become '4'"
    )


@pytest.mark.parametrize("path", ["", "/etc/passwd", "a//b", "a/../b", "./a", "a/"])
def test_an_artifact_lies_within_its_run(database: "Database", path: str) -> None:
    artifact = RunArtifact(run=1, path=path, address="", n_bytes=0, logged_at=NOW)

    with pytest.raises(InvalidInput) as refused, database.write() as connection:
        log_artifacts(connection, [artifact])

    assert str(refused.value) == (
        f"expected a path within the run, got {path!r}\n  hint: as in figures/curve.json"
    )
