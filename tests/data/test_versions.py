"""Versions: immutable, named by content, made by many at once, refused without a trace."""

import threading
from collections.abc import Callable
from datetime import datetime
from pathlib import Path
from typing import TYPE_CHECKING, Any

import polars as pl
import pytest

from cd4ml.data.catalog import register
from cd4ml.data.manifest import manifest_of
from cd4ml.data.refs import find_version
from cd4ml.data.snapshot import Snapshot, look, snapshot_frame
from cd4ml.data.snapshot import snapshot_files as snapshot_of
from cd4ml.data.versions import known_version, newest_version, publish, scan_version
from cd4ml.errors import Conflict, ContractViolated, Corrupted, InvalidInput, NotFound
from cd4ml.records.contract import Contract
from cd4ml.records.dataset import DatasetVersion
from cd4ml.store import ledger, lineage, rows
from tests.conftest import open_file_store
from tests.data.tables import CSV, FLIGHTS, file, flights

if TYPE_CHECKING:
    from cd4ml.store.database import Database
    from cd4ml.store.file_store import FileStore


@pytest.fixture
def files(sqlite: "Database", files_url: str, tmp_path: Path) -> "FileStore":
    from cd4ml.store.blobs import open_blobs

    return open_file_store(sqlite, open_blobs(files_url), files_url, tmp_path / "cache")


def snapshot_files(store: "FileStore", root: Path, pattern: str, **options: Any) -> Snapshot:
    return snapshot_of(store, look(store, root, pattern), **options)


@pytest.fixture
def catalog(database: "Database", now: datetime) -> "Database":
    """A database that knows the dataset `flights`."""
    with database.write() as connection:
        register(connection, name="flights", at=now, actor="ada")
    return database


@pytest.fixture
def sqlite(sqlite_url: str, now: datetime) -> "Database":
    """The same, on SQLite only."""
    from cd4ml.store.database import open_database

    opened = open_database(sqlite_url)
    with opened.write() as connection:
        register(connection, name="flights", at=now, actor="ada")
    return opened


def published(
    database: "Database", snapshot: Snapshot, now: datetime, **options: Any
) -> DatasetVersion:
    with database.write() as connection:
        return publish(connection, snapshot, dataset="flights", at=now, actor="ada", **options)


def stored(folder: Path) -> int:
    return len([path for path in folder.rglob("*") if path.is_file()])


def test_a_version_says_what_is_in_it(
    catalog: "Database", file_store: "FileStore", tmp_path: Path, now: datetime
) -> None:
    file(tmp_path, "data/flights.csv")

    snapshot = snapshot_files(file_store, tmp_path, "data/*.csv", contract=FLIGHTS)
    version = published(catalog, snapshot, now, note="January")

    assert (version.ref, version.n_rows, version.n_bytes) == ("flights@1", 3, len(CSV))
    assert (version.kind, version.n_files, version.place) == ("table", 1, "")
    manifest = manifest_of(file_store.blobs, version)
    assert [file.path for file in manifest.files] == ["data/flights.csv"]
    assert (version.source, version.note, version.outcome) == ("data/*.csv", "January", "pass")
    assert file_store.blobs.get_record(version.contract, Contract) == FLIGHTS
    flight, carrier, hour, *_ = version.columns
    assert (flight.type, flight.n_null, flight.minimum, flight.maximum) == ("Int64", 0, 1.0, 3.0)
    assert (carrier.type, carrier.n_unique, carrier.minimum) == ("String", 2, None)
    assert (hour.n_null, hour.minimum, hour.maximum) == (1, 5.0, 7.5)
    with catalog.read() as connection:
        assert find_version(connection, "flights") == find_version(connection, "flights@1")
    assert scan_version(file_store, version).collect().equals(flights())


def test_publishing_stands_in_ledger_and_lineage(
    sqlite: "Database", files: "FileStore", now: datetime
) -> None:
    first = published(sqlite, snapshot_frame(files, flights(), source="production"), now)
    second = published(
        sqlite, snapshot_frame(files, flights()[:2], source="production"), now,
        parents=[first.digest],
    )  # fmt: skip

    with sqlite.read() as connection:
        (entry,) = ledger.entries(connection, "flights@2")
        (hop,) = lineage.upstream(connection, second.digest)
    assert (entry.action, entry.actor, entry.details["n_rows"]) == ("dataset.versioned", "ada", 2)
    assert (hop.node.name, hop.node.kind, hop.edge.role) == (
        "flights@1", "dataset version", "input",
    )  # fmt: skip
    assert second.parents == (first.digest,)


def test_the_same_bytes_and_contract_are_the_same_version(
    catalog: "Database", files: "FileStore", tmp_path: Path, now: datetime
) -> None:
    path = file(tmp_path, "flights.csv")
    first = published(catalog, snapshot_files(files, tmp_path, "flights.csv"), now)
    path.write_text(CSV.replace("AA", "UA"))
    second = published(catalog, snapshot_files(files, tmp_path, "flights.csv"), now)
    path.write_text(CSV)

    again = published(catalog, snapshot_files(files, tmp_path, "flights.csv"), now, note="x")
    checked = published(
        catalog, snapshot_files(files, tmp_path, "flights.csv", contract=FLIGHTS), now
    )

    assert (first.number, second.number, checked.number) == (1, 2, 3)
    assert again == first
    assert first.outcome == "inconclusive"


def test_the_same_rows_are_the_same_version(
    sqlite: "Database", files: "FileStore", now: datetime
) -> None:
    pieces = pl.concat([flights()[:1], flights()[1:]], rechunk=False)

    first = published(sqlite, snapshot_frame(files, flights(), source="production"), now)
    second = published(sqlite, snapshot_frame(files, pieces, source="production"), now)

    assert first == second


def test_a_file_with_another_name_is_another_version(
    sqlite: "Database", files: "FileStore", tmp_path: Path, now: datetime
) -> None:
    file(tmp_path, "a.csv")
    file(tmp_path, "b.csv")

    numbers = [
        published(sqlite, snapshot_files(files, tmp_path, name), now).number
        for name in ("a.csv", "b.csv", "a.csv")
    ]

    assert numbers == [1, 2, 1]


def test_an_unchanged_file_is_known_without_parsing_it(
    sqlite: "Database", files: "FileStore", tmp_path: Path, now: datetime
) -> None:
    path = file(tmp_path, "flights.csv")
    version = published(
        sqlite, snapshot_files(files, tmp_path, "flights.csv", contract=FLIGHTS), now
    )

    def known(contract: Contract | None) -> DatasetVersion | None:
        looked = look(files, tmp_path, "flights.csv")
        with sqlite.read() as connection:
            return known_version(connection, "flights", looked, contract=contract)

    assert known(FLIGHTS) == version
    assert known(None) is None
    path.write_text(CSV + CSV.splitlines()[1])
    assert known(FLIGHTS) is None


def test_publishers_at_once_lose_nothing(
    catalog: "Database", files: "FileStore", now: datetime
) -> None:
    snapshots = [
        snapshot_frame(files, flights(flight=[i, i + 1, i + 2]), source="x") for i in range(4)
    ]
    found: list[DatasetVersion] = []

    def work() -> None:
        found.extend(published(catalog, snapshot, now) for snapshot in snapshots)

    threads = [threading.Thread(target=work) for _ in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()

    assert len(found) == 16
    with catalog.read() as connection:
        versions = rows.find(connection, DatasetVersion)
    assert [version.number for version in versions] == [1, 2, 3, 4]
    assert {version.digest for version in versions} == {each.digest for each in snapshots}


def test_rows_that_break_their_contract_leave_no_trace(files: "FileStore", tmp_path: Path) -> None:
    file(tmp_path, "flights.csv", CSV.replace("UA,7.5", "XX,99"))

    with pytest.raises(ContractViolated) as caught:
        snapshot_files(files, tmp_path, "flights.csv", contract=FLIGHTS)

    assert caught.value.message == (
        "flights.csv breaks 2 of 16 rules of the contract Flights 1.2.0\n"
        "  - carrier is one of AA, UA: 1 of 3 rows, first in row 3: 'XX'\n"
        "  - hour at most 23: 1 of 3 rows, first in row 3: 99.0"
    )
    assert stored(tmp_path / "blobs") == 0


def test_a_version_may_say_that_it_breaks_its_contract(
    sqlite: "Database", files: "FileStore", tmp_path: Path, now: datetime
) -> None:
    file(tmp_path, "flights.csv", CSV.replace("UA,7.5", "XX,99"))

    version = published(
        sqlite,
        snapshot_files(files, tmp_path, "flights.csv", contract=FLIGHTS, refuse=False),
        now,
    )

    assert version.outcome == "fail"
    with sqlite.read() as connection:
        (entry,) = ledger.entries(connection, "flights@1")
    assert entry.details["broken"] == [
        "carrier is one of AA, UA: 1 of 3 rows, first in row 3: 'XX'",
        "hour at most 23: 1 of 3 rows, first in row 3: 99.0",
    ]


@pytest.mark.parametrize("refuse", [True, False])
@pytest.mark.parametrize(
    ("old", "new", "broken"),
    [
        ("\n2,", "\ntwo,", "  - flight is integer: 1 of 3 rows, first in row 2: 'two'"),
        ("\n2,", "\n2.5,", "  - flight is integer: 1 of 3 rows, first in row 2: '2.5'"),
        ("7.5", "late", "  - hour is number: 1 of 3 rows, first in row 3: 'late'"),
        (",false", ",0", "  - is_late is boolean: 1 of 3 rows, first in row 2: '0'"),
        (",2013-01-01\n", ",01.01.2013\n",
         "  - left_at is datetime: 1 of 3 rows, first in row 3: '01.01.2013'"),
    ],
)  # fmt: skip
def test_a_csv_with_a_wrong_type_is_refused_by_row(
    files: "FileStore", tmp_path: Path, old: str, new: str, broken: str, refuse: bool
) -> None:
    file(tmp_path, "flights.csv", CSV.replace(old, new))

    with pytest.raises(ContractViolated) as caught:
        snapshot_files(files, tmp_path, "flights.csv", contract=FLIGHTS, refuse=refuse)

    assert caught.value.message.splitlines()[1] == broken
    assert stored(tmp_path / "blobs") == 0


def test_a_csv_that_falls_apart_half_way_is_refused(files: "FileStore", tmp_path: Path) -> None:
    file(tmp_path, "1.csv")
    file(tmp_path, "2.csv", CSV + "4,UA,1,true,2013-01-01,more,columns\n")

    with pytest.raises(InvalidInput) as caught:
        snapshot_files(files, tmp_path, "*.csv")

    assert caught.value.message == f"{tmp_path}/2.csv: line 5 has 7 columns instead of 5"
    assert stored(tmp_path / "blobs") == 0


@pytest.mark.parametrize(
    ("pattern", "error", "message", "hint"),
    [
        ("none.csv", NotFound, "there is no file {root}/none.csv",
         "correct the path, or put the file there"),
        ("none/*.csv", NotFound, "no file matches 'none/*.csv' in {root}",
         "correct the pattern, or put the files there"),
        ("folder", NotFound, "there is no file in the folder {root}/folder",
         "put the files there, or correct the path"),
    ],
)  # fmt: skip
def test_missing_files_are_named(
    files: "FileStore",
    tmp_path: Path,
    pattern: str,
    error: type[Exception],
    message: str,
    hint: str,
) -> None:
    (tmp_path / "folder").mkdir()

    with pytest.raises(error) as caught:
        snapshot_files(files, tmp_path, pattern)

    assert str(caught.value) == f"{message.format(root=tmp_path)}\n  hint: {hint}"


def test_a_file_that_changes_while_it_is_read_is_refused(
    files: "FileStore", tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    path = file(tmp_path, "flights.csv")
    put: Callable[..., str] = files.objects.put_file

    def put_while_somebody_writes(source: Path, **options: Any) -> str:
        name = put(source, **options)
        with path.open("a") as other:
            other.write("4,UA,1,true,2013-01-02\n")
        return name

    monkeypatch.setattr(files.objects, "put_file", put_while_somebody_writes)

    with pytest.raises(Conflict) as caught:
        snapshot_files(files, tmp_path, "flights.csv")

    assert str(caught.value) == (
        f"{path} changed while it was read\n  hint: add it again when nobody writes to it"
    )
    assert stored(tmp_path / "blobs" / "files") == 0


def test_a_version_stays_as_it_is_when_its_files_change(
    sqlite: "Database", files: "FileStore", tmp_path: Path, now: datetime
) -> None:
    path = file(tmp_path, "flights.csv")
    version = published(
        sqlite, snapshot_files(files, tmp_path, "flights.csv", contract=FLIGHTS), now
    )

    path.unlink()

    assert scan_version(files, version).collect().equals(flights())


def test_changed_bytes_of_a_version_are_never_read(
    sqlite: "Database", files: "FileStore", tmp_path: Path, now: datetime
) -> None:
    file(tmp_path, "flights.csv")
    version = published(sqlite, snapshot_files(files, tmp_path, "flights.csv"), now)
    (path,) = files.paths([manifest_of(files.blobs, version).files[0].digest])
    path.chmod(0o644)
    path.write_text(CSV.replace("AA", "UA"))

    with pytest.raises(Corrupted):
        scan_version(files, version)


def test_a_version_is_found_by_its_name(
    sqlite: "Database", files: "FileStore", now: datetime
) -> None:
    with sqlite.read() as connection:
        assert newest_version(connection, "flights") is None
        with pytest.raises(NotFound) as caught:
            find_version(connection, "flights")
    assert str(caught.value) == (
        "the dataset 'flights' has no version yet\n  hint: cd4ml data add flights"
    )
    versions = [
        published(sqlite, snapshot_frame(files, flights()[:n], source="x"), now) for n in (1, 2)
    ]

    with sqlite.read() as connection:
        assert find_version(connection, "flights") == newest_version(connection, "flights")
        assert find_version(connection, "flights") == versions[1]
        assert find_version(connection, "flights@1") == versions[0]
        with pytest.raises(NotFound) as caught:
            find_version(connection, "flights@9")
        assert caught.value.hint == "known: flights@1, flights@2"
        with pytest.raises(NotFound):
            find_version(connection, "planes")
        with pytest.raises(NotFound) as untagged:
            find_version(connection, "flights@newest")
        assert str(untagged.value) == (
            "no version of 'flights' has the tag 'newest'\n"
            "  hint: known: none; cd4ml data tag flights@NUMBER newest"
        )
        with pytest.raises(InvalidInput) as invalid:
            find_version(connection, "flights@2013-13-01")
        assert invalid.value.message == (
            "expected NAME@NUMBER, NAME@TAG or NAME@DATE, got 'flights@2013-13-01'"
        )


def test_an_unregistered_dataset_has_no_versions(
    sqlite: "Database", files: "FileStore", now: datetime
) -> None:
    snapshot = snapshot_frame(files, flights(), source="x")

    with pytest.raises(NotFound), sqlite.write() as connection:
        publish(connection, snapshot, dataset="planes", at=now, actor="ada")


def test_a_table_that_breaks_its_contract_is_refused(files: "FileStore", tmp_path: Path) -> None:
    with pytest.raises(ContractViolated) as caught:
        snapshot_frame(files, flights()[:1], source="production", contract=FLIGHTS)

    assert caught.value.message == (
        "the table from production breaks 1 of 16 rules of the contract Flights 1.2.0\n"
        "  - at least 2 rows: there are 1"
    )
    assert stored(tmp_path / "blobs") == 0


def test_an_empty_table_is_a_version(sqlite: "Database", files: "FileStore", now: datetime) -> None:
    version = published(sqlite, snapshot_frame(files, flights()[:0], source="x"), now)

    assert (version.n_rows, scan_version(files, version).collect().height) == (0, 0)
