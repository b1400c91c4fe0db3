"""Filters, orders, pages and groups, on both databases."""

from collections.abc import Callable, Iterable
from datetime import timedelta
from math import inf, isnan, nan
from typing import TYPE_CHECKING, Any

import pytest

from cd4ml.errors import InvalidInput
from cd4ml.records.point import Point
from cd4ml.store import rows
from cd4ml.store.tracking.logged import log_metrics
from cd4ml.store.tracking.search import (
    Spread,
    count_runs,
    group_runs,
    order_of,
    search_runs,
)
from cd4ml.store.tracking.where import field_of
from tests.store.records import NOW, run

if TYPE_CHECKING:
    from cd4ml.store.database import Database

DAY = timedelta(days=1)
RUNS: tuple[tuple[dict[str, Any], dict[str, float | None]], ...] = (
    (
        {
            "name": "Basis 100%",
            "parameters": {"delay.max_iter": 100, "delay.rate": 0.1, "kind": "tree", "deep": True},
            "tags": {"team": "ops", "tries": "2", "größe": "L"},
        },
        {"auc": 0.60, "loss": 0.9},
    ),
    (
        {
            "name": "basis 2",
            "started_at": NOW + DAY,
            "parameters": {
                "delay.max_iter": 200,
                "kind": "Tree*",
                "deep": False,
                "größe 1": "x",
                "delay.rate": "nan",
            },
            "search": 7,
            "tags": {"team": "web", "tries": "10"},
            "created_by": "bob",
        },
        {"auc": 0.75, "loss": nan},
    ),
    (
        {
            "state": "failed",
            "experiment": "prices",
            "started_at": NOW + 2 * DAY,
            "parameters": {"delay.max_iter": "200", "kind": None, "version": "1.2.3"},
        },
        {"loss": inf},
    ),
    (
        {
            "state": "killed",
            "parameters": {"max_iter": 300, "kind": "1-2", "deep": "True", "rate": "-inf"},
            "note": "it's so",
        },
        {"auc": 0.70, "loss": None},
    ),
    ({"deleted_at": NOW, "parameters": {"delay.max_iter": 200}}, {"auc": 0.99}),
)


Logged = Iterable[tuple[dict[str, Any], dict[str, float | None]]]


@pytest.fixture(scope="module")
def filled(shared_databases: "Callable[[], Database]") -> "Database":
    return fill(shared_databases(), RUNS)


def fill(database: "Database", runs: Logged) -> "Database":
    with database.write() as connection:
        for number, (changes, metrics) in enumerate(runs, 1):
            rows.insert(connection, run(number, **changes))
            points = [Point(name, value) for name, value in metrics.items()]
            log_metrics(connection, number, points)
    return database


def numbers(database: "Database", where: str = "", sort: str = "", **options: Any) -> list[int]:
    order = [order_of(each) for each in sort.split(",") if each]
    with database.read() as connection:
        found = search_runs(connection, where=where, order=order, **options)
    return [each.run.number for each in found]


@pytest.mark.parametrize(
    ("where", "expected"),
    [
        ("", [4, 3, 2, 1]),
        ("metrics.auc > 0.65", [4, 2]),
        ("metrics.auc > 0.65 and params.max_iter = 200", [2]),
        ("metrics.auc >= 0.6 and not metrics.auc > 0.7", [4, 1]),
        ("metrics.auc != 0.75", [4, 1]),
        ("metrics.auc in (0.6, 0.75)", [2, 1]),
        ("metrics.auc not in (0.6, 0.75)", [4]),  # as with !=, what has no value is not found
        ("not metrics.auc in (0.6, 0.75)", [4, 3]),
        ("not metrics.auc = 0.75", [4, 3, 1]),
        ("metrics.loss not in (0.9)", [3, 2]),
        ("metrics.auc is null", [3]),
        ("metrics.auc is not null", [4, 2, 1]),
        ("metrics.loss > 0.5", [3, 1]),  # infinity is above, NaN above nothing
        ("metrics.loss = inf", [3]),
        ("metrics.loss = nan", [2]),
        ("metrics.loss != nan", [4, 3, 1]),
        ("metrics.loss != 0.9", [3, 2]),
        ("metrics.loss < nan", []),
        ("metrics.loss is null", [4]),
        ("metrics.nothing > 0", []),
        ("params.delay.max_iter = 200", [3, 2]),  # also the text that MLflow makes of it
        ("params.max_iter = 200", [3, 2]),  # the step's name may be left out
        ("params.max_iter >= 200", [4, 3, 2]),
        ("params.max_iter != 200", [4, 1]),
        ("params.max_iter = '200'", [3, 2]),
        ("params.max_iter in (100, 300)", [4, 1]),
        ("params.rate < 0.2", [1]),
        ("params.kind = 'tree'", [1]),
        ("params.kind != 'tree'", [4, 2]),
        ("params.kind like 'tree%'", [1]),
        ("params.kind ilike 'TREE%'", [2, 1]),
        ("params.kind like 'Tree*'", [2]),
        ("params.kind not like 'tree%'", [4, 2]),
        ("not params.kind like 'tree%'", [4, 3, 2]),
        ("params.rate = nan", [2]),
        ("params.rate != nan", [4, 1]),
        ("params.rate = -inf", [4]),
        ("params.rate = inf", []),
        ("params.rate < nan", []),
        ("params.rate in (nan, 0.1)", [2, 1]),
        ("search is null", [4, 3, 1]),
        ("search is not null", [2]),
        ("search < 8", [2]),
        ("search != 8", [2]),
        ("search not in (7)", []),
        ("params.kind > 0", []),  # "1-2" is no number
        ("params.version > 0", []),
        ("params.version = '1.2.3'", [3]),
        ("params.kind is null", [3]),
        ("params.deep = true", [4, 1]),
        ("params.deep != true", [2]),
        ("params.deep in (false)", [2]),
        ("params.`größe 1` = 'x'", [2]),
        ("tags.team = 'ops'", [1]),
        ("tags.team in ('ops', 'web')", [2, 1]),
        ("tags.tries > 5", [2]),  # 10 is above 5, also as text
        ("tags.größe = 'L'", [1]),
        ("tags.team is null", [4, 3]),
        ("tags.team != 'ops'", [2]),
        ("tags.team not in ('ops')", [2]),
        ("tags.team not like 'ops'", [2]),
        ("state = 'failed' or state = 'killed'", [4, 3]),
        ("experiment = 'prices'", [3]),
        ("created_by = 'bob'", [2]),
        ("name like 'Basis 100\\%'", [1]),
        ("name ilike 'BASIS%'", [2, 1]),
        ("note = 'it''s so'", [4]),
        ("number >= 3", [4, 3]),
        ("started >= 2013-01-02", [3, 2]),
        ("started > '2013-01-02' and started < 2013-01-03T12:00Z", [3]),
        ("finished is null", [4, 3, 2, 1]),
        ("not (tags.team = 'ops')", [4, 3, 2]),
    ],
)
def test_a_filter_lets_through_what_it_says(
    filled: "Database", where: str, expected: list[int]
) -> None:
    assert numbers(filled, where) == expected
    with filled.read() as connection:
        assert count_runs(connection, where=where) == len(expected)


@pytest.mark.parametrize(
    ("where", "message"),
    [
        (
            "metrics.auc > 'high'",
            "metrics.auc is a number, so expected a number, got 'high':\n"
            "    metrics.auc > 'high'\n                  ^",
        ),
        (
            "metrics.auc like '0%'",
            "metrics.auc is a number, which is not like a text:\n    metrics.auc like '0%'\n    ^",
        ),
        (
            "state = 3",
            "state is a text, so expected text in quotes, got 3:\n    state = 3\n            ^",
        ),
        (
            "started > 'noon'",
            "started is a moment, so expected one like 2026-11-26, got 'noon':\n"
            "    started > 'noon'\n              ^",
        ),
        ("number = nan", "number is no such number:\n    number = nan\n             ^"),
        (
            "number like '1'",
            "number is a number, which is not like a text:\n    number like '1'\n    ^",
        ),
        (
            "params.deep > true",
            "true and false are equal or not, neither is above the other:\n"
            "    params.deep > true\n                  ^",
        ),
        (
            "tags.a = 'x\0'",
            "expected text without NUL characters, got 'x\\x00':\n"
            "    tags.a = 'x\0'\n             ^",
        ),
    ],
)
def test_what_does_not_fit_its_field_is_shown(filled: "Database", where: str, message: str) -> None:
    with pytest.raises(InvalidInput) as refused:
        numbers(filled, where)

    assert str(refused.value) == message


@pytest.mark.parametrize(
    ("sort", "expected"),
    [
        ("metrics.auc", [1, 4, 2, 3]),
        ("metrics.auc desc", [2, 4, 1, 3]),
        ("metrics.loss desc", [3, 1, 4, 2]),  # what is no number comes last
        ("params.max_iter", [1, 3, 2, 4]),
        ("params.max_iter desc, metrics.auc", [4, 2, 3, 1]),
        ("tags.tries", [1, 2, 4, 3]),  # 2 before 10
        ("started desc", [3, 2, 4, 1]),
        ("state, number", [3, 1, 2, 4]),
        ("metrics.nothing", [4, 3, 2, 1]),
    ],
)
def test_runs_are_sorted_by_anything(filled: "Database", sort: str, expected: list[int]) -> None:
    assert numbers(filled, sort=sort) == expected


def test_runs_come_in_pages(filled: "Database") -> None:
    pages = [numbers(filled, sort="number", limit=3, offset=offset) for offset in (0, 3, 6)]

    assert pages == [[1, 2, 3], [4], []]


def test_deleted_runs_are_found_when_they_are_asked_for(filled: "Database") -> None:
    assert numbers(filled, deleted=True) == [5]
    assert numbers(filled, deleted=None) == [5, 4, 3, 2, 1]


def test_a_run_comes_with_its_metrics(filled: "Database") -> None:
    with filled.read() as connection:
        found = {each.run.number: each for each in search_runs(connection)}

    assert found[1].metrics == {"auc": 0.6, "loss": 0.9}
    assert isnan(found[2].metrics["loss"] or 0)
    assert found[3].metrics == {"loss": inf}
    assert found[4].metrics == {"auc": 0.7, "loss": None}
    assert found[4].run.note == "it's so"


def test_runs_are_grouped_by_what_they_have_in_common(filled: "Database") -> None:
    with filled.read() as connection:
        groups = group_runs(connection, [field_of("params.max_iter")])

    assert [(each.values, each.n_runs) for each in groups] == [
        (("100",), 1),
        (("200",), 2),
        (("300",), 1),
    ]
    assert groups[1].metrics["auc"] == Spread(n=1, mean=0.75, lowest=0.75, highest=0.75)
    assert groups[1].metrics["loss"] == Spread(n=1, mean=inf, lowest=inf, highest=inf)


def test_groups_are_of_the_runs_that_are_let_through(filled: "Database") -> None:
    with filled.read() as connection:
        groups = group_runs(
            connection,
            [field_of("experiment"), field_of("tags.team")],
            where="state = 'finished' or experiment = 'prices'",
        )

    assert [(each.values, each.n_runs) for each in groups] == [
        (("default", "ops"), 1),
        (("default", "web"), 1),
        (("prices", None), 1),
    ]


@pytest.mark.parametrize(
    ("by", "message"),
    [
        ([], "expected something to group by\n  hint: as in params.max_iter"),
        (
            [field_of("metrics.auc")],
            "runs are not grouped by a metric, got metrics.auc\n"
            "  hint: by params.NAME, tags.NAME or an attribute",
        ),
    ],
)
def test_what_cannot_be_grouped_by_is_said(filled: "Database", by: list[Any], message: str) -> None:
    with filled.read() as connection, pytest.raises(InvalidInput) as refused:
        group_runs(connection, by)

    assert str(refused.value) == message


def test_more_groups_than_anybody_reads_are_refused(database: "Database") -> None:
    with database.write() as connection:
        for number in range(1, 1003):
            rows.insert(connection, run(number, parameters={"seed": number}))

    with database.read() as connection, pytest.raises(InvalidInput) as refused:
        group_runs(connection, [field_of("params.seed")])

    assert str(refused.value) == (
        "grouped by params.seed there are more than 1,000 groups\n"
        "  hint: filter the runs, or group by what fewer values have"
    )


@pytest.mark.parametrize(
    "name", ["a'b", 'a"b', "a\\b", "$.a", "[0]", "größe", "a b", "日本", "1", "a`b", "`", "``"]
)
def test_any_name_is_found(database: "Database", name: str) -> None:
    with database.write() as connection:
        rows.insert(connection, run(1, parameters={name: 5, "other": 1}, tags={name: "x"}))
        log_metrics(connection, 1, [Point(name, 0.5)])

    name = name.replace("`", "``")
    assert numbers(database, f"params.`{name}` = 5 and tags.`{name}` = 'x'") == [1]
    assert numbers(database, f"metrics.`{name}` = 0.5 and params.`{name}` = '5'") == [1]
    assert numbers(database, f"params.`{name}` = 6") == []


@pytest.mark.parametrize(
    ("text", "is_number"),
    [
        ("1", True), ("-1.5", True), ("+.5", True), ("1e5", True), ("1E-5", True), ("2.", True),
        ("", False), ("-", False), ("e5", False), ("1e", False), ("1-2", False), ("1.2.3", False),
        ("1e2e3", False), ("0x10", False), ("2013-01-01", False), ("1e999", False),
        ("9" * 400, False), (".", False), ("1 2", False),
    ],
)  # fmt: skip
def test_a_text_counts_as_a_number_where_it_is_one(
    database: "Database", text: str, is_number: bool
) -> None:
    with database.write() as connection:
        rows.insert(connection, run(1, parameters={"a": text}))

    found = numbers(database, "params.a > -1000000")

    is_above_all = database.dialect == "sqlite" and text in ("1e999", "9" * 400)
    assert (found == [1]) == (is_number or is_above_all)


@pytest.fixture(scope="module")
def crowded(shared_databases: "Callable[[], Database]") -> "Database":
    """Sixty runs: values that many share, some that are none, and some runs without the metric."""
    values = [nan, None, inf, -inf, 0.1, 0.2, 0.3, 0.4]
    runs: Logged = [
        (
            {"parameters": {"rate": i % 3}, "deleted_at": NOW if i % 7 == 0 else None},
            {"auc": values[i % len(values)]} if i % 5 else {"loss": float(i)},
        )
        for i in range(60)
    ]
    return fill(shared_databases(), runs)


@pytest.mark.parametrize("sort", ["metrics.auc desc", "metrics.auc asc", "metrics.loss"])
@pytest.mark.parametrize("where", ["", "params.rate = 1", "metrics.auc > 0.15", "number < 9"])
def test_a_page_by_a_metric_is_that_part_of_the_whole_list(
    crowded: "Database", where: str, sort: str
) -> None:
    whole = numbers(crowded, where, sort)

    for limit, offset in ((1, 0), (5, 0), (5, 3), (20, 10), (100, 0)):
        found = numbers(crowded, where, sort, limit=limit, offset=offset)
        assert found == whole[offset : offset + limit]
