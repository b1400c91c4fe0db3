"""Pandera schemas are contracts as they are, and their checks of values always run."""

import sys
from pathlib import Path
from typing import Annotated

import pandera.polars as pa
import polars as pl
import pytest
from pandera.config import ValidationDepth, config_context

from cd4ml.data.contract import check, refuse_unless_kept
from cd4ml.data.formats import reading_of
from cd4ml.data.pandera_schema import PanderaContract, is_pandera, pandera_contract
from cd4ml.data.sift import sift
from cd4ml.data.written import check_files, sift_files
from cd4ml.errors import ConfigurationError, ContractViolated
from cd4ml.records.contract import Contract, Field
from cd4ml.store.address import address_of_record
from tests.data.tables import file

SCHEMA = pa.DataFrameSchema(
    {
        "flight": pa.Column(pl.Int64, pa.Check.ge(1), unique=True),
        "carrier": pa.Column(pl.String, pa.Check.isin(["AA", "UA"]), nullable=True),
        "hour": pa.Column(pl.Float64, pa.Check.in_range(0, 23)),
        "late": pa.Column(
            pl.Float64,
            pa.Check(lambda data: data.lazyframe.select(pl.col(data.key) < 1000), name="plausible"),
        ),
    },
    checks=pa.Check(
        lambda data: data.lazyframe.select(pl.col("late") >= pl.col("hour")),
        name="late at least hour",
    ),
    strict=True,
    name="Flights",
)
GOOD = pl.DataFrame(
    {"flight": [1, 2, 3, 4], "carrier": ["AA", "UA", None, "AA"],
     "hour": [1.0, 2.0, 3.0, 4.0], "late": [9.0, 9.0, 9.0, 9.0]}
)  # fmt: skip


class Flights(pa.DataFrameModel):
    """The same, as people write it with classes."""

    flight: int = pa.Field(ge=1)
    at: Annotated[pl.Datetime, "us", "UTC"] = pa.Field(nullable=True)


def of(schema: object = SCHEMA) -> PanderaContract:
    return pandera_contract(schema, "Flights")


def bad() -> pl.DataFrame:
    return GOOD.with_columns(
        flight=pl.Series([0, 2, 2, 4]), carrier=pl.Series(["AA", "??", None, "AA"])
    )


def broken(table: pl.DataFrame, schema: object = SCHEMA) -> dict[str, str]:
    findings = check(table.lazy(), of(schema))
    return {f.gate: f.reason for f in findings if f.outcome != "pass"}


def test_a_lazy_frame_does_not_silently_skip_the_checks_of_values() -> None:
    """The trap: Pandera itself lets these rows through when they come lazily."""
    with config_context(validation_depth=None):
        SCHEMA.validate(bad().lazy()).collect()  # no error

    assert "flight: greater_than_or_equal_to(1)" in broken(bad())


@pytest.mark.parametrize("depth", [ValidationDepth.SCHEMA_ONLY, ValidationDepth.DATA_ONLY])
def test_the_depth_that_somebody_else_has_set_changes_nothing(depth: ValidationDepth) -> None:
    with config_context(validation_enabled=False, validation_depth=depth):
        assert "flight: greater_than_or_equal_to(1)" in broken(bad())
        assert "hour is there" in broken(bad().drop("hour"))


def test_rows_that_keep_the_schema_pass_every_check() -> None:
    findings = check(GOOD.lazy(), of())

    assert {finding.outcome for finding in findings} == {"pass"}
    assert [finding.gate for finding in findings] == [
        "flight is Int64",
        "flight is never null",
        "flight unique",
        "flight: greater_than_or_equal_to(1)",
        "carrier is String",
        "carrier: isin(['AA', 'UA'])",
        "hour is Float64",
        "hour is never null",
        "hour: in_range(0, 23)",
        "late is Float64",
        "late is never null",
        "late: plausible",
        "late at least hour",
    ]


def test_each_broken_check_is_a_finding_with_its_rows() -> None:
    table = bad().with_columns(late=pl.Series([9.0, 9.0, 9.0, 1.0]))

    assert broken(table) == {
        "flight unique": "2 of 4 rows, first in row 2: 2",
        "flight: greater_than_or_equal_to(1)": "1 of 4 rows, first in row 1: 0",
        "carrier: isin(['AA', 'UA'])": "1 of 4 rows, first in row 2: ??",
        "late at least hour":
            '1 of 4 rows, first in row 4: {"flight":4,"carrier":"AA","hour":4.0,"late":1.0}',
    }  # fmt: skip


def test_values_can_be_left_out_and_what_is_said_of_columns_stays() -> None:
    table = bad().with_columns(extra=1)

    told = {f.gate: f.without_example.reason for f in check(table.lazy(), of())}

    assert told["carrier: isin(['AA', 'UA'])"] == "1 of 4 rows, first in row 2"
    assert told["extra is not there"] == "it is unknown"


def test_columns_are_asked_too() -> None:
    table = GOOD.drop("late").with_columns(extra=1, flight=pl.col("flight").cast(pl.String))

    found = broken(table)

    assert found["late is there"] == "there is no such column"
    assert found["extra is not there"] == "it is unknown"
    assert found["flight is Int64"] == "its type is String"


def test_a_check_that_cannot_be_computed_is_an_error() -> None:
    findings = check(GOOD.drop("late").lazy(), of())

    (finding,) = [f for f in findings if f.gate == "late at least hour"]
    assert (finding.outcome, finding.value) == ("error", None)
    assert finding.reason.startswith("ColumnNotFoundError(")
    assert finding.without_example.reason == "not shown"  # an exception's text may quote values


def test_bad_rows_are_set_aside_with_every_check_they_broke() -> None:
    found = sift(bad(), of())

    assert found.bad.select("broken_row", "broken_rules").rows() == [
        (1, ["flight: greater_than_or_equal_to(1)"]),
        (2, ["flight unique", "carrier: isin(['AA', 'UA'])"]),
        (3, ["flight unique"]),
    ]
    assert found.good.collect().equals(bad()[[3]])


def test_rows_that_break_it_are_refused() -> None:
    with pytest.raises(ContractViolated) as refused:
        refuse_unless_kept("x.csv", of(), check(bad().lazy(), of()))

    assert refused.value.message.startswith(
        "x.csv breaks 3 of 13 rules of the contract Flights 1.0.0\n  - flight unique: 2 of 4 rows"
    )


def test_what_the_schema_says_of_a_column_is_its_field() -> None:
    contract = of()

    assert isinstance(contract, Contract)
    assert (contract.name, contract.open) == ("Flights", False)
    assert contract.fields == (
        Field("flight", "integer", minimum=1, unique=True),
        Field("carrier", "string", nullable=True, categories=("AA", "UA")),
        Field("hour", "number", minimum=0, maximum=23),
        Field("late", "number"),
    )


def test_a_model_class_is_accepted_and_tells_how_times_are_read(tmp_path: Path) -> None:
    contract = of(Flights)
    path = file(tmp_path, "a.csv", "flight,at\n1,2013-01-01T05:00:00Z\n0,NA\n")

    found = sift_files([path], reading_of([path], contract), contract)

    assert [field.type for field in contract.fields] == ["integer", "datetime"]
    assert contract.open
    assert found.bad["broken_row"].to_list() == [2]


def test_text_that_is_of_no_type_is_told_first_and_cannot_be_set_aside(tmp_path: Path) -> None:
    contract = of(Flights)
    path = file(tmp_path, "a.csv", "flight,at\nseven,2013-01-01\n0,01.01.2013\n")
    reading = reading_of([path], contract)

    findings = check_files([path], reading, contract)
    found = sift_files([path], reading, contract)

    assert {f.gate: f.reason for f in findings} == {
        "flight is integer": "1 of 2 rows, first in row 1: 'seven'",
        "at is datetime": "1 of 2 rows, first in row 2: '01.01.2013'",
    }
    assert found.findings == findings
    assert found.bad.is_empty()


def test_another_check_is_another_contract() -> None:
    def schema(limit: int) -> pa.DataFrameSchema:
        return pa.DataFrameSchema({"a": pa.Column(pl.Int64, pa.Check.ge(limit))})

    def custom(check: object) -> pa.DataFrameSchema:
        return pa.DataFrameSchema({"a": pa.Column(pl.Int64, pa.Check(check))})

    addresses = {
        address_of_record(of(schema(1))),
        address_of_record(of(schema(2))),
        address_of_record(of(custom(lambda data: data.lazyframe.select(pl.col("a") > 1)))),
        address_of_record(of(custom(lambda data: data.lazyframe.select(pl.col("a") > 2)))),
    }

    assert len(addresses) == 4
    assert address_of_record(of(schema(1))) in addresses


def test_only_schemas_of_pandera_are_taken_for_some() -> None:
    assert is_pandera(SCHEMA)
    assert is_pandera(Flights)
    assert not is_pandera(Contract(name="c", fields=()))
    assert not is_pandera(Contract)
    assert not is_pandera(None)


def test_without_pandera_for_polars_the_extra_is_named(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "pandera.polars", None)

    with pytest.raises(ConfigurationError) as refused:
        pandera_contract(SCHEMA, "Flights")

    assert str(refused.value) == (
        "Pandera's schemas for Polars need pandera[polars]\n  hint: pip install 'cd4ml[pandera]'"
    )


def test_a_schema_for_other_tables_is_refused() -> None:
    class DataFrameSchema:
        """Pandera's for pandas, which need not be installed."""

    with pytest.raises(ConfigurationError) as refused:
        pandera_contract(DataFrameSchema(), "contracts:Flights")

    assert str(refused.value) == (
        "contracts:Flights is a Pandera schema for other tables than those of Polars\n"
        "  hint: import pandera.polars as pa, and declare it with that"
    )
