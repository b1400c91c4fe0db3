"""A table's rows, looked at once: do they keep their contract, and what do they look like?"""

from __future__ import annotations

from collections.abc import Sequence
from contextlib import suppress
from pathlib import Path
from typing import TYPE_CHECKING, NamedTuple

from cd4ml.data.bins import type_name
from cd4ml.data.contract import check_along, refuse_unless_kept
from cd4ml.data.formats import Reading, reading_of, scan, unreadable_among
from cd4ml.data.places import Places
from cd4ml.data.profiles import Profiling
from cd4ml.data.rules import Context
from cd4ml.data.separators import SEPARATORS, refuse_other_separators, separators
from cd4ml.data.values import places_in, wrong_values
from cd4ml.records.dataset import DataFile
from cd4ml.records.finding import Finding
from cd4ml.records.profile import Profile
from cd4ml.store.address import address_of_record

if TYPE_CHECKING:
    import polars as pl

    from cd4ml.records.contract import Contract
    from cd4ml.store.blobs import Blobs

_IN_MEMORY = 64 * 10**6  # bytes of files; larger tables are read once more instead


class Measured(NamedTuple):
    """How a table is read, what it looks like, and what its contract says of it.

    `reading` and `profile` are None for files that are no table; `no_table` says why they are
    none, if they might have been meant to be one.
    """

    reading: Reading | None = None
    profile: Profile | None = None
    findings: tuple[Finding, ...] = ()
    no_table: str = ""


class TableFiles(NamedTuple):
    """Files that are one table, with their digests, and how people call them."""

    paths: list[Path]
    digests: list[str]
    name: str


def measure_files(
    blobs: Blobs,
    files: TableFiles,
    contract: Contract | None,
    context: Context,
    *,
    refuse: bool,
    before: str,
) -> Measured:
    """The rows of some files.

    Args:
        blobs: Where profiles are kept.
        files: Which files.
        contract: What the rows have to keep.
        context: The time, and the tables that the contract refers to.
        refuse: Whether rows that break it are refused.
        before: Address of the profile of the version before: what it knows is not read again.

    Raises:
        InvalidInput: If a file cannot be read, or the files are not one table.
        ContractViolated: If the rows break the contract.
    """
    reading = reading_of(files.paths, contract)
    table, findings = _checked(files, reading, contract, context, refuse=refuse)
    profile = _profiled(blobs, files, reading, table, before)
    return Measured(reading, profile, findings)


def rows_of(files: TableFiles) -> pl.LazyFrame:
    """The rows of files that have no contract yet, in memory.

    Raises:
        InvalidInput: If a file cannot be read, or the files are not one table.
    """
    import polars as pl

    reading = reading_of(files.paths)
    table, _ = _checked(files, reading, None, Context(), refuse=True)
    try:
        return table.collect().lazy()
    except pl.exceptions.PolarsError as error:
        raise unreadable_among(files.paths, reading, error) from None


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
    files: TableFiles,
    reading: Reading,
    contract: Contract | None,
    context: Context,
    *,
    refuse: bool,
) -> tuple[pl.LazyFrame, tuple[Finding, ...]]:
    """What the contract says of the rows, with the table as it was read for it."""
    import polars as pl

    paths, places = files.paths, places_in(files.paths, reading)
    try:
        table = _read_once(paths, reading)
        findings, has_other_separators = _looked_at(table, reading, contract, context, places)
    except pl.exceptions.PolarsError as error:
        _refuse_wrong_text(files, reading, contract, places)
        raise unreadable_among(paths, reading, error) from None
    if has_other_separators:
        has_contract = contract is not None
        refuse_other_separators(paths, reading, places, files.name, has_contract=has_contract)
    if contract is None:
        return table, ()
    is_json = reading.format == "ndjson"  # in which one text makes a column a column of text
    times = wrong_values(paths, reading, contract, only_times=not is_json, places=places)
    refuse_unless_kept(files.name, contract, times)  # what is no time was read as missing
    if refuse:
        refuse_unless_kept(files.name, contract, findings)
    return table, findings


def _looked_at(
    table: pl.LazyFrame,
    reading: Reading,
    contract: Contract | None,
    context: Context,
    places: Places,
) -> tuple[tuple[Finding, ...], bool]:
    """The findings, and whether lines have other separators; a second scan shows what is broken."""
    along = separators(reading, table.collect_schema())
    if contract is not None:
        checked = check_along(table, contract, context, along=along, places=places)
        return checked.findings, bool(checked.values.get(SEPARATORS))
    seen = table.select(along).collect().row(0, named=True) if along else {}
    return (), bool(seen.get(SEPARATORS))


def _refuse_wrong_text(
    files: TableFiles, reading: Reading, contract: Contract | None, places: Places
) -> None:
    """Refuse a CSV file for what is written in it, if it can be read as text at all."""
    import polars as pl

    if reading.format != "csv":
        return
    paths, has_contract = files.paths, contract is not None
    with suppress(pl.exceptions.PolarsError):
        refuse_other_separators(paths, reading, places, files.name, has_contract=has_contract)
        if contract:
            wrong = wrong_values(paths, reading, contract, places=places)
            refuse_unless_kept(files.name, contract, wrong)


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
        raise unreadable_among(files.paths, reading, error) from None


def _profiling(
    blobs: Blobs, frame: pl.LazyFrame, digests: Sequence[str], reading: Reading, before: str
) -> Profiling:
    schema = {name: type_name(type_) for name, type_ in frame.collect_schema().items()}
    return Profiling(blobs, before, digests, reading=address_of_record(reading), schema=schema)
