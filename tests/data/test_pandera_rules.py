"""A Pandera schema in a file says what the schema says; what it cannot say it names."""

import re
from typing import Any

import pandera.polars as pa
import polars as pl
import pytest

from cd4ml.data.contract import check
from cd4ml.data.contract_file import contract_from_toml, to_toml
from cd4ml.data.pandera_rules import in_own_words
from cd4ml.data.pandera_schema import pandera_contract
from cd4ml.records.contract import Condition, Contract, Field

NUMBERS = [None, -1, 0, 1, 2, 3, 5, 9]
TEXTS = [None, "", "N5", "N57", "xN5", "N5x", "xyz", "N5\n", "it's", "a.b"]


def own(checks: Any = None, type_: Any = pl.Int64, **said: Any) -> Contract:
    column = pa.Column(type_, checks, **{"nullable": True, **said})
    return in_own_words(pandera_contract(pa.DataFrameSchema({"a": column}), "s"))


def kept(values: list[Any], type_: Any, checks: Any) -> list[Any]:
    schema = pa.DataFrameSchema({"a": pa.Column(type_, checks, nullable=True)})
    contract = pandera_contract(schema, "s")
    return [value for value in values if _passes(value, type_, contract)]


def _passes(value: Any, type_: Any, contract: Contract) -> bool:
    frame = pl.LazyFrame({"a": [value]}, schema={"a": type_})
    return all(finding.outcome == "pass" for finding in check(frame, contract))


@pytest.mark.parametrize(
    "checks",
    [
        pa.Check.ge(1), pa.Check.gt(1), pa.Check.le(3), pa.Check.lt(3), pa.Check.eq(2),
        pa.Check.ne(2), pa.Check.in_range(1, 3), pa.Check.isin([1, 3]), pa.Check.notin([1, 3]),
        pa.Check.in_range(1, 3, include_min=False, include_max=False),
        [pa.Check.ge(0), pa.Check.ge(2), pa.Check.le(9), pa.Check.le(3)],
    ],
)  # fmt: skip
def test_checks_of_numbers_keep_the_same_rows(checks: Any) -> None:
    contract = own(checks)

    assert contract.unchecked == ()
    rows = [value for value in NUMBERS if _passes(value, pl.Int64, contract)]
    assert rows == kept(NUMBERS, pl.Int64, checks)
    assert rows != NUMBERS


@pytest.mark.parametrize(
    "checks",
    [
        pa.Check.isin(["N5", "it's"]), pa.Check.notin(["N5", "it's"]), pa.Check.eq("it's"),
        pa.Check.str_matches("N[0-9]"), pa.Check.str_matches("N[0-9]$"),
        pa.Check.str_matches("^N[0-9]$"), pa.Check.str_matches("N5|xyz"),
        pa.Check.str_matches(re.compile("N")), pa.Check.str_matches(r"a\.b"),
        pa.Check.str_contains("5"), pa.Check.str_startswith("N5"), pa.Check.str_endswith("5"),
        pa.Check.str_length(2, 3), pa.Check.str_length(3), pa.Check.str_length(max_value=2),
        [pa.Check.isin(["N5", "xyz"]), pa.Check.isin(["N5", "it's"])],
    ],
)  # fmt: skip
def test_checks_of_texts_keep_the_same_rows(checks: Any) -> None:
    contract = own(checks, pl.String)

    assert contract.unchecked == ()
    rows = [value for value in TEXTS if _passes(value, pl.String, contract)]
    assert rows == kept(TEXTS, pl.String, checks)
    assert rows != TEXTS


def test_what_a_field_can_say_stands_in_the_field() -> None:
    number = own([pa.Check.in_range(1, 9), pa.Check.gt(1)], unique=True, nullable=False)
    text = own([pa.Check.str_matches("N[0-9]{3}$")], pl.String)

    assert number.fields == (Field("a", "integer", minimum=1, maximum=9, unique=True),)
    assert number.conditions == (Condition(name="a > 1", sql='"a" > 1'),)
    assert text.fields == (Field("a", "string", nullable=True, pattern="N[0-9]{3}"),)


def test_what_a_contract_cannot_say_is_named() -> None:
    schema = pa.DataFrameSchema(
        {
            "a": pa.Column(pl.Int64, [pa.Check(lambda data: data, name="plausible"),
                                      pa.Check.ge(0, raise_warning=True)]),
            "b": pa.Column(pl.Datetime("us", "UTC"), pa.Check.unique_values_eq(["x"])),
            "c": pa.Column(pl.String, [pa.Check.isin(["x"]), pa.Check.str_matches("x")]),
            "d": pa.Column(pl.Int64, pa.Check.ge(0), required=False),
            "^e_.*$": pa.Column(pl.Int64, regex=True),
            "f": pa.Column(pl.List(pl.Int64)),
        },
        checks=pa.Check(lambda data: data, name="adds up"),
        unique=["a", "c"],
        strict=True,
    )  # fmt: skip

    contract = in_own_words(pandera_contract(schema, "s"))

    assert contract.unchecked == (
        "a: plausible",
        "a: greater_than_or_equal_to(0)",
        "b: unique_values_eq(['x'])",
        "c: str_matches('x')",
        "d is Int64, or is not there",
        "d: greater_than_or_equal_to(0)",
        "columns like ^e_.*$ are Int64",
        "f is List(Int64)",
        "adds up",
    )
    assert contract.unique == (("a", "c"),)
    assert contract.open  # the columns that it cannot declare are let through
    assert contract_from_toml(to_toml(contract), "s.toml") == contract
