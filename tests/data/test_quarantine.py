"""Rows set aside, on every store: both parts are versions, and what is refused leaves no trace."""

from datetime import UTC, datetime
from pathlib import Path
from typing import TYPE_CHECKING

import polars as pl
import pytest

from cd4ml.data.catalog import register
from cd4ml.data.quarantine import quarantine_of, snapshot_good
from cd4ml.data.versions import publish, scan_version, snapshot_files
from cd4ml.errors import ContractViolated
from tests.data.tables import CSV, FLIGHTS, file, flights

if TYPE_CHECKING:
    from cd4ml.store.blobs import Blobs
    from cd4ml.store.database import Database

AT = datetime(2013, 2, 1, tzinfo=UTC)
BAD = "four,??,1,true,2013-01-02\n"


def test_both_parts_are_published_and_read_again(
    blobs: "Blobs", database: "Database", tmp_path: Path
) -> None:
    file(tmp_path, "a.csv", CSV + BAD)

    good, bad, _ = snapshot_good(blobs, tmp_path, "a.csv", contract=FLIGHTS)

    assert bad is not None
    assert (good.n_rows, good.outcome, bad.n_rows, bad.outcome) == (3, "pass", 1, "fail")
    with database.write() as connection:
        for name in ("flights", quarantine_of("flights")):
            register(connection, name=name, at=AT, actor="ann")
        aside = publish(connection, bad, dataset="flights_quarantine", at=AT, actor="ann")
        version = publish(connection, good, dataset="flights", at=AT, actor="ann", quarantine=aside)
    assert (version.quarantine, version.n_quarantined) == ("flights_quarantine@1", 1)
    assert scan_version(blobs, version).collect().equals(flights())
    kept = scan_version(blobs, aside).collect()
    assert kept["broken_rules"].to_list() == [["flight is integer", "carrier is one of AA, UA"]]
    assert kept["flight"].to_list() == ["four"]


def test_the_same_rows_are_the_same_versions(blobs: "Blobs", tmp_path: Path) -> None:
    file(tmp_path, "a.csv", CSV + BAD)

    first = snapshot_good(blobs, tmp_path, "a.csv", contract=FLIGHTS)
    again = snapshot_good(blobs, tmp_path, "a.csv", contract=FLIGHTS)

    assert first == again


def test_files_without_bad_rows_are_not_rewritten(blobs: "Blobs", tmp_path: Path) -> None:
    file(tmp_path, "a.csv")

    good, bad, _ = snapshot_good(blobs, tmp_path, "a.csv", contract=FLIGHTS)

    assert bad is None
    assert good == snapshot_files(blobs, tmp_path, "a.csv", contract=FLIGHTS)


def test_what_cannot_be_set_aside_is_refused(blobs: "Blobs", tmp_path: Path) -> None:
    pl.read_csv(file(tmp_path, "a.csv", CSV + BAD)).drop("hour").write_csv(tmp_path / "a.csv")

    with pytest.raises(ContractViolated, match="hour is there: there is no such column"):
        snapshot_good(blobs, tmp_path, "a.csv", contract=FLIGHTS)
