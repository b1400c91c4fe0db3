"""Data comes in as versions; what is refused leaves no trace."""

import threading
from pathlib import Path

import polars as pl
import pytest

from cd4ml.data.manifest import manifest_of
from cd4ml.data.profiles import profile_of
from cd4ml.data.versions import scan_version
from cd4ml.errors import ConfigurationError, ContractViolated, InvalidInput, NotFound
from cd4ml.loop import Project, open_project
from cd4ml.loop.catalog import catalog
from cd4ml.loop.ingest import ingest, show_dataset
from cd4ml.loop.train import train
from cd4ml.loop.versions import verify
from tests.loop.world import ANN, BEGIN, actions, entries, flights


def traces(project: Project) -> tuple[int, int]:
    """Ledger entries, and blobs."""
    blobs = project.state / "blobs"
    return len(entries(project)), len([path for path in blobs.rglob("*") if path.is_file()])


def add_flights(project: Project, n: int = 10) -> Path:
    path = project.folder / "data" / "flights.csv"
    with path.open("ab") as file:
        flights(n, start=BEGIN, seed=9).write_csv(file, include_header=False)
    return path


def test_files_become_a_version_with_an_owner_a_schema_and_a_contract(project: Project) -> None:
    version = ingest(project, "flights", note="the first", actor=ANN)

    assert version.ref == "flights@1"
    assert (version.n_rows, version.outcome, version.note) == (600, "pass", "the first")
    (entry,) = catalog(project)
    assert (entry.dataset.owner, entry.newest) == ("operations", version)
    assert [column.name for column in version.columns] == [
        "carrier",
        "distance",
        "wind",
        "event_at",
        "late",
    ]
    assert actions(project)[-2:] == ["dataset.registered", "dataset.versioned"]


def test_unchanged_files_are_the_version_they_were(project: Project) -> None:
    first = ingest(project, "flights", actor=ANN)
    before = traces(project)

    again = ingest(project, "flights", actor=ANN)

    assert again == first
    assert traces(project) == before


def test_changed_files_are_the_next_version_and_the_first_stays(project: Project) -> None:
    first = ingest(project, "flights", actor=ANN)
    add_flights(project)

    second = ingest(project, "flights", actor=ANN)

    assert (second.ref, second.n_rows) == ("flights@2", 610)
    assert show_dataset(project, "flights@1").version == first
    assert show_dataset(project, "flights").versions == (first, second)


def test_files_that_are_as_they_once_were_are_the_version_of_then(project: Project) -> None:
    first = ingest(project, "flights", actor=ANN)
    path = project.folder / "data" / "flights.csv"
    content = path.read_bytes()
    add_flights(project)
    ingest(project, "flights", actor=ANN)
    path.write_bytes(content)

    assert ingest(project, "flights", actor=ANN) == first


def test_rows_that_break_the_contract_leave_no_trace(project: Project) -> None:
    path = project.folder / "data" / "flights.csv"
    rows = pl.read_csv(path, try_parse_dates=True)
    rows.with_columns(wind=-1.0).write_csv(path)
    before = traces(project)

    with pytest.raises(ContractViolated, match=r"(?s)^data/flights\.csv.*wind"):
        ingest(project, "flights", actor=ANN)

    assert traces(project) == before
    assert catalog(project) == []


def test_a_dataset_nobody_named_needs_its_files(project: Project) -> None:
    with pytest.raises(InvalidInput) as refused:
        ingest(project, "fares", actor=ANN)

    assert str(refused.value) == (
        "no dataset named 'fares' in cd4ml.toml\n"
        "  hint: known: flights, labelled; or give its files with --path"
    )
    assert ingest(project, "fares", path="data/*.csv", actor=ANN).ref == "fares@1"


def test_rows_from_production_are_not_read_from_files(project: Project) -> None:
    with pytest.raises(InvalidInput) as refused:
        ingest(project, "labelled", actor=ANN)

    assert str(refused.value) == (
        "the rows of 'labelled' come from production, not from files\n"
        "  hint: cd4ml label FILE brings the truth; retraining curates it"
    )


def test_missing_files_are_named(project: Project) -> None:
    (project.folder / "data" / "flights.csv").unlink()

    with pytest.raises(NotFound, match=r"data/flights\.csv"):
        ingest(project, "flights", actor=ANN)


def test_whoever_is_not_known_brings_no_data(project: Project) -> None:
    before = traces(project)

    with pytest.raises(NotFound, match="nobody named 'mallory' works on this project"):
        ingest(project, "flights", actor="mallory")

    assert traces(project) == before


@pytest.mark.parametrize(
    ("contract", "message"),
    [
        ("Flights", "cd4ml.toml: expected MODULE:NAME, got 'Flights' - at `data.flights.contract`"),
        (
            "contracts:Fares",
            "cd4ml.toml: expected a Contract at contracts:Fares, got nothing"
            " - at `data.flights.contract`",
        ),
        (
            "contracts:FIELDS",
            "cd4ml.toml: expected a Contract at contracts:FIELDS, got tuple"
            " - at `data.flights.contract`",
        ),
    ],
)
def test_a_contract_that_is_none_is_explained(
    project: Project, contract: str, message: str
) -> None:
    settings = project.folder / "cd4ml.toml"
    settings.write_text(settings.read_text().replace("contracts:Flights", contract))

    with open_project(project.folder) as changed, pytest.raises(ConfigurationError) as refused:
        ingest(changed, "flights", actor=ANN)

    assert refused.value.message == message


def test_lineage_goes_both_ways(project: Project) -> None:
    run = train(project, actor=ANN).run

    details = show_dataset(project, "flights@1")

    assert details.parents == ()
    assert {run.ref, f"examples of {run.ref}"} <= set(details.children)


def test_an_unknown_version_is_answered_with_the_known_ones(project: Project) -> None:
    ingest(project, "flights", actor=ANN)

    with pytest.raises(NotFound) as refused:
        show_dataset(project, "flights@7")

    assert str(refused.value) == "no dataset version 'flights@7'\n  hint: known: flights@1"


def test_two_who_bring_the_same_at_once_bring_it_once(project: Project) -> None:
    threads = [
        threading.Thread(target=ingest, args=(project, "flights"), kwargs={"actor": ANN})
        for _ in range(4)
    ]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()

    assert [version.ref for version in show_dataset(project, "flights").versions] == ["flights@1"]
    assert actions(project).count("dataset.versioned") == 1


def test_bytes_that_were_damaged_are_found_and_stored_again(project: Project) -> None:
    version = ingest(project, "flights", actor=ANN)
    (file,) = manifest_of(project.blobs, version).files
    (stored,) = project.files.paths([file.digest])
    stored.chmod(0o644)
    stored.write_bytes(stored.read_bytes().replace(b"AA", b"UA"))

    found = verify(project)

    assert (found.n_files, [each.reason for each in found.damaged]) == (
        1,
        ["is not what was stored"],
    )
    assert found.damaged[0].versions == ("flights@1",)
    assert ingest(project, "flights", actor=ANN) == version
    assert verify(project).damaged == ()


@pytest.mark.parametrize("what", ["manifest", "contract", "profile"])
@pytest.mark.parametrize("is_gone", [True, False])
def test_what_describes_a_version_is_verified_and_mended_by_the_next_add(
    project: Project, what: str, is_gone: bool
) -> None:
    version = ingest(project, "flights", actor=ANN)
    address = version.digest if what == "manifest" else getattr(version, what)
    path = project.blobs.path(address)
    path.chmod(0o644)
    path.write_bytes(path.read_bytes()[:100])
    if is_gone:
        path.unlink()

    (damage,) = verify(project).damaged

    assert (damage.path, damage.digest, damage.versions) == (
        f"(the {what})", address, ("flights@1",),
    )  # fmt: skip
    assert ingest(project, "flights", actor=ANN) == version
    assert verify(project).damaged == ()
    scan_version(project.files, version).collect()


def test_a_damaged_profile_keeps_no_version_from_being_made(project: Project) -> None:
    first = ingest(project, "flights", path="data/*.csv", actor=ANN)
    path = project.blobs.path(first.profile)
    path.chmod(0o644)
    path.write_bytes(b"{")
    (project.folder / "data" / "more.csv").write_bytes(
        (project.folder / "data" / "flights.csv").read_bytes()
    )

    second = ingest(project, "flights", path="data/*.csv", actor=ANN)

    assert (second.number, second.n_rows) == (2, 2 * first.n_rows)
    assert profile_of(project.blobs, second.profile).n_rows == second.n_rows


def test_bytes_that_are_gone_are_stored_again_without_being_asked_for(project: Project) -> None:
    version = ingest(project, "flights", actor=ANN)
    (file,) = manifest_of(project.blobs, version).files
    project.files.paths([file.digest])[0].unlink()

    assert ingest(project, "flights", actor=ANN) == version
    assert verify(project).damaged == ()

    add_flights(project)
    (again,) = project.files.paths([file.digest])
    again.unlink()
    second = ingest(project, "flights", path="data/*.csv", actor=ANN)
    assert verify(project, second.ref).damaged == ()


def lay_out_days(project: Project, *tables: str) -> Path:
    days = project.folder / "days"
    days.mkdir()
    for i, text in enumerate(tables):
        (days / f"{i}.csv").write_text(text)
    return days


@pytest.mark.parametrize("note", ["", "first try"])
def test_files_that_might_have_been_a_table_say_why_they_are_none(
    project: Project, note: str
) -> None:
    lay_out_days(project, "a,b\n1,2\n", "a\n1\n")

    version = ingest(project, "days", path="days", note=note, actor=ANN)

    why = "no table: days/1.csv has other columns than days/0.csv: it lacks 'b'"
    assert (version.kind, version.note) == ("files", f"{note}; {why}" if note else why)
    assert ingest(project, "days", path="days", actor=ANN) == version


def test_one_file_of_another_kind_is_named(project: Project) -> None:
    days = lay_out_days(project, "a,b\n1,2\n")
    (days / "README").write_text("days")
    (project.folder / "pictures").mkdir()
    (project.folder / "pictures" / "a.png").write_bytes(b"1")

    version = ingest(project, "days", path="days", actor=ANN)
    pictures = ingest(project, "pictures", path="pictures", actor=ANN)

    assert version.note == "no table: days/README is of another kind than days/0.csv"
    assert (pictures.kind, pictures.note) == ("files", "")


def test_a_dataset_that_was_a_table_does_not_silently_stop_being_one(project: Project) -> None:
    days = lay_out_days(project, "a,b\n1,2\n")
    first = ingest(project, "days", path="days", actor=ANN)
    (days / "1.csv").write_text("a,c\n1,2\n")

    with pytest.raises(InvalidInput) as refused:
        ingest(project, "days", path="days", actor=ANN)
    (days / "1.csv").unlink()
    (days / "README").write_text("days")
    with pytest.raises(InvalidInput) as mixed:
        ingest(project, "days", path="days", actor=ANN)

    assert str(refused.value) == (
        f"{days}/1.csv has other columns than {days}/0.csv: it lacks 'b', has 'c' besides\n"
        "  hint: the files of one version are one table"
    )
    assert str(mixed.value) == (
        f"expected a file whose name ends in .csv, .parquet, .ndjson, .jsonl, got {days}/README\n"
        "  hint: convert it, or choose the files by a glob: data/*.csv"
    )
    assert show_dataset(project, "days").versions == (first,)
