"""What every served model has to keep: a good one keeps all, and each bad one is found out."""

import itertools
import math
from collections.abc import Sequence

import msgspec
import pytest

from cd4ml.models.behaviour import edges
from cd4ml.models.behaviour.asking import AnswerFailed, Row, RowsRefused
from cd4ml.models.behaviour.promises import PROMISES
from cd4ml.records.contract import Contract, Field
from tests.models.behaviour.models import COMPILED, ROWS, asked, score
from tests.models.builders import CONTRACT

TESTS = {test.name: test for test in PROMISES}
ANSWERED = TESTS["every recorded row is answered"]
IN_ORDER = TESTS["the order of rows does not matter"]
UNKNOWN = TESTS["an unknown category is answered or refused"]
NULLS = TESTS["null is answered or refused"]
EXTREMES = TESTS["an extreme value is answered or refused"]
NO_ROW = TESTS["what is no row is refused"]


@pytest.mark.parametrize("test", PROMISES, ids=lambda test: test.name)
def test_a_sound_model_keeps_every_promise(test) -> None:  # type: ignore[no-untyped-def]
    promise = test(asked(), CONTRACT, ROWS)

    assert promise.n_tried > 0
    assert (promise.n_broken, promise.example) == (0, "")


def test_a_row_without_a_finite_answer_is_found_among_the_others() -> None:
    promise = ANSWERED(asked(lambda row: math.nan if row == ROWS[7] else 0.5), CONTRACT, ROWS)

    assert (promise.n_tried, promise.n_broken) == (60, 1)
    assert promise.example.startswith("the answer is nan, for {")


def test_an_answer_that_is_none_of_the_contract_is_found() -> None:
    promise = ANSWERED(asked(lambda row: 1.7), CONTRACT, ROWS[:1])

    assert promise.example.startswith("1.7, which is not a number from 0 to 1, for {")


def test_an_answer_for_each_row_is_asked_for() -> None:
    promise = IN_ORDER(lambda rows: [0.5], CONTRACT, ROWS)

    assert promise.name == "the order of rows does not matter"
    assert (promise.n_broken, promise.example) == (1, "60 rows got 1 answers")


def test_a_model_that_looks_at_the_other_rows_is_found() -> None:
    def by_batch(rows: Sequence[Row]) -> list[float]:
        middle = sum(row["wind"] for row in rows) / len(rows)
        return [float(row["wind"] > middle) for row in rows]

    promise = TESTS["a single row is answered as in a batch"](by_batch, CONTRACT, ROWS)

    assert promise.n_broken > 10
    assert promise.example.startswith("1 and 0 for {")


def test_a_model_that_goes_by_place_is_found() -> None:
    promise = IN_ORDER(lambda rows: list(map(float, range(len(rows)))), CONTRACT, ROWS)

    assert promise.n_broken > 50


def test_a_model_that_learns_or_draws_lots_is_found() -> None:
    counted = itertools.count()

    promise = TESTS["the same input gets the same answer"](
        asked(lambda row: next(counted) / 1000), CONTRACT, ROWS
    )

    assert promise.n_broken == 60


@pytest.mark.parametrize(
    ("test", "shown"),
    [
        (UNKNOWN, "cd4ml: never seen"),
        (NULLS, "null"),
        (EXTREMES, "24"),
        (NO_ROW, "many"),
    ],
    ids=lambda each: getattr(each, "name", each),
)
def test_what_the_contract_refuses_must_not_be_answered(test, shown: str) -> None:  # type: ignore[no-untyped-def]
    promise = test(asked(lambda row: 0.5, keeps_contract=False), CONTRACT, ROWS)

    assert promise.n_broken > 0
    assert promise.example.startswith("answered 0.5 instead of refusing {")


@pytest.mark.parametrize(
    ("test", "is_allowed"),
    [
        (UNKNOWN, lambda row: row["dest"] == "cd4ml: never seen"),
        (NULLS, lambda row: row["temp"] is None and row["hour"] == 7),
        (EXTREMES, lambda row: row["wind"] == 10**9),
    ],
    ids=lambda each: getattr(each, "name", ""),
)
def test_what_the_contract_lets_through_must_be_answered(test, is_allowed) -> None:  # type: ignore[no-untyped-def]
    def breaks(row: Row) -> float:
        if is_allowed(row):
            raise AnswerFailed("KeyError: it has no code")
        return score(row)

    promise = test(asked(breaks), CONTRACT, [{**row, "hour": 7} for row in ROWS])

    assert promise.n_broken > 0
    assert promise.example.startswith("KeyError: it has no code, for {")


def test_a_model_that_fails_everywhere_breaks_its_promises_and_no_test() -> None:
    def fails(rows: Sequence[Row]) -> list[float]:
        raise AnswerFailed("no answer: ConnectionError")

    found = [test(fails, CONTRACT, ROWS) for test in PROMISES]

    assert all(promise.n_broken for promise in found)


def test_edges_are_those_of_the_contract() -> None:
    asked_for = [
        row
        for made in (edges.unknown_categories, edges.nulls, edges.extremes)
        for row in made(CONTRACT, ROWS)
    ]
    kept = [row for row in asked_for if not COMPILED.check(row)]

    assert {row["hour"] for row in kept} >= {0, 23}
    assert {row["wind"] for row in kept} >= {0.0, 10.0**9}
    assert {row["temp"] for row in kept} >= {-50.0, 130.0, None}
    assert {row["carrier"] for row in kept} <= {"AA", "B6", "UA"}
    assert {row["dest"] for row in kept} >= {"cd4ml: never seen", "", "None", None}
    broken = [row for row in asked_for if COMPILED.check(row)]
    assert {row["hour"] for row in broken} >= {-1, 24, None}


def test_malformed_rows_are_no_rows() -> None:
    for row in edges.malformed(CONTRACT, ROWS):
        assert COMPILED.check(row)
        msgspec.json.encode(row)  # they can be sent all the same


def test_a_contract_of_times_and_flags_has_edges_too() -> None:
    fields = (
        Field("at", "datetime"),
        Field("paid", "boolean"),
        Field("id", "string", pattern="x+"),
    )
    contract = Contract(name="bill", fields=fields)
    rows = [{"at": "2020-01-01T00:00:00Z", "paid": True, "id": "x"}]

    assert [row["at"][:4] for row in edges.extremes(contract, rows)] == ["1900", "2100"]
    assert list(edges.unknown_categories(contract, rows)) == []
    assert len(list(edges.malformed(contract, rows))) == 7


def test_a_refusal_of_a_recorded_row_is_a_broken_promise() -> None:
    def refuses(rows: Sequence[Row]) -> list[float]:
        raise RowsRefused("refused with 422: wind is missing")

    promise = ANSWERED(refuses, CONTRACT, ROWS[:2])

    assert promise.n_broken == 2
    assert promise.example.startswith("refused with 422: wind is missing, for {")
