"""Contracts that cd4ml.toml names: in Python, TOML or YAML, or Pandera's."""

from pathlib import Path

import pytest

from cd4ml.data.odcs_export import to_odcs
from cd4ml.data.pandera_schema import PanderaContract
from cd4ml.errors import ConfigurationError, ContractViolated
from cd4ml.loop import Project, open_project
from cd4ml.loop.check import contract_as
from cd4ml.loop.contracts import declared
from cd4ml.loop.ingest import ingest
from tests.loop.small.contracts import Flights
from tests.loop.world import ANN

TOML = """\
name = "flights"

[field.carrier]
type = "string"
categories = ["AA", "UA"]

[field.distance]
type = "number"
minimum = 0

[field.wind]
type = "number"
minimum = 0

[field.event_at]
type = "datetime"

[field.late]
type = "number"
minimum = 0
maximum = 1
"""

PANDERA = """\
import pandera.polars as pa
import polars as pl

Flights = pa.DataFrameSchema(
    {
        "carrier": pa.Column(pl.String, pa.Check.isin(["AA", "UA"])),
        "distance": pa.Column(pl.Float64, pa.Check.ge(0)),
        "wind": pa.Column(pl.Float64, pa.Check.ge(LIMIT)),
        "event_at": pa.Column(pl.Datetime("us", "UTC")),
        "late": pa.Column(pl.Float64),
    },
)
"""

KEY = "data.flights.contract"


def write(project: Project, name: str, text: str) -> None:
    path = project.folder / name
    path.parent.mkdir(exist_ok=True)
    path.write_text(text)


def declare(folder: Path, contract: str) -> None:
    path = folder / "cd4ml.toml"
    path.write_text(path.read_text().replace("contracts:Flights", contract))


def test_nothing_is_declared_by_nothing(project: Project) -> None:
    assert declared(project, "", key=KEY) is None


def test_the_same_contract_is_declared_in_three_ways(project: Project) -> None:
    write(project, "rules/flights.toml", TOML)
    write(project, "rules/flights.odcs.yaml", to_odcs(Flights))

    assert declared(project, "contracts:Flights", key=KEY) == Flights
    assert declared(project, "rules/flights.toml", key=KEY) == Flights
    assert declared(project, "rules/flights.odcs.yaml", key=KEY) == Flights
    assert declared(project, "rules/flights.odcs.yaml#flights", key=KEY) == Flights


def test_a_pandera_schema_is_a_contract_of_data(project: Project) -> None:
    write(project, "schemas.py", PANDERA.replace("LIMIT", "0"))

    contract = declared(project, "schemas:Flights", key=KEY)

    assert isinstance(contract, PanderaContract)
    assert contract.names == Flights.names


def test_a_pandera_schema_decides_what_comes_in(project: Project) -> None:
    write(project, "schemas.py", PANDERA.replace("LIMIT", "0"))
    declare(project.folder, "schemas:Flights")
    with open_project(project.folder) as changed:
        assert ingest(changed, "flights", actor=ANN).outcome == "pass"

        write(project, "schemas.py", PANDERA.replace("LIMIT", "1000"))
        with pytest.raises(ContractViolated, match=r"wind: greater_than_or_equal_to\(1000\)"):
            ingest(changed, "flights", actor=ANN)


def test_requests_are_no_business_of_pandera(project: Project) -> None:
    write(project, "schemas.py", PANDERA.replace("LIMIT", "0"))

    with pytest.raises(ConfigurationError) as refused:
        declared(project, "schemas:Flights", key="model.contract")

    assert str(refused.value) == (
        "cd4ml.toml: a request is checked by a Contract, got a Pandera schema"
        " - at `model.contract`\n"
        "  hint: declare its fields as Contract(name=..., fields=(...))"
    )


@pytest.mark.parametrize("name", ["no.toml", "no.yaml", "no.yml"])
def test_a_file_that_is_not_there_is_named(project: Project, name: str) -> None:
    with pytest.raises(ConfigurationError, match=rf"{name} cannot be read: No such file"):
        declared(project, name, key=KEY)


def test_other_names_are_answered_with_the_forms_there_are(project: Project) -> None:
    with pytest.raises(ConfigurationError) as refused:
        declared(project, "flights.json", key=KEY)

    assert refused.value.hint == (
        'module:Name, a .toml file, or a .yaml file: for example contract = "contracts:Flights"'
    )


def test_a_pandera_schema_is_written_with_every_check(project: Project) -> None:
    text = PANDERA.replace("LIMIT", "0").replace(
        "pa.Column(pl.Float64),", 'pa.Column(pl.Float64, pa.Check(lambda d: d, name="odd")),'
    )
    write(project, "schemas.py", text)

    written = contract_as(project, "schemas:Flights")

    assert 'unchecked = ["late: odd"]' in written
    assert '[field.wind]\ntype = "number"\nminimum = 0\n' in written
