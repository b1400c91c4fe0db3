"""Rows that break their contract are set aside: the others go on, and nothing is lost."""

from collections.abc import Iterator
from pathlib import Path

import polars as pl
import pytest

from cd4ml.data.refs import find_version
from cd4ml.data.versions import scan_version
from cd4ml.errors import ContractViolated, InvalidInput, NotFound
from cd4ml.loop import Project, open_project
from cd4ml.loop.catalog import catalog
from cd4ml.loop.ingest import ingest, show_dataset
from cd4ml.loop.train import train
from tests.loop.world import ANN, actions, entries


@pytest.fixture
def quarantine(project: Project) -> Iterator[Project]:
    """The project whose flights are set aside when they break the contract."""
    settings = project.folder / "cd4ml.toml"
    more = 'contract = "contracts:Flights"\non_violation = "quarantine"'
    settings.write_text(settings.read_text().replace('contract = "contracts:Flights"', more))
    with open_project(project.folder) as changed:
        yield changed


def break_rows(project: Project, *lines: str) -> None:
    with (project.folder / "data" / "flights.csv").open("a") as file:
        file.writelines(f"{line}\n" for line in lines)


def rows_of(project: Project, ref: str) -> pl.DataFrame:
    with project.database.read() as connection:
        version = find_version(connection, ref)
    return scan_version(project.files, version).collect()


BAD = ("AA,-5,1.0,2013-02-01T00:00:00Z,0", "ZZ,far,1.0,2013-02-01T00:00:00Z,7")


def test_good_rows_go_on_and_bad_rows_are_kept_with_what_they_broke(quarantine: Project) -> None:
    break_rows(quarantine, *BAD)

    version = ingest(quarantine, "flights", note="storm", actor=ANN)

    assert (version.ref, version.n_rows, version.outcome) == ("flights@1", 600, "pass")
    assert (version.quarantine, version.n_quarantined) == ("flights_quarantine@1", 2)
    bad = rows_of(quarantine, version.quarantine)
    assert bad.select("broken_row", "broken_rules", "carrier", "distance").rows() == [
        (601, ["distance at least 0"], "AA", "-5"),
        (602, ["carrier is one of AA, UA", "distance is number", "late at most 1"], "ZZ", "far"),
    ]
    assert rows_of(quarantine, "flights").schema["distance"] == pl.Float64


def test_what_was_set_aside_is_a_dataset_with_an_owner(quarantine: Project) -> None:
    break_rows(quarantine, *BAD)
    ingest(quarantine, "flights", actor=ANN)

    aside = show_dataset(quarantine, "flights_quarantine")

    assert (aside.dataset.owner, aside.dataset.tags) == ("operations", ("quarantine",))
    assert aside.dataset.description == "rows of flights that broke its contract"
    assert (aside.version.outcome, aside.version.source) == ("fail", "data/flights.csv")
    assert aside.version.contract == show_dataset(quarantine, "flights").version.contract


def test_lineage_and_ledger_say_where_the_rows_are(quarantine: Project) -> None:
    break_rows(quarantine, *BAD)

    ingest(quarantine, "flights", note="storm", actor=ANN)

    assert show_dataset(quarantine, "flights").children == ("flights_quarantine@1",)
    assert show_dataset(quarantine, "flights_quarantine").parents == ("flights@1",)
    assert actions(quarantine)[-4:] == [
        "dataset.registered",
        "dataset.registered",
        "dataset.versioned",
        "dataset.versioned",
    ]
    aside, version = entries(quarantine)[-2:]
    assert (aside.subject, version.subject) == ("flights_quarantine@1", "flights@1")
    assert aside.details["broken"][0].startswith("carrier is one of AA, UA: 1 of 602 rows")
    assert version.details["quarantine"] == "flights_quarantine@1"
    assert version.details["n_quarantined"] == 2
    assert version.reason == "storm"


def test_files_without_bad_rows_are_kept_as_they_are(quarantine: Project) -> None:
    version = ingest(quarantine, "flights", actor=ANN)

    assert (version.quarantine, version.n_quarantined) == ("", 0)
    assert [entry.dataset.name for entry in catalog(quarantine)] == ["flights"]


def test_the_same_files_are_the_same_versions(quarantine: Project) -> None:
    break_rows(quarantine, *BAD)
    first = ingest(quarantine, "flights", actor=ANN)
    before = len(entries(quarantine))

    assert ingest(quarantine, "flights", actor=ANN) == first
    assert len(entries(quarantine)) == before


def test_other_bad_rows_beside_the_same_good_ones_are_another_version(quarantine: Project) -> None:
    break_rows(quarantine, BAD[0])
    first = ingest(quarantine, "flights", actor=ANN)
    break_rows(quarantine, BAD[1])

    second = ingest(quarantine, "flights", actor=ANN)
    again = ingest(quarantine, "flights", actor=ANN)

    assert (first.quarantine, first.n_quarantined) == ("flights_quarantine@1", 1)
    assert (second.ref, second.quarantine, second.n_quarantined) == (
        "flights@2", "flights_quarantine@2", 2,
    )  # fmt: skip
    assert (second.digest, again) == (first.digest, second)


def test_a_run_trains_on_the_good_rows(quarantine: Project) -> None:
    break_rows(quarantine, *BAD)

    run = train(quarantine, actor=ANN).run

    assert run.refs["flights"] == "flights@1"
    assert show_dataset(quarantine, "flights@1").version.n_rows == 600


def test_rules_on_columns_always_block(quarantine: Project) -> None:
    path = quarantine.folder / "data" / "flights.csv"
    pl.read_csv(path).drop("wind").write_csv(path)
    before = len(entries(quarantine))

    with pytest.raises(ContractViolated, match="wind is there: there is no such column"):
        ingest(quarantine, "flights", actor=ANN)

    assert len(entries(quarantine)) == before


def test_rules_on_columns_block_though_rows_could_be_set_aside(quarantine: Project) -> None:
    path = quarantine.folder / "data" / "flights.csv"
    pl.read_csv(path).drop("wind").with_columns(late=7.0).write_csv(path)

    with pytest.raises(ContractViolated, match="wind is there: there is no such column"):
        ingest(quarantine, "flights", actor=ANN)


def test_when_every_row_is_bad_nothing_goes_on(quarantine: Project) -> None:
    path = quarantine.folder / "data" / "flights.csv"
    pl.read_csv(path).with_columns(late=7.0).write_csv(path)

    with pytest.raises(ContractViolated) as refused:
        ingest(quarantine, "flights", actor=ANN)

    assert refused.value.message.startswith("every row of data/flights.csv breaks 1 of ")
    assert catalog(quarantine) == []


def test_too_few_good_rows_block(quarantine: Project) -> None:
    module = quarantine.folder / "contracts.py"
    module.write_text(
        module.read_text().replace('name="flights",', 'name="flights", minimum_rows=601,')
    )
    break_rows(quarantine, *BAD)

    with pytest.raises(ContractViolated, match="at least 601 rows: there are 600"):
        ingest(quarantine, "flights", actor=ANN)


def test_by_default_one_bad_row_blocks_all(project: Project) -> None:
    break_rows(project, BAD[0])

    with pytest.raises(ContractViolated) as refused:
        ingest(project, "flights", actor=ANN)

    assert "distance at least 0: 1 of 601 rows, first in row 601: -5.0" in refused.value.message


# --- what a contract is compared with -------------------------------------------------------


def write_contract(folder: Path, text: str) -> None:
    (folder / "flights.toml").write_text(text)
    settings = folder / "cd4ml.toml"
    settings.write_text(settings.read_text().replace("contracts:Flights", "flights.toml"))


OPEN = 'name = "flights"\nopen = true\n'


def test_values_exist_in_another_dataset(project: Project) -> None:
    carriers = project.folder / "data" / "carriers.csv"
    carriers.write_text("code\nAA\n")
    text = OPEN + '[field.carrier]\ntype = "string"\nreferences = "carriers.code"\n'
    write_contract(project.folder, text)
    with open_project(project.folder) as changed:
        with pytest.raises(NotFound, match="no dataset 'carriers'"):
            ingest(changed, "flights", actor=ANN)
        ingest(changed, "carriers", path="data/carriers.csv", actor=ANN)
        with pytest.raises(ContractViolated, match=r"carrier in carriers\.code: \d+ of 600 rows"):
            ingest(changed, "flights", actor=ANN)

        carriers.write_text("code\nAA\nUA\n")
        ingest(changed, "carriers", path="data/carriers.csv", actor=ANN)

        assert ingest(changed, "flights", actor=ANN).outcome == "pass"
        assert show_dataset(changed, "flights").parents == ("carriers@2",)
        assert show_dataset(changed, "carriers@2").children == ("flights@1",)


def test_a_rule_that_nobody_can_check_decides_nothing(project: Project) -> None:
    write_contract(
        project.folder, OPEN + 'unchecked = ["plausible"]\n[field.carrier]\ntype = "string"\n'
    )

    with open_project(project.folder) as changed:
        assert ingest(changed, "flights", actor=ANN).outcome == "pass"


def test_the_time_of_the_project_decides_what_is_fresh(project: Project) -> None:
    limit = (
        'event_time = "event_at"\nfresh_within_hours = {}\n[field.event_at]\ntype = "datetime"\n'
    )
    write_contract(project.folder, OPEN + limit.format(1))
    with open_project(project.folder) as changed:
        assert ingest(changed, "flights", actor=ANN).outcome == "pass"

        write_contract(project.folder, OPEN + limit.format(0.5))
        with pytest.raises(ContractViolated) as refused:
            ingest(changed, "flights", actor=ANN)

    assert (
        "newest event_at at most 0.5 hours old: the newest is of 2013-01-31 23:00,"
        " 1.0 hours before 2013-02-01 00:00"
    ) in refused.value.message


def test_a_policy_that_does_not_exist_is_refused(project: Project) -> None:
    settings = project.folder / "cd4ml.toml"
    settings.write_text(
        settings.read_text().replace("owner =", 'on_violation = "ignore"\nowner =', 1)
    )

    with pytest.raises(Exception, match="on_violation"):
        open_project(project.folder)


# --- files that are no table ----------------------------------------------------------------


def test_a_delimiter_that_changes_half_way_is_named_with_its_row(project: Project) -> None:
    break_rows(project, "AA;5;1.0;2013-02-01T00:00:00Z;0")

    with pytest.raises(ContractViolated) as refused:
        ingest(project, "flights", actor=ANN)

    assert str(refused.value) == (
        "data/flights.csv: columns are separated by ',' in the first line, but not in 1 of 601"
        " rows, first in row 601: 'AA;5;1.0;2013-02-01T00:00:00Z;0'\n"
        "  hint: write the whole file with commas"
    )


def test_it_is_named_without_a_contract_too(project: Project) -> None:
    (project.folder / "data" / "a.csv").write_text("a,b,c\nx,1,2\n")
    (project.folder / "data" / "b.csv").write_text("a,b,c\nx,3,4\ny\t5\t6\n")

    with pytest.raises(InvalidInput) as refused:
        ingest(project, "letters", path="data/[ab].csv", actor=ANN)

    assert refused.value.message == (
        "data/[ab].csv: columns are separated by ',' in the first line, but not in 1 of 3 rows,"
        f" first in row 2 of {project.folder}/data/b.csv: 'y\\t5\\t6'"
    )


def test_such_lines_can_be_set_aside(quarantine: Project) -> None:
    break_rows(quarantine, "AA;5;1.0;2013-02-01T00:00:00Z;0")

    version = ingest(quarantine, "flights", actor=ANN)

    assert (version.n_rows, version.n_quarantined) == (600, 1)
    (listed,) = rows_of(quarantine, version.quarantine)["broken_rules"].to_list()
    assert "columns are separated by ','" in listed


def test_a_line_with_more_columns_is_named(quarantine: Project) -> None:
    break_rows(quarantine, "AA,5,1.0,2013-02-01T00:00:00Z,0,more")

    with pytest.raises(InvalidInput) as refused:
        ingest(quarantine, "flights", actor=ANN)

    assert refused.value.message == (
        f"{quarantine.folder}/data/flights.csv: line 602 has 6 columns instead of 5"
    )


def test_two_types_in_one_column_of_json_are_named_by_row(project: Project) -> None:
    line = '{{"carrier": "AA", "distance": {}}}\n'
    text = "".join(line.format(n) for n in (1.5, '"far"', 2))
    (project.folder / "data" / "x.ndjson").write_text(text)
    settings = project.folder / "cd4ml.toml"
    settings.write_text(settings.read_text().replace("flights.csv", "x.ndjson"))
    fields = '[field.carrier]\ntype = "string"\n[field.distance]\ntype = "number"\n'
    write_contract(project.folder, OPEN + fields)

    with open_project(project.folder) as changed, pytest.raises(ContractViolated) as refused:
        ingest(changed, "flights", actor=ANN)

    assert "distance is number: 1 of 3 rows, first in row 2: 'far'" in refused.value.message


def test_parquet_whose_schema_changed_is_named_with_file_and_column(project: Project) -> None:
    folder = project.folder / "data" / "daily"
    folder.mkdir()
    pl.DataFrame({"a": [1]}).write_parquet(folder / "1.parquet")
    pl.DataFrame({"a": ["x"]}).write_parquet(folder / "2.parquet")

    with pytest.raises(InvalidInput) as refused:
        ingest(project, "daily", path="data/daily/*.parquet", actor=ANN)

    assert refused.value.message == (
        f"{folder}/2.parquet has other columns than {folder}/1.parquet:"
        " it has 'a' as String instead of Int64"
    )


def test_dates_in_three_formats_are_counted(project: Project) -> None:
    break_rows(project, "AA,5,1.0,01.02.2013,0", "AA,5,1.0,02/01/2013,0", "AA,5,1.0,2013-02-01,0")

    with pytest.raises(ContractViolated) as refused:
        ingest(project, "flights", actor=ANN)

    assert "event_at is datetime: 2 of 603 rows, first in row 601: '01.02.2013'" in (
        refused.value.message
    )


def test_a_bad_row_names_its_file_below_the_project(quarantine: Project) -> None:
    """Not where the project happens to lie on this machine."""
    settings = quarantine.folder / "cd4ml.toml"
    settings.write_text(settings.read_text().replace("data/flights.csv", "data/*.csv"))
    good = (quarantine.folder / "data" / "flights.csv").read_text()
    (quarantine.folder / "data" / "more.csv").write_text(good)
    break_rows(quarantine, *BAD)

    with open_project(quarantine.folder) as opened:
        version = ingest(opened, "flights", actor=ANN)
        bad = rows_of(opened, version.quarantine)

    assert set(bad["broken_file"]) == {"data/flights.csv"}
