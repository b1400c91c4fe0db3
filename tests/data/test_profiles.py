"""Profiles of versions: bins stay, and only what is new is read."""

from collections.abc import Iterator
from datetime import datetime
from pathlib import Path
from typing import TYPE_CHECKING, Any

import polars as pl
import pytest

from cd4ml.data.catalog import register
from cd4ml.data.profiles import Profiling, profile_of
from cd4ml.data.snapshot import Snapshot, look, snapshot_frame
from cd4ml.data.snapshot import snapshot_files as snapshot_of
from cd4ml.data.versions import publish
from cd4ml.errors import NotFound
from cd4ml.records.profile import Profile
from tests.conftest import open_file_store
from tests.data.tables import CSV, FLIGHTS, file, flights

if TYPE_CHECKING:
    from cd4ml.store.database import Database
    from cd4ml.store.file_store import FileStore


@pytest.fixture
def files(sqlite_url: str, files_url: str, tmp_path: Path) -> "Iterator[FileStore]":
    from cd4ml.store.blobs import open_blobs
    from cd4ml.store.database import open_database

    database = open_database(sqlite_url)
    yield open_file_store(database, open_blobs(files_url), files_url, tmp_path / "cache")
    database.close()


def snapshot_files(store: "FileStore", root: Path, pattern: str, **options: Any) -> Snapshot:
    return snapshot_of(store, look(store, root, pattern), **options)


def day(folder: Path, number: int, **columns: object) -> Path:
    path = folder / f"days/{number:02d}.parquet"
    path.parent.mkdir(exist_ok=True)
    flights(flight=[number * 10 + i for i in range(3)], **columns).write_parquet(path)
    return path


def snap(blobs: "FileStore", folder: Path, before: str = "") -> Snapshot:
    return snapshot_files(blobs, folder, "days/*.parquet", before=before)


def of(blobs: "FileStore", snapshot: Snapshot) -> Profile:
    return profile_of(blobs.blobs, snapshot.profile)


def counts(made: Profile, name: str) -> tuple[int, ...]:
    return next(column.counts for column in made.columns if column.name == name)


def test_a_version_has_a_profile(
    database: "Database", file_store: "FileStore", tmp_path: Path, now: datetime
) -> None:
    file(tmp_path, "flights.csv", CSV)
    snapshot = snapshot_files(file_store, tmp_path, "flights.csv", contract=FLIGHTS)
    with database.write() as connection:
        register(connection, name="flights", at=now, actor="ada")
        version = publish(connection, snapshot, dataset="flights", at=now, actor="ada")

    made = profile_of(file_store.blobs, version.profile)

    assert (made.n_rows, [column.name for column in made.columns]) == (3, list(FLIGHTS.names))
    assert counts(made, "carrier") == (2, 1, 0, 0)


def test_later_versions_are_counted_in_the_bins_of_the_first(
    files: "FileStore", tmp_path: Path
) -> None:
    first = snapshot_frame(files, flights(hour=[1.0, 2.0, 3.0]), source="x")
    second = snapshot_frame(
        files, flights(hour=[9.0, 9.0, None], carrier=["UA", "HA", "HA"]), source="x",
        before=first.profile,
    )  # fmt: skip

    made, later = of(files, first), of(files, second)

    assert [column.bins for column in later.columns] == [column.bins for column in made.columns]
    assert counts(later, "hour")[-2:] == (2, 1)
    assert counts(later, "carrier") == (1, 0, 2, 0)


def test_only_new_files_are_read(files: "FileStore", tmp_path: Path) -> None:
    day(tmp_path, 1)
    first = snap(files, tmp_path)
    day(tmp_path, 2)
    day(tmp_path, 3)

    second = snap(files, tmp_path, first.profile)

    made = of(files, second)
    assert [len(part.files) for part in made.parts] == [1, 2]
    assert made.parts[0] == of(files, first).parts[0]
    assert (made.n_rows, counts(made, "carrier")) == (9, (6, 3, 0, 0))


def test_parts_give_the_profile_that_everything_would_have_given(
    files: "FileStore", tmp_path: Path
) -> None:
    day(tmp_path, 1)
    first = snap(files, tmp_path)
    day(tmp_path, 2, hour=[23.0, None, float("nan")])
    grown = of(files, snap(files, tmp_path, first.profile))

    whole = profile_again(files, tmp_path, first.profile)

    for part, at_once in zip(grown.columns, whole.columns, strict=True):
        assert (part.counts, part.bins, part.n_nan) == (at_once.counts, at_once.bins, at_once.n_nan)
        assert (part.minimum, part.maximum) == (at_once.minimum, at_once.maximum)
        assert part.mean == pytest.approx(at_once.mean)


def profile_again(blobs: "FileStore", folder: Path, before: str) -> Profile:
    """All files at once in the bins of before."""
    from cd4ml.data.profile import profile

    bins = {column.name: column.bins for column in profile_of(blobs.blobs, before).columns}
    return profile(pl.scan_parquet(sorted(folder.glob("days/*.parquet"))), bins)


@pytest.mark.parametrize("change", ["changed", "removed"])
def test_files_that_were_read_together_are_read_again_when_one_goes(
    files: "FileStore", tmp_path: Path, change: str
) -> None:
    path = day(tmp_path, 1)
    day(tmp_path, 2)
    first = snap(files, tmp_path)
    day(tmp_path, 3)
    second = snap(files, tmp_path, first.profile)
    path.unlink()
    if change == "changed":
        day(tmp_path, 1, carrier=["HA", "HA", "HA"])

    third = snap(files, tmp_path, second.profile)

    made = of(files, third)
    assert made.parts[0] == of(files, second).parts[1]
    assert len(made.parts) == 2
    assert counts(made, "carrier") == ((4, 2, 3, 0) if change == "changed" else (4, 2, 0, 0))


def test_files_that_are_there_twice_count_twice(files: "FileStore", tmp_path: Path) -> None:
    path = day(tmp_path, 1)
    first = snap(files, tmp_path)
    (tmp_path / "days/02.parquet").write_bytes(path.read_bytes())

    second = of(files, snap(files, tmp_path, first.profile))

    assert (second.n_rows, counts(second, "carrier")) == (6, (4, 2, 0, 0))
    assert [len(part.files) for part in second.parts] == [1, 1]


def test_nothing_new_is_nothing_to_read(files: "FileStore", tmp_path: Path) -> None:
    day(tmp_path, 1)
    day(tmp_path, 2)
    first = snap(files, tmp_path)
    (tmp_path / "days/02.parquet").unlink()
    (tmp_path / "days/01.parquet").rename(tmp_path / "days/07.parquet")
    second = snap(files, tmp_path, first.profile)
    (tmp_path / "days/07.parquet").rename(tmp_path / "days/08.parquet")

    third = snap(files, tmp_path, second.profile)

    assert third.digest != second.digest
    assert third.profile == second.profile


def test_columns_that_change_their_type_are_profiled_again(
    files: "FileStore", tmp_path: Path
) -> None:
    (tmp_path / "days").mkdir()
    (tmp_path / "days/1.csv").write_text("a,b\n1,x\n2,y\n")
    first = snapshot_files(files, tmp_path, "days/*.csv")
    (tmp_path / "days/2.csv").write_text("a,b\n1.5,x\n")

    second = snapshot_files(files, tmp_path, "days/*.csv", before=first.profile)

    made = of(files, second)
    a, b = made.columns
    assert (a.type, a.n_rows, a.mean) == ("Float64", 3, 1.5)
    assert a.bins == of(files, first).columns[0].bins
    assert (b.counts, len(made.parts)) == ((2, 1, 0, 0), 1)


def test_a_column_that_was_empty_is_pinned_by_the_first_values(
    files: "FileStore", tmp_path: Path
) -> None:
    nothing = pl.Series("hour", [None] * 3, dtype=pl.Float64)
    day(tmp_path, 1, hour=nothing)
    first = snap(files, tmp_path)
    day(tmp_path, 2, hour=[1.0, 2.0, 3.0])

    made = of(files, snap(files, tmp_path, first.profile))

    hour = next(column for column in made.columns if column.name == "hour")
    assert hour.bins.edges != ()
    assert (sum(hour.counts), hour.counts[-1]) == (6, 3)


def test_a_profile_that_is_gone_is_made_anew(files: "FileStore", tmp_path: Path) -> None:
    day(tmp_path, 1)
    lost = "blake3:" + "0" * 64

    assert of(files, snap(files, tmp_path, lost)).n_rows == 3


def test_a_version_without_a_profile_says_so(files: "FileStore") -> None:
    with pytest.raises(NotFound) as refused:
        profile_of(files.blobs, "")

    assert refused.value.message == "this version has no profile"


def test_fresh_files_are_those_that_no_part_knows(files: "FileStore", tmp_path: Path) -> None:
    day(tmp_path, 1)
    first = snap(files, tmp_path)
    part = of(files, first).parts[0]
    schema = {column.name: column.type for column in of(files, first).columns}

    profiling = Profiling(
        files.blobs, first.profile, ["x", *part.files, *part.files],
        reading=part.reading, schema=schema,
    )  # fmt: skip

    assert profiling.fresh == (0, 2)
    other = Profiling(files.blobs, first.profile, part.files, reading="another", schema=schema)
    assert other.fresh == (0,)
