"""Immutable versions of datasets: which bytes, read how, with what in them.

A version is made in two moves. A snapshot reads, checks and stores the files; that takes
as long as it takes and changes nothing that anybody sees. Publishing it is one short
transaction.
"""

from __future__ import annotations

import io
from collections.abc import Sequence
from datetime import datetime
from pathlib import Path
from typing import TYPE_CHECKING, Any, NamedTuple

import msgspec

from cd4ml.data.bins import type_name
from cd4ml.data.contract import check, refuse_unless_kept
from cd4ml.data.files import files_of, left_alone
from cd4ml.data.formats import Reading, reading_of, scan, unreadable
from cd4ml.data.profile import columns_of
from cd4ml.data.profiles import Profiling
from cd4ml.data.values import wrong_values
from cd4ml.errors import Conflict, Corrupted, InvalidInput, NotFound
from cd4ml.records.contract import Contract
from cd4ml.records.dataset import Column, DataFile, Dataset, DatasetVersion
from cd4ml.records.finding import Finding, Outcome, worst
from cd4ml.records.profile import Profile
from cd4ml.store import ledger, lineage, rows
from cd4ml.store.address import address_of_file, address_of_record

if TYPE_CHECKING:
    import polars as pl
    from sqlalchemy import Connection

    from cd4ml.store.blobs import Blobs

_LISTED = 10  # broken rules in a ledger entry
_IN_MEMORY = 64 * 10**6  # bytes of files; larger tables are read once more instead


class Manifest(msgspec.Struct, frozen=True, kw_only=True):
    """The content of a version; its address is the version's digest."""

    files: tuple[DataFile, ...]
    reading: Reading


class Snapshot(msgspec.Struct, frozen=True, kw_only=True):
    """A version that has no number yet: stored, checked and counted."""

    digest: str
    files: tuple[DataFile, ...]
    columns: tuple[Column, ...]
    n_rows: int
    source: str
    contract: str = ""
    findings: tuple[Finding, ...] = ()
    profile: str = ""

    @property
    def outcome(self) -> Outcome:
        """Of its contract; inconclusive without one."""
        return worst(tuple(f.outcome for f in self.findings)) if self.contract else "inconclusive"


def snapshot_files(
    blobs: Blobs,
    root: Path,
    pattern: str,
    *,
    contract: Contract | None = None,
    refuse: bool = True,
    before: str = "",
) -> Snapshot:
    """The present content of files.

    Args:
        blobs: Where the bytes are kept.
        root: The folder that `pattern` and the files' paths are relative to.
        pattern: A file or glob: CSV, Parquet or newline-delimited JSON.
        contract: What the rows have to keep.
        refuse: Whether rows that break it are refused; else the version says so.
        before: The address of the profile of the version before, whose bins are kept; rows
            of files that it knows are not profiled again.

    Raises:
        NotFound: If no file matches.
        InvalidInput: If a file cannot be read, or the files are not one table.
        ContractViolated: If the rows break the contract; nothing is stored.
        Conflict: If a file changed while it was read.
    """
    paths = files_of(root, pattern)
    with left_alone(paths):
        reading = reading_of(paths, contract)
        checked = _checked(paths, reading, contract, pattern, refuse=refuse)
        profile = _profiled(blobs, paths, reading, before, checked.table)
        try:
            files = tuple(_stored(blobs, path, root) for path in paths)
        except Corrupted as error:  # the store saw the file change
            raise Conflict(error.message, hint=error.hint) from None
    measured = _Measurement(profile=profile, findings=checked.findings)
    return _snapshot(blobs, files, reading, contract, source=pattern, measured=measured)


def snapshot_frame(
    blobs: Blobs,
    frame: pl.DataFrame,
    *,
    source: str,
    contract: Contract | None = None,
    refuse: bool = True,
    before: str = "",
) -> Snapshot:
    """A table that was made here, as one Parquet file; the same rows have the same digest.

    Args:
        blobs: Where the bytes are kept.
        frame: The table.
        source: Where its rows came from, in words ("production").
        contract: What the rows have to keep.
        refuse: Whether rows that break it are refused; else the version says so.
        before: The address of the profile of the version before, whose bins are kept.

    Raises:
        ContractViolated: If the rows break the contract; nothing is stored.
    """
    findings = check(frame.lazy(), contract) if contract else ()
    if contract and refuse:
        refuse_unless_kept(f"the table from {source}", contract, findings)
    buffer = io.BytesIO()
    # one chunk: how rows happen to lie in memory would show in the bytes
    frame.rechunk().write_parquet(buffer, compression="zstd", statistics=True)
    data = buffer.getvalue()
    file = DataFile(path="rows.parquet", size=len(data), digest=blobs.put(data))
    reading = Reading(format="parquet")
    profiling = _profiling(blobs, frame.lazy(), [file.digest], reading, before)
    made = profiling.keep(frame.lazy(), frame.lazy())
    measured = _Measurement(profile=made, findings=findings)
    return _snapshot(blobs, (file,), reading, contract, source=source, measured=measured)


def publish(
    connection: Connection,
    snapshot: Snapshot,
    *,
    dataset: str,
    at: datetime,
    actor: str,
    note: str = "",
    parents: Sequence[str] = (),
) -> DatasetVersion:
    """Give a snapshot its number; what was published before keeps its own.

    A snapshot with the digest and contract of an earlier version is that version, however
    many came after it. Publishers at once are serialised; each number is given once.

    Args:
        connection: Of a write transaction.
        snapshot: What to publish.
        dataset: The name of a registered dataset.
        at: When.
        actor: Who.
        note: What is special about it.
        parents: Digests of what it was made from.

    Raises:
        NotFound: If no such dataset is registered.
    """
    rows.get(connection, Dataset, dataset, lock=True)
    for version in rows.find(connection, DatasetVersion, dataset=dataset, digest=snapshot.digest):
        if version.contract == snapshot.contract:
            return version
    version = DatasetVersion(
        dataset=dataset,
        number=rows.next_number(connection, DatasetVersion, dataset),
        digest=snapshot.digest,
        files=snapshot.files,
        columns=snapshot.columns,
        n_rows=snapshot.n_rows,
        n_bytes=sum(file.size for file in snapshot.files),
        source=snapshot.source,
        contract=snapshot.contract,
        outcome=snapshot.outcome,
        note=note,
        parents=tuple(parents),
        profile=snapshot.profile,
        created_at=at,
        created_by=actor,
    )
    rows.insert(connection, version)
    _trace(connection, version, snapshot.findings)
    return version


def known_version(
    connection: Connection,
    dataset: str,
    *,
    root: Path,
    pattern: str,
    contract: Contract | None = None,
) -> DatasetVersion | None:
    """The version that has exactly the present files and this contract; None if none has.

    Reads the files' bytes, but neither parses nor checks them: that was done when the
    version was made.

    Raises:
        NotFound: If no file matches.
    """
    paths = files_of(root, pattern)
    files = [(_shown(path, root), address_of_file(path)) for path in paths]
    address = address_of_record(contract) if contract else ""
    for version in rows.find(connection, DatasetVersion, dataset=dataset, newest_first=True):
        found = [(file.path, file.digest) for file in version.files]
        if (found, version.contract) == (files, address):
            return version
    return None


def newest_version(connection: Connection, dataset: str) -> DatasetVersion | None:
    """The newest version of a dataset; None if it has none."""
    newest = rows.find(connection, DatasetVersion, dataset=dataset, newest_first=True, limit=1)
    return newest[0] if newest else None


def find_version(connection: Connection, ref: str) -> DatasetVersion:
    """The version that `name@number` names, or the newest one of `name`.

    Raises:
        NotFound: If there is none.
        InvalidInput: If the ref has another form.
    """
    name, at_sign, number = ref.partition("@")
    if at_sign:
        if not (number.isascii() and number.isdigit()):
            msg = f"expected NAME@NUMBER, got {ref!r}"
            raise InvalidInput(msg, hint=f"for example {name or 'flights'}@1")
        return rows.get(connection, DatasetVersion, name, int(number))
    newest = newest_version(connection, name)
    if newest is not None:
        return newest
    rows.get(connection, Dataset, name)  # says which datasets there are, if it is none
    msg = f"the dataset {name!r} has no version yet"
    raise NotFound(msg, hint=f"cd4ml data add {name}")


def scan_version(blobs: Blobs, version: DatasetVersion) -> pl.LazyFrame:
    """The table of a version, its bytes verified, not read yet.

    Raises:
        NotFound: If its bytes are no longer there.
        Corrupted: If they are not what was stored.
    """
    manifest = blobs.get_record(version.digest, Manifest)
    return scan([blobs.path(file.digest) for file in manifest.files], manifest.reading)


def open_version(connection: Connection, blobs: Blobs, ref: str) -> pl.LazyFrame:
    """The table of `name@number`, or of the newest version of `name`, not read yet.

    Raises:
        NotFound: If there is no such version, or its bytes are gone.
        Corrupted: If its bytes are not what was stored.
    """
    return scan_version(blobs, find_version(connection, ref))


class _Measurement(msgspec.Struct, frozen=True):
    profile: Profile
    findings: tuple[Finding, ...]


class _Checked(NamedTuple):
    table: pl.LazyFrame
    findings: tuple[Finding, ...] = ()


def _checked(
    paths: list[Path], reading: Reading, contract: Contract | None, what: str, *, refuse: bool
) -> _Checked:
    """What the contract says of the rows, with the table as it was read for it."""
    import polars as pl

    if contract is None:
        return _Checked(scan(paths, reading))
    try:
        table = _read_once(paths, reading)
        findings = check(table, contract)
    except pl.exceptions.PolarsError as error:
        if reading.format == "csv":
            refuse_unless_kept(what, contract, wrong_values(paths, reading, contract))
        raise _unreadable(paths, reading, error) from None
    times = wrong_values(paths, reading, contract, only_times=True)
    refuse_unless_kept(what, contract, times)  # what is no time was read as missing
    if refuse:
        refuse_unless_kept(what, contract, findings)
    return _Checked(table, findings)


def _read_once(paths: list[Path], reading: Reading) -> pl.LazyFrame:
    """The table, in memory where it is small: contract and profile read its files once."""
    table = scan(paths, reading)
    is_small = sum(path.stat().st_size for path in paths) <= _IN_MEMORY
    return table.collect().lazy() if is_small else table


def _profiled(
    blobs: Blobs, paths: list[Path], reading: Reading, before: str, table: pl.LazyFrame
) -> Profile:
    """The profile of files: only those that the one before does not know are read."""
    import polars as pl

    try:
        digests = [address_of_file(path) for path in paths]
        profiling = _profiling(blobs, table, digests, reading, before)
        fresh = [paths[place] for place in profiling.fresh]
        rows = table if len(fresh) in (0, len(paths)) else scan(fresh, reading)
        return profiling.keep(rows, table)
    except pl.exceptions.PolarsError as error:
        raise _unreadable(paths, reading, error) from None


def _profiling(
    blobs: Blobs, frame: pl.LazyFrame, digests: list[str], reading: Reading, before: str
) -> Profiling:
    schema = {name: type_name(type_) for name, type_ in frame.collect_schema().items()}
    return Profiling(blobs, before, digests, reading=address_of_record(reading), schema=schema)


def _unreadable(paths: list[Path], reading: Reading, error: Exception) -> InvalidInput:
    """The refusal that names the file that cannot be read."""
    import polars as pl

    for path in paths:
        try:
            scan([path], reading).select(pl.len(), pl.all().null_count()).collect()
        except pl.exceptions.PolarsError as own:
            return unreadable(path, own)
    return unreadable(paths[0], error)


def _stored(blobs: Blobs, path: Path, root: Path) -> DataFile:
    size = path.stat().st_size
    return DataFile(path=_shown(path, root), size=size, digest=blobs.put_file(path))


def _shown(path: Path, root: Path) -> str:
    shown = path.relative_to(root) if path.is_relative_to(root) else path
    return shown.as_posix()


def _snapshot(
    blobs: Blobs,
    files: tuple[DataFile, ...],
    reading: Reading,
    contract: Contract | None,
    *,
    source: str,
    measured: _Measurement,
) -> Snapshot:
    return Snapshot(
        digest=blobs.put_record(Manifest(files=files, reading=reading)),
        files=files,
        columns=columns_of(measured.profile),
        n_rows=measured.profile.n_rows,
        source=source,
        contract=blobs.put_record(contract) if contract else "",
        findings=measured.findings,
        profile=blobs.put_record(measured.profile),
    )


def _trace(connection: Connection, version: DatasetVersion, findings: tuple[Finding, ...]) -> None:
    lineage.note(
        connection,
        address=version.digest,
        kind="dataset version",
        name=version.ref,
        at=version.created_at,
    )
    for parent in version.parents:
        lineage.link(connection, version.digest, parent, "input")
    broken = [f"{f.gate}: {f.reason}" for f in findings if f.outcome != "pass"]
    details: dict[str, Any] = {
        "digest": version.digest,
        "n_rows": version.n_rows,
        "source": version.source,
        "contract": version.contract,
        "outcome": version.outcome,
        "broken": broken[:_LISTED],
    }
    ledger.append(
        connection,
        at=version.created_at,
        actor=version.created_by,
        action="dataset.versioned",
        subject=version.ref,
        reason=version.note,
        details=details,
    )
