"""Data is looked at without being stored; contracts are suggested and written."""

from collections.abc import Iterator

import polars as pl
import pytest

from cd4ml.data.contract_file import contract_from_toml
from cd4ml.data.odcs import contract_from_odcs
from cd4ml.data.odcs_export import to_odcs
from cd4ml.errors import InvalidInput, NotFound
from cd4ml.loop import Project, open_project
from cd4ml.loop.check import check_dataset, contract_as, suggest_contract
from cd4ml.loop.ingest import ingest
from tests.loop.small.contracts import Flights
from tests.loop.test_ingest import traces
from tests.loop.world import ANN


def declare(project: Project, contract: str) -> None:
    settings = project.folder / "cd4ml.toml"
    settings.write_text(settings.read_text().replace("contracts:Flights", contract))


def test_present_files_are_checked_and_nothing_is_stored(project: Project) -> None:
    before = traces(project)

    checked = check_dataset(project, "flights")

    assert (checked.what, checked.contract) == ("data/flights.csv", "flights 1.0.0")
    assert (checked.outcome, checked.n_rows) == ("pass", 600)
    assert traces(project) == before


def test_all_that_is_broken_is_told_at_once(project: Project) -> None:
    path = project.folder / "data" / "flights.csv"
    with path.open("a") as file:
        file.write("ZZ,far,-1,soon,0\n")

    checked = check_dataset(project, "flights")

    assert checked.outcome == "fail"
    assert {f.gate: f.reason for f in checked.findings if f.outcome != "pass"} == {
        "carrier is one of AA, UA": "1 of 601 rows, first in row 601: 'ZZ'",
        "distance is number": "1 of 601 rows, first in row 601: 'far'",
        "wind at least 0": "1 of 601 rows, first in row 601: -1.0",
        "event_at is datetime": "1 of 601 rows, first in row 601: 'soon'",
    }


def test_a_version_is_checked_against_the_contract_of_now(project: Project) -> None:
    declare(project, "")
    with open_project(project.folder) as without:
        ingest(without, "flights", actor=ANN)
    (project.folder / "data" / "flights.csv").unlink()

    with open_project(project.folder) as still, pytest.raises(InvalidInput) as refused:
        check_dataset(still, "flights@1")
    settings = project.folder / "cd4ml.toml"
    settings.write_text(
        settings.read_text().replace('contract = ""', 'contract = "contracts:Flights"')
    )

    assert str(refused.value) == (
        "the dataset 'flights' has no contract\n"
        "  hint: cd4ml data suggest flights > flights.toml writes one"
    )
    with open_project(project.folder) as again:
        checked = check_dataset(again, "flights@1")
    assert (checked.what, checked.outcome) == ("flights@1", "pass")  # its times were text


def test_a_version_that_is_not_there_is_named(project: Project) -> None:
    with pytest.raises(NotFound):
        check_dataset(project, "flights@7")


def test_what_is_suggested_is_kept_by_the_version_it_comes_from(project: Project) -> None:
    declare(project, "")
    with open_project(project.folder) as without:
        version = ingest(without, "flights", actor=ANN)
        text = suggest_contract(without, "flights")
        odcs = suggest_contract(without, "flights@1", form="odcs")
    (project.folder / "suggested.toml").write_text(text)
    settings = project.folder / "cd4ml.toml"
    settings.write_text(
        settings.read_text().replace('contract = ""', 'contract = "suggested.toml"')
    )

    with open_project(project.folder) as again:
        assert check_dataset(again, version.ref).outcome == "pass"
        assert check_dataset(again, "flights").outcome == "pass"
        assert ingest(again, "flights", actor=ANN).outcome == "pass"

    contract = contract_from_toml(text, "suggested.toml")
    assert [field.type for field in contract.fields] == [
        "string", "number", "number", "datetime", "number",
    ]  # fmt: skip
    assert contract.event_time == "event_at"
    assert contract_from_odcs(odcs, "x.yaml").contract == contract
    assert text.startswith("# Suggested from 600 rows of flights@1; review every line.\n")


def test_a_contract_is_written_in_either_form(project: Project) -> None:
    toml = contract_as(project, "flights")
    odcs = contract_as(project, "contracts:Flights", form="odcs")
    (project.folder / "x.yaml").write_text(
        odcs.replace("status: active", "status: active\ntenant: we")
    )

    imported = contract_as(project, "x.yaml")

    assert contract_from_toml(toml, "x.toml") == Flights
    assert imported.startswith("# From x.yaml, without: tenant\nname =")
    assert contract_from_toml(imported, "x.toml") == Flights


def test_what_has_no_contract_cannot_be_written(project: Project) -> None:
    with pytest.raises(InvalidInput, match="the dataset 'labelled' has no contract"):
        contract_as(project, "labelled")


def test_rows_from_production_are_checked_in_their_newest_version(project: Project) -> None:
    settings = project.folder / "cd4ml.toml"
    more = 'source = "production"\ncontract = "contracts:Flights"'
    settings.write_text(settings.read_text().replace('source = "production"', more))

    with open_project(project.folder) as changed, pytest.raises(NotFound) as refused:
        check_dataset(changed, "labelled")

    assert refused.value.message.startswith("no dataset 'labelled'")


def test_parquet_is_checked_as_it_is(project: Project) -> None:
    path = project.folder / "data" / "flights.csv"
    pl.read_csv(path, try_parse_dates=True).write_parquet(path.with_suffix(".parquet"))
    settings = project.folder / "cd4ml.toml"
    settings.write_text(settings.read_text().replace("flights.csv", "flights.parquet"))
    (project.folder / "flights.yaml").write_text(to_odcs(Flights))
    declare(project, "flights.yaml")

    with open_project(project.folder) as changed:
        assert check_dataset(changed, "flights").outcome == "pass"


@pytest.fixture
def pictures(project: Project) -> Iterator[Project]:
    """The project with a dataset of files that are no table."""
    (project.folder / "pictures").mkdir()
    (project.folder / "pictures" / "a.png").write_bytes(b"png")
    settings = project.folder / "cd4ml.toml"
    added = '[data.pictures]\npath = "pictures"\n\n[model]'
    settings.write_text(settings.read_text().replace("[model]", added, 1))
    with open_project(project.folder) as opened:
        yield opened


@pytest.mark.parametrize("is_added", [False, True])
def test_files_that_are_no_table_have_no_contract_to_suggest(
    pictures: Project, *, is_added: bool
) -> None:
    if is_added:
        ingest(pictures, "pictures", actor=ANN)

    for ask in (check_dataset, contract_as):
        with pytest.raises(InvalidInput) as refused:
            ask(pictures, "pictures")

        what = "pictures@1" if is_added else "'pictures'"
        assert str(refused.value) == (
            f"{what} consists of files that are no table\n"
            "  hint: contracts are about the rows of tables"
        )


def test_a_word_that_names_nothing_is_answered_with_what_there_is(project: Project) -> None:
    with pytest.raises(InvalidInput) as refused:
        contract_as(project, "nope")
    with pytest.raises(InvalidInput) as unknown:
        check_dataset(project, "nope")

    assert str(refused.value) == (
        "'nope' is neither a dataset in cd4ml.toml nor a contract\n"
        "  hint: datasets: flights, labelled; contracts: module:Name, a .toml file, or a .yaml file"
    )
    assert (
        str(unknown.value)
        == "no dataset named 'nope' in cd4ml.toml\n  hint: known: flights, labelled"
    )


def test_a_contract_is_suggested_once_there_are_rows(project: Project) -> None:
    declare(project, "")

    with open_project(project.folder) as without, pytest.raises(InvalidInput) as refused:
        check_dataset(without, "flights")

    assert str(refused.value) == (
        "the dataset 'flights' has no contract\n"
        "  hint: once it has a version: cd4ml data suggest flights > flights.toml writes one"
    )
