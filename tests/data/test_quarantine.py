"""Rows set aside, on every store: both parts are versions, and what is refused leaves no trace."""

from datetime import UTC, datetime
from pathlib import Path
from typing import TYPE_CHECKING, Any

import polars as pl
import pytest

from cd4ml.data.catalog import register
from cd4ml.data.quarantine import Arrival, quarantine_of
from cd4ml.data.quarantine import snapshot_good as good_of
from cd4ml.data.snapshot import Snapshot, look
from cd4ml.data.snapshot import snapshot_files as snapshot_of
from cd4ml.data.versions import publish, scan_version
from cd4ml.errors import ContractViolated
from tests.data.tables import CSV, FLIGHTS, file, flights

if TYPE_CHECKING:
    from cd4ml.store.database import Database
    from cd4ml.store.file_store import FileStore

AT = datetime(2013, 2, 1, tzinfo=UTC)


def snapshot_good(store: "FileStore", root: Path, pattern: str, **options: Any) -> Arrival:
    return good_of(store, look(store, root, pattern), **options)


def snapshot_files(store: "FileStore", root: Path, pattern: str, **options: Any) -> Snapshot:
    return snapshot_of(store, look(store, root, pattern), **options)


BAD = "four,??,1,true,2013-01-02\n"


def test_both_parts_are_published_and_read_again(
    file_store: "FileStore", database: "Database", tmp_path: Path
) -> None:
    file(tmp_path, "a.csv", CSV + BAD)

    good, bad, _ = snapshot_good(file_store, tmp_path, "a.csv", contract=FLIGHTS)

    assert bad is not None
    assert (good.n_rows, good.outcome, bad.n_rows, bad.outcome) == (3, "pass", 1, "fail")
    with database.write() as connection:
        for name in ("flights", quarantine_of("flights")):
            register(connection, name=name, at=AT, actor="ann")
        aside = publish(connection, bad, dataset="flights_quarantine", at=AT, actor="ann")
        version = publish(connection, good, dataset="flights", at=AT, actor="ann", quarantine=aside)
    assert (version.quarantine, version.n_quarantined) == ("flights_quarantine@1", 1)
    assert scan_version(file_store, version).collect().equals(flights())
    kept = scan_version(file_store, aside).collect()
    assert kept["broken_rules"].to_list() == [["flight is integer", "carrier is one of AA, UA"]]
    assert kept["flight"].to_list() == ["four"]


def test_the_same_rows_are_the_same_versions(file_store: "FileStore", tmp_path: Path) -> None:
    file(tmp_path, "a.csv", CSV + BAD)

    first = snapshot_good(file_store, tmp_path, "a.csv", contract=FLIGHTS)
    again = snapshot_good(file_store, tmp_path, "a.csv", contract=FLIGHTS)

    digests = [(each.good.digest, each.bad and each.bad.digest) for each in (first, again)]
    assert digests[0] == digests[1]


def test_files_without_bad_rows_are_not_rewritten(file_store: "FileStore", tmp_path: Path) -> None:
    file(tmp_path, "a.csv")

    good, bad, _ = snapshot_good(file_store, tmp_path, "a.csv", contract=FLIGHTS)

    assert bad is None
    assert good.digest == snapshot_files(file_store, tmp_path, "a.csv", contract=FLIGHTS).digest


def test_what_cannot_be_set_aside_is_refused(file_store: "FileStore", tmp_path: Path) -> None:
    pl.read_csv(file(tmp_path, "a.csv", CSV + BAD)).drop("hour").write_csv(tmp_path / "a.csv")

    with pytest.raises(ContractViolated, match="hour is there: there is no such column"):
        snapshot_good(file_store, tmp_path, "a.csv", contract=FLIGHTS)
