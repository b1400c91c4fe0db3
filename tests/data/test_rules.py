"""What a contract can ask besides types and limits: each rule names its rows."""

from datetime import UTC, datetime, timedelta

import polars as pl
import pytest

from cd4ml.data.contract import check, refuse_unless_kept
from cd4ml.data.rules import Context
from cd4ml.errors import ContractViolated, InvalidInput
from cd4ml.records.contract import Condition, Contract, Field

NOON = datetime(2013, 1, 2, 12, tzinfo=UTC)


def broken(
    table: pl.DataFrame, contract: Contract, context: Context | None = None
) -> dict[str, str]:
    """What is asked -> why not, for each broken rule."""
    found = check(table.lazy(), contract, context or Context())
    return {f.gate: f.reason for f in found if f.outcome != "pass"}


def one(field: Field, **more: object) -> Contract:
    return Contract(name="c", fields=(field,), **more)  # type: ignore[arg-type]


def test_a_pattern_is_matched_by_the_whole_text() -> None:
    contract = one(Field("tail", "string", nullable=True, pattern="N[0-9]+"))
    table = pl.DataFrame({"tail": ["N1", "xN1", "N1x", "N1\n", None]})

    assert broken(table, contract) == {"tail like N[0-9]+": "3 of 5 rows, first in row 2: 'xN1'"}


def test_a_pattern_with_alternatives_is_one_pattern() -> None:
    contract = one(Field("code", "string", pattern="a|b"))

    assert broken(pl.DataFrame({"code": ["a", "b"]}), contract) == {}
    assert list(broken(pl.DataFrame({"code": ["ab"]}), contract)) == ["code like a|b"]


def test_a_pattern_that_tables_cannot_be_matched_with_is_refused() -> None:
    with pytest.raises(InvalidInput) as refused:
        check(pl.LazyFrame({"a": ["x"]}), one(Field("a", "string", pattern="(?=x)x")))

    assert str(refused.value) == (
        "the pattern of 'a' is none for tables: (?=x)x\n"
        "  hint: look-around and back-references cannot be used"
    )


def test_a_unique_field_repeats_nothing_but_null() -> None:
    contract = one(Field("tail", "string", nullable=True, unique=True))

    assert broken(pl.DataFrame({"tail": ["a", None, None, "b"]}), contract) == {}
    assert broken(pl.DataFrame({"tail": ["a", None, "b", "a", "a"]}), contract) == {
        "tail unique": "2 of 5 rows, first in row 4: 'a'"
    }


def test_further_groups_of_columns_are_unique() -> None:
    contract = Contract(
        name="c",
        fields=(Field("a", "integer", nullable=True), Field("b", "integer")),
        unique=(("a", "b"),),
    )
    table = pl.DataFrame({"a": [1, 1, None, None, 1], "b": [1, 2, 1, 1, 2]})

    assert broken(table, contract) == {"a, b unique": "1 of 5 rows, first in row 5: a=1, b=2"}


def test_one_group_is_asked_once() -> None:
    contract = Contract(
        name="c",
        fields=(Field("a", "integer", unique=True),),
        key=("a",),
        unique=(("a",),),
    )

    gates = [f.gate for f in check(pl.LazyFrame({"a": [1]}), contract)]

    assert gates.count("a unique") == 1


def test_unique_columns_that_are_missing_are_named() -> None:
    contract = one(Field("a", "integer"), unique=(("a", "z"),), open=True)

    assert broken(pl.DataFrame({"a": [1]}), contract) == {"a, z unique": "there is no column 'z'"}


def test_there_may_be_too_many_rows() -> None:
    contract = one(Field("a", "integer"), maximum_rows=2)

    assert broken(pl.DataFrame({"a": [1, 2]}), contract) == {}
    assert broken(pl.DataFrame({"a": [1, 2, 3]}), contract) == {"at most 2 rows": "there are 3"}


@pytest.mark.parametrize(
    ("newest", "reason"),
    [
        (NOON - timedelta(hours=24), None),
        (NOON - timedelta(hours=25),
         "the newest is of 2013-01-01 11:00, 25.0 hours before 2013-01-02 12:00"),
        (None, "no row has one"),
    ],
)  # fmt: skip
def test_the_newest_row_is_fresh(newest: datetime | None, reason: str | None) -> None:
    contract = one(Field("at", "datetime", nullable=True), event_time="at", fresh_within_hours=24)
    old = newest and newest - timedelta(days=3)
    table = pl.DataFrame({"at": [old, newest]}, schema={"at": pl.Datetime("us", "UTC")})

    found = broken(table, contract, Context(now=NOON))

    assert found.get("newest at at most 24 hours old") == reason


@pytest.mark.parametrize("type_", [pl.Datetime("ms"), pl.Date(), pl.Datetime("us", "Asia/Tokyo")])
def test_any_kind_of_time_can_be_fresh(type_: pl.DataType) -> None:
    contract = one(Field("at", "datetime"), event_time="at", fresh_within_hours=13)
    column = pl.Series("at", [datetime(2013, 1, 2, tzinfo=UTC)])
    zone = getattr(type_, "time_zone", None)
    column = column.dt.convert_time_zone(zone) if zone else column.cast(type_)

    assert broken(column.to_frame(), contract, Context(now=NOON)) == {}


def test_freshness_without_a_time_is_an_error_and_not_a_pass() -> None:
    contract = one(Field("at", "datetime"), event_time="at", fresh_within_hours=24)

    findings = check(pl.LazyFrame({"at": [NOON]}), contract)

    (finding,) = [f for f in findings if f.metric == "hours since newest"]
    assert (finding.outcome, finding.value) == ("error", None)
    with pytest.raises(ContractViolated, match="no time was given to compare it with"):
        refuse_unless_kept("x", contract, findings)


def test_a_finding_on_freshness_says_how_old() -> None:
    contract = one(Field("at", "datetime"), event_time="at", fresh_within_hours=24)

    findings = check(pl.LazyFrame({"at": [NOON]}), contract, Context(now=NOON + timedelta(hours=2)))

    (finding,) = [f for f in findings if f.metric == "hours since newest"]
    assert (finding.value, finding.limit, finding.outcome) == (2.0, 24.0, "pass")


def test_what_an_imported_contract_asks_and_nobody_checks_is_shown_and_decides_nothing() -> None:
    contract = one(Field("a", "integer"), unchecked=("a: 99 % are plausible",))

    findings = check(pl.LazyFrame({"a": [1]}), contract)

    (finding,) = [f for f in findings if f.metric == "not checked"]
    assert (finding.outcome, finding.is_gated) == ("inconclusive", False)
    refuse_unless_kept("x", contract, findings)


def test_an_open_contract_lets_other_columns_through() -> None:
    table = pl.DataFrame({"a": [1], "z": [2]})

    assert broken(table, one(Field("a", "integer"), open=True)) == {}
    assert list(broken(table, one(Field("a", "integer")))) == ["z is not there"]


def test_not_a_number_may_be_allowed() -> None:
    table = pl.DataFrame({"a": [1.0, float("nan"), float("inf")]})

    assert list(broken(table, one(Field("a", "number")))) == ["a is finite"]
    assert broken(table, one(Field("a", "number", finite=False))) == {}


# --- conditions -----------------------------------------------------------------------------

FLIGHT = (Field("leaves", "integer"), Field("arrives", "integer", nullable=True))
TABLE = pl.DataFrame({"leaves": [5, 6, 7, 8], "arrives": [6, 5, None, 7]})
LATER = Condition(name="arrives later", sql="arrives > leaves")


def flights(*conditions: Condition) -> Contract:
    return Contract(name="Flights", fields=FLIGHT, conditions=conditions)


@pytest.mark.parametrize(
    "condition", [LATER, Condition.of("arrives later", pl.col("arrives") > pl.col("leaves"))]
)
def test_a_condition_across_columns_is_sql_or_an_expression(condition: Condition) -> None:
    assert broken(TABLE, flights(condition)) == {
        "arrives later": "2 of 4 rows, first in row 2: arrives=5, leaves=6"
    }


def test_a_condition_on_several_rows_judges_the_table() -> None:
    contract = flights(
        Condition(name="leaves late on average", sql="AVG(leaves) > 6"),
        Condition(name="many rows", sql="COUNT(*) >= 10"),
        Condition(name="nothing to say", sql="MAX(arrives) > NULL"),
    )

    assert broken(TABLE, contract) == {"many rows": "the table as a whole breaks it"}


@pytest.mark.parametrize(
    ("sql", "what"),
    [
        ("arrives >", "is no expression: unable to parse 'arrives >' as Expr"),
        ("arrives; leaves", "is no expression: invalid expression (found unexpected token ';')"),
        ("read_csv('/etc/passwd')", "is no expression: unsupported function 'read_csv'"),
        ("arrives + leaves", "is Int64, not true or false"),
        ("arrives > (SELECT 1)", "cannot be computed: "),
        ("arrives LIKE 'x%'", "cannot be computed: "),
        ("", "needs either `sql` or a Polars expression"),
    ],
)
def test_what_is_no_condition_is_refused(sql: str, what: str) -> None:
    with pytest.raises(InvalidInput) as refused:
        check(TABLE.lazy(), flights(Condition(name="odd", sql=sql)))

    start = f"the condition 'odd' of the contract 'Flights' {what}"
    assert refused.value.message.startswith(start)
    assert refused.value.hint == 'for example sql = "arrival >= departure"'


def test_a_python_function_is_no_condition() -> None:
    with pytest.warns(match="map_elements"):
        expression = pl.col("arrives").map_elements(lambda x: x > 1, return_dtype=pl.Boolean)

    with pytest.raises(InvalidInput) as refused:
        check(TABLE.lazy(), flights(Condition.of("odd", expression)))

    assert refused.value.message == (
        "the condition 'odd' of the contract 'Flights' runs a Python function"
    )


def test_a_condition_on_a_column_that_is_missing_says_so() -> None:
    found = broken(TABLE.drop("arrives"), flights(LATER))

    assert found["arrives later"] == "there is no column 'arrives'"


def test_a_condition_that_these_rows_make_impossible_is_an_error() -> None:
    contract = Contract(
        name="c",
        fields=(Field("t", "string"),),
        conditions=(Condition(name="number", sql="CAST(t AS INT) > 1"),),
    )

    findings = check(pl.LazyFrame({"t": ["5", "five"]}), contract)

    (finding,) = [f for f in findings if f.metric == "condition"]
    assert finding.outcome == "error"
    assert finding.reason.startswith("cannot be computed: conversion from `str`")
    assert "five" in finding.reason  # Polars quotes the values
    assert finding.without_example.reason == "cannot be computed"


# --- references -----------------------------------------------------------------------------

AIRPORTS = pl.LazyFrame({"code": ["EWR", "JFK", None], "number": [1, 2, 3]})


def at(references: str) -> Contract:
    return one(Field("origin", "string", nullable=True, references=references))


def test_values_exist_in_another_table() -> None:
    table = pl.DataFrame({"origin": ["EWR", "LAX", None, "LGA"]})

    assert broken(table, at("airports.code"), Context(tables={"airports": AIRPORTS})) == {
        "origin in airports.code": "2 of 4 rows, first in row 2: 'LAX'"
    }


def test_categories_refer_to_texts() -> None:
    table = pl.DataFrame({"origin": pl.Series(["EWR", "LAX"], dtype=pl.Categorical)})

    assert broken(table, at("airports@3.code"), Context(tables={"airports@3": AIRPORTS})) == {
        "origin in airports@3.code": "1 of 2 rows, first in row 2: 'LAX'"
    }


def test_numbers_refer_to_numbers_of_another_type() -> None:
    contract = one(Field("n", "number", references="airports.number"))
    context = Context(tables={"airports": AIRPORTS})

    assert list(broken(pl.DataFrame({"n": [1.0, 2.5]}), contract, context)) == [
        "n in airports.number"
    ]


@pytest.mark.parametrize(
    ("references", "reason"),
    [
        ("stations.code", "the dataset 'stations' was not given to compare it with"),
        ("airports.name", "airports has no column 'name'"),
        ("airports.number", "airports.number is Int64, and this column String"),
    ],
)
def test_a_reference_that_cannot_be_followed_is_an_error(references: str, reason: str) -> None:
    context = Context(tables={"airports": AIRPORTS})

    findings = check(pl.LazyFrame({"origin": ["EWR"]}), at(references), context)

    (finding,) = [f for f in findings if f.metric == "unknown reference"]
    assert (finding.outcome, finding.reason) == ("error", reason)


def test_a_reference_names_a_dataset_and_a_column() -> None:
    with pytest.raises(InvalidInput) as refused:
        check(pl.LazyFrame({"origin": ["EWR"]}), at("airports"))

    assert str(refused.value) == (
        "expected a reference DATASET.COLUMN, got 'airports'\n"
        "  hint: for example stations.name, or stations@3.name"
    )


@pytest.mark.parametrize(
    ("contract", "wrong"),
    [
        (one(Field("a", "integer", pattern="x")), "'a' has the type integer and takes no pattern"),
        (one(Field("a", "string", pattern="(")),
         "the pattern of 'a' is no regular expression: missing ), unterminated subpattern"),
        (one(Field("a", "string", pattern="x", categories=("x",))),
         "'a' has both a list of categories and a pattern"),
        (one(Field("a", "string"), minimum_rows=3, maximum_rows=2),
         "it takes at least 3 rows and at most 2"),
        (one(Field("a", "datetime"), fresh_within_hours=1), "fresh_within_hours needs an event_time"),
        (one(Field("a", "datetime"), fresh_within_hours=0, event_time="a"), "fresh_within_hours is 0"),
        (one(Field("a", "string"), fresh_within_hours=1, event_time="a"),
         "its event_time 'a' is no field of type datetime"),
        (one(Field("a", "string"), conditions=(LATER, LATER)),
         "the condition 'arrives later' stands twice"),
    ],
)  # fmt: skip
def test_an_impossible_contract_is_refused(contract: Contract, wrong: str) -> None:
    with pytest.raises(InvalidInput) as refused:
        check(pl.LazyFrame({"a": ["x"]}), contract)

    assert refused.value.message == f"no row can keep the contract 'c': {wrong}"
