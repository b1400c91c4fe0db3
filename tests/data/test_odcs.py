"""Contracts of the Open Data Contract Standard: read, written, and the same when they come back."""

import json
import sys
from importlib.resources import files
from pathlib import Path

import jsonschema
import polars as pl
import pytest
import yaml
from hypothesis import given, settings
from open_data_contract_standard.model import OpenDataContractStandard

from cd4ml.data.contract import check
from cd4ml.data.odcs import contract_from_odcs, read_odcs
from cd4ml.data.odcs_export import to_odcs
from cd4ml.errors import ConfigurationError
from cd4ml.records.contract import Condition, Contract, Field
from tests.data.test_contract_file import contracts, contracts_that_say_everything

SCHEMA = json.loads(files("open_data_contract_standard").joinpath("schema.json").read_text())

FLIGHTS = Contract(
    name="flights",
    version="2.1.0",
    description="one row a flight",
    fields=(
        Field("flight", "integer", minimum=1),
        Field("carrier", "string", categories=("AA", "UA"), description="IATA code"),
        Field("origin", "string", references="airports.code"),
        Field("tail", "string", nullable=True, pattern="N[0-9]+", unique=True),
        Field("gate", "string", nullable=True, categories=("A1",), open=True),
        Field("distance", "number", minimum=0.5, maximum=6000, unit="miles", finite=False),
        Field("is_late", "boolean"),
        Field("departs_at", "datetime"),
        Field("arrives_at", "datetime"),
    ),
    key=("flight", "departs_at"),
    unique=(("tail", "arrives_at"),),
    event_time="departs_at",
    fresh_within_hours=48,
    minimum_rows=10,
    maximum_rows=1000,
    conditions=(
        Condition(name="lands later", sql="arrives_at > departs_at", description="no time travel"),
        Condition(name="short on average", sql="AVG(distance) < 3000"),
        Condition.of("far", pl.col("distance") > 0),
    ),
    output=Field("p_late", "number", minimum=0, maximum=1),
    unchecked=("99 % are plausible",),
)

FOREIGN = """\
apiVersion: v3.1.0
kind: DataContract
id: 53581432-6c55-4ba2-a65f-72344a91553a
name: seller payments
version: 1.1.0
status: active
dataProduct: payments
tenant: clouds
price: {priceAmount: 9.95, priceCurrency: USD, priceUnit: megabyte}
team: {name: sellers}
description: {purpose: What sellers were paid.}
schema:
  - name: payments
    physicalType: table
    properties:
      - name: ref_date
        physicalName: reference_date
        logicalType: date
        required: true
        logicalTypeOptions: {minimum: "2020-01-01"}
      - name: account
        physicalType: varchar(18)
        primaryKey: true
        primaryKeyPosition: 1
        required: true
        logicalType: string
        logicalTypeOptions: {minLength: 2, maxLength: 4, pattern: "^A[0-9]*$"}
      - name: amount
        logicalType: number
        logicalTypeOptions: {exclusiveMinimum: 0, multipleOf: 0.5}
        quality:
          - {metric: nullValues, mustBe: 0}
          - {metric: nullValues, mustBeLessThan: 5, unit: percent, name: few nulls}
          - {type: text, description: should be plausible}
          - {type: custom, engine: soda, implementation: "avg > 3", name: soda average}
      - name: currency
        logicalType: string
        quality:
          - metric: invalidValues
            arguments: {validValues: [EUR, USD]}
            mustBe: 0
      - name: level
        logicalType: integer
        enum: [{value: 1}, {value: 2}]
      - name: legs
        logicalType: array
    quality:
      - {metric: rowCount, mustBeBetween: [1, 100]}
      - {metric: duplicateValues, arguments: {properties: [account, amount]}, mustBe: 0}
      - {type: sql, query: "SELECT COUNT(*) FROM ${object} WHERE amount < 0", mustBe: 0, name: no debts}
slaProperties:
  - {property: freshness, value: 2, unit: d, element: payments.reference_date}
  - {property: retention, value: 3, unit: y}
customProperties: [{property: dataDomain, value: sales}]
"""


def test_a_contract_comes_back_as_it_was() -> None:
    text = to_odcs(FLIGHTS)

    back = contract_from_odcs(text, "flights.odcs.yaml")

    assert back.contract == FLIGHTS
    assert back.left_out == ()


def test_strange_line_breaks_come_back() -> None:
    contract = Contract(name="a\x85b", description="é\u2028", fields=(Field("c", "integer"),))

    assert contract_from_odcs(to_odcs(contract), "a.yaml").contract == contract


def test_what_is_written_is_valid_in_the_standard() -> None:
    document = yaml.safe_load(to_odcs(FLIGHTS))

    jsonschema.validate(document, SCHEMA)
    OpenDataContractStandard(**document)
    assert document["apiVersion"] == "v3.1.0"
    carrier = document["schema"][0]["properties"][1]
    assert carrier == {
        "name": "carrier",
        "logicalType": "string",
        "description": "IATA code",
        "required": True,
        "quality": [
            {"type": "library", "metric": "invalidValues",
             "arguments": {"validValues": ["AA", "UA"]}, "mustBe": 0}
        ],
    }  # fmt: skip
    queries = [rule.get("query") for rule in document["schema"][0]["quality"]]
    assert "SELECT COUNT(*) FROM ${object} WHERE NOT (arrives_at > departs_at)" in queries
    assert "SELECT AVG(distance) < 3000 FROM ${object}" in queries


@given(contract=contracts())
@settings(max_examples=25, deadline=None)
def test_every_contract_comes_back(contract: Contract) -> None:
    text = to_odcs(contract)

    back = contract_from_odcs(text, "c.yaml").contract

    assert back == contract


@pytest.mark.parametrize("contract", contracts_that_say_everything())
def test_nothing_that_a_contract_says_is_forgotten(contract: Contract) -> None:
    assert contract_from_odcs(to_odcs(contract), "c.yaml").contract == contract


def test_a_contract_of_somebody_else_is_understood() -> None:
    jsonschema.validate(yaml.safe_load(FOREIGN), SCHEMA)

    contract, left_out = contract_from_odcs(FOREIGN, "payments.yaml")

    assert contract == Contract(
        name="payments",
        version="1.1.0",
        description="What sellers were paid.",
        fields=(
            Field("reference_date", "datetime"),
            Field("account", "string", pattern="A[0-9]*"),
            Field("amount", "number"),
            Field("currency", "string", nullable=True, categories=("EUR", "USD")),
            Field("level", "integer", nullable=True),
        ),
        key=("account",),
        unique=(("account", "amount"),),
        event_time="reference_date",
        minimum_rows=1,
        maximum_rows=100,
        fresh_within_hours=48,
        conditions=(
            Condition(name="account at least 2 characters", sql='CHAR_LENGTH("account") >= 2'),
            Condition(name="account at most 4 characters", sql='CHAR_LENGTH("account") <= 4'),
            Condition(name="amount above 0", sql='"amount" > 0'),
            Condition(name="amount a multiple of 0.5", sql='"amount" % 0.5 = 0'),
            Condition(name="level in 1, 2", sql='"level" IN (1, 2)'),
        ),
        open=True,
        unchecked=(
            "legs is array",
            "reference_date: minimum 2020-01-01",
            "amount: few nulls mustBeLessThan 5",
            "amount: soda average",
            "no debts mustBe 0",
        ),
    )
    assert left_out == ("tenant", "dataProduct", "price", "team")


def test_a_promise_that_cannot_be_measured_is_not_forgotten() -> None:
    text = FOREIGN.replace("element: payments.reference_date", "element: payments.account")

    contract = contract_from_odcs(text, "payments.yaml").contract

    assert contract.fresh_within_hours is None
    assert contract.unchecked[-1] == "freshness 2 d of account"


@pytest.mark.parametrize(
    ("physical", "type_"),
    [("VARCHAR(18)", "string"), ("bigint", "integer"), ("decimal(10, 2)", "number"),
     ("BOOLEAN", "boolean"), ("timestamp_tz", "datetime")],
)  # fmt: skip
def test_without_a_logical_type_the_physical_one_counts(physical: str, type_: str) -> None:
    text = FOREIGN.replace("logicalType: array", f"physicalType: {physical}")

    contract = contract_from_odcs(text, "payments.yaml").contract

    assert contract.fields[-1] == Field("legs", type_, nullable=True)  # type: ignore[arg-type]
    assert not contract.open


def test_its_rules_are_asked_of_a_table() -> None:
    contract = contract_from_odcs(FOREIGN, "payments.yaml").contract
    table = pl.DataFrame(
        {"reference_date": ["2020-01-01", "2020-01-01"], "account": ["A1", "A12345"],
         "amount": [0.0, 0.75], "currency": ["EUR", None], "level": [3, 1], "legs": [[1], [2]]}
    ).with_columns(pl.col("reference_date").str.to_date())  # fmt: skip

    found = {f.gate: f.reason for f in check(table.lazy(), contract) if f.outcome == "fail"}

    assert found == {
        "account at most 4 characters": "1 of 2 rows, first in row 2: 'A12345'",
        "amount above 0": "1 of 2 rows, first in row 1: 0.0",
        "amount a multiple of 0.5": "1 of 2 rows, first in row 2: 0.75",
        "level in 1, 2": "1 of 2 rows, first in row 1: 3",
    }


@pytest.mark.parametrize(
    ("limit", "rows"),
    [
        ("mustBe: 5", (5, 5)),
        ("mustBeGreaterThan: 5", (6, None)),
        ("mustBeGreaterOrEqualTo: 5", (5, None)),
        ("mustBeLessThan: 5", (0, 4)),
        ("mustBeLessOrEqualTo: 5", (0, 5)),
        ("mustBeBetween: [5, 9]", (5, 9)),
    ],
)
def test_numbers_of_rows_are_limits(limit: str, rows: tuple[int, int | None]) -> None:
    text = FOREIGN.replace("mustBeBetween: [1, 100]", limit)

    contract = contract_from_odcs(text, "payments.yaml").contract

    assert (contract.minimum_rows, contract.maximum_rows) == rows


@pytest.mark.parametrize(
    ("pattern", "kept", "broken"),
    [("^A[0-9]*$", "A12", "xA12"), ("B", "ABC", "AC"), ("^A|Z$", "xZ", "xZx"), ("^A", "Abc", "bA")],
)
def test_a_pattern_is_looked_for_as_the_standard_says(pattern: str, kept: str, broken: str) -> None:
    text = FOREIGN.replace("^A[0-9]*$", pattern).replace("minLength: 2, maxLength: 4, ", "")
    field = contract_from_odcs(text, "payments.yaml").contract.fields[1]
    contract = Contract(name="c", fields=(field,))

    findings = check(pl.LazyFrame({"account": [kept, broken]}), contract)

    (finding,) = [f for f in findings if f.outcome == "fail"]
    assert finding.value == 1.0
    assert finding.reason.endswith(f"first in row 2: {broken!r}")


@pytest.mark.parametrize(
    ("old", "new", "message"),
    [
        ("name: payments", "nam: payments", "expected one table, got 0"),
        ("version: 1.1.0", "version: 1.1", "input should be a valid string - at `version`"),
        ("kind: DataContract", "kinds: DataContract",
         "extra inputs are not permitted - at `kinds`"),
        ("schema:", "schema: [", "it is no YAML: expected the node content, but found '-'"),
    ],
)  # fmt: skip
def test_a_mistake_is_named_with_file_and_place(
    tmp_path: Path, old: str, new: str, message: str
) -> None:
    path = tmp_path / "payments.yaml"
    path.write_text(FOREIGN.replace(old, new, 1))
    if old == "name: payments":
        path.write_text("kind: DataContract\n")

    with pytest.raises(ConfigurationError) as refused:
        read_odcs(path)

    assert refused.value.message.startswith(f"{path}: {message}")


def test_without_the_package_the_extra_is_named(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "open_data_contract_standard", None)

    with pytest.raises(ConfigurationError) as refused:
        contract_from_odcs(FOREIGN, "payments.yaml")

    assert str(refused.value) == (
        "contracts of the Open Data Contract Standard need open-data-contract-standard\n"
        "  hint: pip install 'cd4ml[odcs]'"
    )


def test_what_is_no_document_is_refused() -> None:
    with pytest.raises(ConfigurationError) as refused:
        contract_from_odcs("- 1\n", "a.yaml")

    assert refused.value.message == "a.yaml: expected keys and values, as a data contract has them"


def test_one_of_several_tables_is_chosen(tmp_path: Path) -> None:
    document = yaml.safe_load(to_odcs(FLIGHTS))
    other = {"name": "b", "properties": [{"name": "x", "logicalType": "integer"}]}
    document["schema"].append(other)
    path = tmp_path / "two.yaml"
    path.write_text(yaml.safe_dump(document))

    assert read_odcs(tmp_path / "two.yaml#b").fields == (Field("x", "integer", nullable=True),)
    with pytest.raises(ConfigurationError) as refused:
        read_odcs(path)
    assert str(refused.value) == (
        f"{path}: expected one table, got 2\n  hint: it has: flights, b; choose one: {path}#flights"
    )
    with pytest.raises(ConfigurationError, match="it has no table 'c'"):
        read_odcs(tmp_path / "two.yaml#c")
