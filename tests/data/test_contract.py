"""Contracts on tables: every planted fault is found, by rule, column and row."""

import numpy as np
import polars as pl
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from cd4ml.data.contract import check, refuse_unless_kept
from cd4ml.errors import ContractViolated, InvalidInput
from cd4ml.records.contract import Contract, Field
from tests.data.tables import FLIGHTS, flights


def broken(table: pl.DataFrame, contract: Contract = FLIGHTS) -> dict[str, str]:
    """What is asked -> why not, for each broken rule."""
    return {f.gate: f.reason for f in check(table.lazy(), contract) if f.outcome != "pass"}


def test_rows_that_keep_their_contract_pass_every_rule() -> None:
    findings = check(flights().lazy(), FLIGHTS)

    assert {finding.outcome for finding in findings} == {"pass"}
    assert [finding.gate for finding in findings] == [
        "flight is integer",
        "flight is never null",
        "flight at least 1",
        "carrier is string",
        "carrier is never null",
        "carrier is one of AA, UA",
        "hour is number",
        "hour is finite",
        "hour at least 0",
        "hour at most 23",
        "is_late is boolean",
        "is_late is never null",
        "left_at is datetime",
        "left_at is never null",
        "flight unique",
        "at least 2 rows",
    ]


def test_a_finding_counts_the_rows_of_one_column() -> None:
    findings = check(flights(hour=[24.0, 25.0, -1.0]).lazy(), FLIGHTS)

    (above,) = [f for f in findings if f.metric == "above maximum"]
    assert (above.slice, above.value, above.limit, above.n_rows) == ("hour", 2.0, 0.0, 3)
    assert above.reason == "2 of 3 rows, first in row 1: 24.0"


@pytest.mark.parametrize(
    ("table", "expected"),
    [
        (flights().drop("hour"), {"hour is there": "there is no such column"}),
        (flights(extra=[1, 2, 3]), {"extra is not there": "the contract does not know it"}),
        (flights(hour=["5", "6", "7"]), {"hour is number": "its type is String"}),
        (flights(flight=[1.0, 2.0, 3.0]), {"flight is integer": "its type is Float64"}),
        (flights(flight=[1, None, 3]),
         {"flight is never null": "1 of 3 rows, first in row 2: None"}),
        (flights(flight=[1, 3, 3]), {"flight unique": "1 of 3 rows, first in row 3: 3"}),
        (flights(flight=[0, 1, 2]), {"flight at least 1": "1 of 3 rows, first in row 1: 0"}),
        (flights(carrier=["AA", "aa", "UA"]),
         {"carrier is one of AA, UA": "1 of 3 rows, first in row 2: 'aa'"}),
        (flights(hour=[1.0, float("nan"), None]),
         {"hour is finite": "1 of 3 rows, first in row 2: nan"}),
        (flights(hour=[1.0, float("inf"), None]),
         {"hour is finite": "1 of 3 rows, first in row 2: inf",
          "hour at most 23": "1 of 3 rows, first in row 2: inf"}),
        (flights()[:1], {"at least 2 rows": "there are 1"}),
        (flights()[:0], {"at least 2 rows": "there are 0"}),
        (flights().drop("hour")[:0],
         {"hour is there": "there is no such column", "at least 2 rows": "there are 0"}),
        (flights().drop("flight"),
         {"flight is there": "there is no such column",
          "flight unique": "there is no column 'flight'"}),
    ],
)  # fmt: skip
def test_a_broken_rule_is_named_with_its_reason(
    table: pl.DataFrame, expected: dict[str, str]
) -> None:
    assert broken(table) == expected


@pytest.mark.parametrize(
    "table",
    [
        flights(carrier=pl.Series("carrier", ["AA", "UA", "UA"], dtype=pl.Categorical)),
        flights(flight=pl.Series("flight", [1, 2, 3], dtype=pl.UInt8)),
        flights(hour=pl.Series("hour", [1, 2, 3], dtype=pl.Int32)),
        flights().with_columns(pl.col("left_at").dt.date()),
    ],
)
def test_narrower_types_are_the_declared_ones(table: pl.DataFrame) -> None:
    assert broken(table) == {}


def test_open_categories_accept_others() -> None:
    contract = Contract(name="c", fields=(Field("k", "string", categories=("a",), open=True),))

    assert broken(pl.DataFrame({"k": ["a", "z"]}), contract) == {}


def test_several_columns_may_be_the_key_together() -> None:
    contract = Contract(
        name="c", fields=(Field("a", "integer"), Field("b", "integer")), key=("a", "b")
    )

    assert broken(pl.DataFrame({"a": [1, 1, 2], "b": [1, 2, 1]}), contract) == {}
    assert broken(pl.DataFrame({"a": [1, 1, 1], "b": [1, 2, 1]}), contract) == {
        "a, b unique": "1 of 3 rows, first in row 3: a=1, b=1"
    }


def test_a_contract_that_no_row_can_keep_is_refused() -> None:
    with pytest.raises(InvalidInput):
        check(flights().lazy(), Contract(name="c", fields=(Field("a", "integer"),) * 2))


@given(data=st.data())
@settings(max_examples=30, deadline=None)
def test_every_planted_fault_is_counted(data: st.DataObject) -> None:
    n = 200
    faults = {
        name: data.draw(st.sets(st.integers(0, n - 1), max_size=40))
        for name in ("null", "below", "above", "category", "nan")
    }
    x = np.full(n, 5.0)
    x[list(faults["below"])] = -1.0
    x[list(faults["above"])] = 99.0
    table = pl.DataFrame(
        {"x": x, "y": np.where(np.isin(np.arange(n), list(faults["nan"])), np.nan, 1.0),
         "n": [None if i in faults["null"] else i for i in range(n)],
         "k": ["?" if i in faults["category"] else "a" for i in range(n)]},
        schema_overrides={"n": pl.Int64},
    )  # fmt: skip
    contract = Contract(
        name="c",
        fields=(
            Field("x", "number", minimum=0, maximum=10),
            Field("y", "number"),
            Field("n", "integer"),
            Field("k", "string", categories=("a",)),
        ),
    )

    counts = {f.metric: f.value for f in check(table.lazy(), contract) if f.slice in "xynk"}

    assert counts["below minimum"] == len(faults["below"] - faults["above"])
    assert counts["above maximum"] == len(faults["above"])
    assert sum(f.value or 0 for f in check(table.lazy(), contract) if f.metric == "nulls") == len(
        faults["null"]
    )
    assert counts["unknown category"] == len(faults["category"])
    finite = [f for f in check(table.lazy(), contract) if f.gate == "y is finite"]
    assert finite[0].value == len(faults["nan"])


def test_the_refusal_lists_the_worst_first() -> None:
    table = flights(flight=[0, None, 3], hour=[99.0, 98.0, 1.0], carrier=["??", "??", "??"])

    with pytest.raises(ContractViolated) as caught:
        refuse_unless_kept("flights.csv", FLIGHTS, check(table.lazy(), FLIGHTS))

    assert str(caught.value) == (
        "flights.csv breaks 4 of 16 rules of the contract Flights 1.2.0\n"
        "  - carrier is one of AA, UA: 3 of 3 rows, first in row 1: '??'\n"
        "  - hour at most 23: 2 of 3 rows, first in row 1: 99.0\n"
        "  - flight is never null: 1 of 3 rows, first in row 2: None\n"
        "  - flight at least 1: 1 of 3 rows, first in row 1: 0\n"
        "  hint: correct the rows; or change the contract, as a new version"
    )


def test_the_refusal_lists_ten_at_most() -> None:
    contract = Contract(name="c", fields=tuple(Field(f"f{i}", "integer") for i in range(13)))

    with pytest.raises(ContractViolated) as caught:
        refuse_unless_kept("x", contract, check(pl.LazyFrame({"f0": [1]}), contract))

    assert caught.value.message.splitlines()[-1] == "  ... and 2 more"
    assert len(caught.value.message.splitlines()) == 12
