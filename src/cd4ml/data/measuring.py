"""A table's rows, looked at once: do they keep their contract, and what do they look like?"""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, NamedTuple

from cd4ml.data.bins import type_name
from cd4ml.data.contract import check, refuse_unless_kept
from cd4ml.data.formats import Reading, reading_of, scan, unreadable
from cd4ml.data.profiles import Profiling
from cd4ml.data.values import wrong_values
from cd4ml.records.dataset import DataFile
from cd4ml.records.finding import Finding
from cd4ml.records.profile import Profile
from cd4ml.store.address import address_of_record

if TYPE_CHECKING:
    import polars as pl

    from cd4ml.errors import InvalidInput
    from cd4ml.records.contract import Contract
    from cd4ml.store.blobs import Blobs

_IN_MEMORY = 64 * 10**6  # bytes of files; larger tables are read once more instead


class Measured(NamedTuple):
    """How a table is read, what it looks like, and what its contract says of it.

    `reading` and `profile` are None for files that are no table.
    """

    reading: Reading | None = None
    profile: Profile | None = None
    findings: tuple[Finding, ...] = ()


class TableFiles(NamedTuple):
    """Files that are one table, with their digests, and how people call them."""

    paths: list[Path]
    digests: list[str]
    name: str


def measure_files(
    blobs: Blobs,
    files: TableFiles,
    contract: Contract | None,
    *,
    refuse: bool,
    before: str,
) -> Measured:
    """The rows of some files.

    Args:
        blobs: Where profiles are kept.
        files: Which files.
        contract: What the rows have to keep.
        refuse: Whether rows that break it are refused.
        before: Address of the profile of the version before: what it knows is not read again.

    Raises:
        InvalidInput: If a file cannot be read, or the files are not one table.
        ContractViolated: If the rows break the contract.
    """
    reading = reading_of(files.paths, contract)
    table, findings = _checked(files, reading, contract, refuse=refuse)
    profile = _profiled(blobs, files, reading, table, before)
    return Measured(reading, profile, findings)


def measure_frame(
    blobs: Blobs, frame: pl.LazyFrame, digest: str, findings: tuple[Finding, ...], before: str
) -> Measured:
    """The rows of a table that was made here, and was checked already.

    Args:
        blobs: Where profiles are kept.
        frame: The table.
        digest: Of the Parquet file that it is.
        findings: What its contract says of it.
        before: Address of the profile of the version before, whose bins are kept.
    """
    reading = Reading(format="parquet")
    profiling = _profiling(blobs, frame, [digest], reading, before)
    return Measured(reading, profiling.keep(frame, frame), findings)


def profile_after(
    blobs: Blobs,
    before: str,
    files: Sequence[DataFile],
    new: pl.DataFrame,
    paths: list[str],
) -> Profile:
    """The profile of Parquet files of which the last one is new.

    Args:
        blobs: Where profiles are kept.
        before: Address of the profile of the files before it.
        files: All files.
        new: The rows of the last one.
        paths: Where the files before it are: read only if their profile cannot be added to.
    """
    import polars as pl

    digests = [file.digest for file in files]
    profiling = _profiling(blobs, new.lazy(), digests, Reading(format="parquet"), before)
    everything = pl.concat([pl.scan_parquet(paths), new.lazy()])
    is_last_alone = profiling.fresh == (len(files) - 1,)
    return profiling.keep(new.lazy() if is_last_alone else everything, everything)


def _checked(
    files: TableFiles, reading: Reading, contract: Contract | None, *, refuse: bool
) -> tuple[pl.LazyFrame, tuple[Finding, ...]]:
    """What the contract says of the rows, with the table as it was read for it."""
    import polars as pl

    paths = files.paths
    if contract is None:
        return scan(paths, reading), ()
    try:
        table = _read_once(paths, reading)
        findings = check(table, contract)
    except pl.exceptions.PolarsError as error:
        if reading.format == "csv":
            refuse_unless_kept(files.name, contract, wrong_values(paths, reading, contract))
        raise _unreadable(paths, reading, error) from None
    times = wrong_values(paths, reading, contract, only_times=True)
    refuse_unless_kept(files.name, contract, times)  # what is no time was read as missing
    if refuse:
        refuse_unless_kept(files.name, contract, findings)
    return table, findings


def _read_once(paths: Sequence[Path], reading: Reading) -> pl.LazyFrame:
    """The table, in memory where it is small: contract and profile read its files once."""
    table = scan(paths, reading)
    is_small = sum(path.stat().st_size for path in paths) <= _IN_MEMORY
    return table.collect().lazy() if is_small else table


def _profiled(
    blobs: Blobs, files: TableFiles, reading: Reading, table: pl.LazyFrame, before: str
) -> Profile:
    """The profile of files: only those that the one before does not know are read."""
    import polars as pl

    try:
        profiling = _profiling(blobs, table, files.digests, reading, before)
        fresh = [files.paths[place] for place in profiling.fresh]
        rows = table if len(fresh) in (0, len(files.paths)) else scan(fresh, reading)
        return profiling.keep(rows, table)
    except pl.exceptions.PolarsError as error:
        raise _unreadable(files.paths, reading, error) from None


def _profiling(
    blobs: Blobs, frame: pl.LazyFrame, digests: Sequence[str], reading: Reading, before: str
) -> Profiling:
    schema = {name: type_name(type_) for name, type_ in frame.collect_schema().items()}
    return Profiling(blobs, before, digests, reading=address_of_record(reading), schema=schema)


def _unreadable(paths: Sequence[Path], reading: Reading, error: Exception) -> InvalidInput:
    """The refusal that names the file that cannot be read."""
    import polars as pl

    for path in paths:
        try:
            scan([path], reading).select(pl.len(), pl.all().null_count()).collect()
        except pl.exceptions.PolarsError as own:
            return unreadable(path, own)
    return unreadable(paths[0], error)
