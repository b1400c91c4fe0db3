"""Immutable versions of datasets: which bytes, read how, with what in them.

A version is made in two moves. A snapshot reads, checks and stores the files; that takes
as long as it takes and changes nothing that anybody sees. Publishing it is one short
transaction.
"""

from __future__ import annotations

import io
from collections.abc import Sequence
from contextlib import suppress
from datetime import datetime
from pathlib import Path
from typing import TYPE_CHECKING, Any

import msgspec

from cd4ml.data.contract import check_along, refuse_unless_kept
from cd4ml.data.files import files_of, left_alone
from cd4ml.data.formats import Reading, reading_of, scan, unreadable_among
from cd4ml.data.places import Places
from cd4ml.data.profile import Profile
from cd4ml.data.rules import Context
from cd4ml.data.separators import SEPARATORS, refuse_other_separators, separators
from cd4ml.data.values import places_in, wrong_values
from cd4ml.errors import Conflict, Corrupted, InvalidInput, NotFound
from cd4ml.records.contract import Contract
from cd4ml.records.dataset import Column, DataFile, Dataset, DatasetVersion
from cd4ml.records.finding import Finding, Outcome, worst
from cd4ml.store import ledger, lineage, rows
from cd4ml.store.address import address_of_file, address_of_record

if TYPE_CHECKING:
    import polars as pl
    from sqlalchemy import Connection

    from cd4ml.store.blobs import Blobs

_LISTED = 10  # broken rules in a ledger entry


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

    @property
    def outcome(self) -> Outcome:
        """Of its contract; inconclusive without one."""
        decisive = tuple(f.outcome for f in self.findings if f.is_gated)
        return worst(decisive) if self.contract else "inconclusive"


def snapshot_files(
    blobs: Blobs,
    root: Path,
    pattern: str,
    *,
    contract: Contract | None = None,
    refuse: bool = True,
    context: Context = Context(),  # noqa: B008 - immutable
) -> Snapshot:
    """The present content of files.

    Args:
        blobs: Where the bytes are kept.
        root: The folder that `pattern` and the files' paths are relative to.
        pattern: A file or glob: CSV, Parquet or newline-delimited JSON.
        contract: What the rows have to keep.
        refuse: Whether rows that break it are refused; else the version says so.
        context: The time, and the tables that the contract refers to.

    Raises:
        NotFound: If no file matches.
        InvalidInput: If a file cannot be read, or the files are not one table.
        ContractViolated: If the rows break the contract; nothing is stored.
        Conflict: If a file changed while it was read.
    """
    paths = files_of(root, pattern)
    with left_alone(paths):
        reading = reading_of(paths, contract)
        measured = _measured(paths, reading, contract, context, pattern, refuse=refuse)
        try:
            files = tuple(_stored(blobs, path, root) for path in paths)
        except Corrupted as error:  # the store saw the file change
            raise Conflict(error.message, hint=error.hint) from None
    return _snapshot(blobs, files, reading, contract, source=pattern, measured=measured)


def snapshot_frame(
    blobs: Blobs,
    frame: pl.DataFrame,
    *,
    source: str,
    contract: Contract | None = None,
    refuse: bool = True,
    context: Context = Context(),  # noqa: B008 - immutable
) -> Snapshot:
    """A table that was made here, as one Parquet file; the same rows have the same digest.

    Args:
        blobs: Where the bytes are kept.
        frame: The table.
        source: Where its rows came from, in words ("production").
        contract: What the rows have to keep.
        refuse: Whether rows that break it are refused; else the version says so.
        context: The time, and the tables that the contract refers to.

    Raises:
        ContractViolated: If the rows break the contract; nothing is stored.
    """
    measured = _measurement(frame.lazy(), contract, context)
    if contract and refuse:
        refuse_unless_kept(f"the table from {source}", contract, measured.findings)
    buffer = io.BytesIO()
    # one chunk: how rows happen to lie in memory would show in the bytes
    frame.rechunk().write_parquet(buffer, compression="zstd", statistics=True)
    data = buffer.getvalue()
    file = DataFile(path="rows.parquet", size=len(data), digest=blobs.put(data))
    reading = Reading(format="parquet")
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
    quarantine: DatasetVersion | None = None,
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
        quarantine: The version with the rows that were set aside.

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
        quarantine=quarantine.ref if quarantine else "",
        n_quarantined=quarantine.n_rows if quarantine else 0,
        parents=tuple(parents),
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
    columns: tuple[Column, ...]
    n_rows: int
    findings: tuple[Finding, ...]
    has_other_separators: bool = False


def _measured(
    paths: list[Path],
    reading: Reading,
    contract: Contract | None,
    context: Context,
    what: str,
    *,
    refuse: bool,
) -> _Measurement:
    import polars as pl

    places = places_in(paths, reading)
    try:
        found = _measurement(scan(paths, reading), contract, context, reading, places)
    except pl.exceptions.PolarsError as error:
        _refuse_wrong_text(paths, reading, contract, places, what)
        raise unreadable_among(paths, reading, error) from None
    if found.has_other_separators:
        refuse_other_separators(paths, reading, places, what, has_contract=contract is not None)
    if contract is None:
        return found
    is_json = reading.format == "ndjson"  # in which one text makes a column a column of text
    times = wrong_values(paths, reading, contract, only_times=not is_json, places=places)
    refuse_unless_kept(what, contract, times)  # what is no time was read as missing
    if refuse:
        refuse_unless_kept(what, contract, found.findings)
    return found


def _measurement(
    frame: pl.LazyFrame,
    contract: Contract | None,
    context: Context,
    reading: Reading | None = None,
    places: Places | None = None,
) -> _Measurement:
    """Profile and contract in one scan; a second one shows what breaks the contract."""
    import polars as pl

    schema = frame.collect_schema()
    profile = Profile(schema)
    along = [*profile.expressions, *separators(reading, schema)]
    if contract:
        checked = check_along(frame, contract, context, along=along, places=places)
        seen, findings = checked.values, checked.findings
    else:
        n_rows = pl.len().alias("n_rows")
        seen, findings = frame.select(n_rows, *along).collect().row(0, named=True), ()
    return _Measurement(
        columns=profile.columns(seen),
        n_rows=seen["n_rows"],
        findings=findings,
        has_other_separators=bool(seen.get(SEPARATORS)),
    )


def _refuse_wrong_text(
    paths: list[Path], reading: Reading, contract: Contract | None, places: Places, what: str
) -> None:
    """Refuse a CSV file for what is written in it, if it can be read as text at all."""
    import polars as pl

    if reading.format != "csv":
        return
    with suppress(pl.exceptions.PolarsError):
        refuse_other_separators(paths, reading, places, what, has_contract=contract is not None)
        if contract:
            wrong = wrong_values(paths, reading, contract, places=places)
            refuse_unless_kept(what, contract, wrong)


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
        columns=measured.columns,
        n_rows=measured.n_rows,
        source=source,
        contract=blobs.put_record(contract) if contract else "",
        findings=measured.findings,
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
    if version.quarantine:
        details |= {"quarantine": version.quarantine, "n_quarantined": version.n_quarantined}
    ledger.append(
        connection,
        at=version.created_at,
        actor=version.created_by,
        action="dataset.versioned",
        subject=version.ref,
        reason=version.note,
        details=details,
    )
