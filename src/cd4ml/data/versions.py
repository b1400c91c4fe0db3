"""Immutable versions of datasets: published under a number, found again, read.

A version is made in two moves. A snapshot (`data.snapshot`) reads, checks and stores the
files; that takes as long as it takes and changes nothing that anybody sees. Publishing it
is one short transaction.
"""

from __future__ import annotations

import stat
from collections.abc import Sequence
from datetime import datetime
from pathlib import Path
from typing import TYPE_CHECKING, Any

from cd4ml.data.files import openable
from cd4ml.data.findable import make_findable
from cd4ml.data.formats import scan
from cd4ml.data.manifest import Manifest, content_of, manifest_of, told_by_name
from cd4ml.data.names import inside, spoken
from cd4ml.data.remote import fetch_left, is_remote
from cd4ml.data.snapshot import Look, Snapshot
from cd4ml.data.taking import data_files
from cd4ml.errors import Corrupted, InvalidInput, NotFound
from cd4ml.records.contract import Contract
from cd4ml.records.dataset import DataFile, Dataset, DatasetVersion, RemovedVersion
from cd4ml.records.finding import Finding
from cd4ml.store import ledger, lineage, rows
from cd4ml.store.address import address_of_file, address_of_record
from cd4ml.store.file_store import settle

if TYPE_CHECKING:
    import polars as pl
    from sqlalchemy import Connection

    from cd4ml.store.file_store import FileStore

_LISTED = 10  # broken rules in a ledger entry


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

    A snapshot with the digest, contract and quarantine of an earlier version is that version,
    however many came after it. Publishers at once are serialised; each number is given once.

    Args:
        connection: Of a write transaction.
        snapshot: What to publish.
        dataset: The name of a registered dataset.
        at: When.
        actor: Who.
        note: What is special about it; why its files are no table is added.
        parents: Digests of what it was made from.
        quarantine: The version with the rows that were set aside.

    Raises:
        NotFound: If no such dataset is registered.
        Conflict: If bytes that it shares with an earlier version were removed meanwhile.
    """
    described = rows.get(connection, Dataset, dataset, lock=True)
    settle(connection, snapshot.new, snapshot.relied_on)
    aside = quarantine.ref if quarantine else ""
    for version in rows.find(connection, DatasetVersion, dataset=dataset, digest=snapshot.digest):
        is_same = (version.contract, version.quarantine) == (snapshot.contract, aside)
        if is_same and not is_removed(connection, version):
            return version
    version = DatasetVersion(
        dataset=dataset,
        number=rows.next_number(connection, DatasetVersion, dataset),
        digest=snapshot.digest,
        content=snapshot.content,
        kind=snapshot.kind,
        columns=snapshot.columns,
        n_rows=snapshot.n_rows,
        n_files=snapshot.n_files,
        n_bytes=snapshot.n_bytes,
        source=snapshot.source,
        place=snapshot.place,
        contract=snapshot.contract,
        outcome=snapshot.outcome,
        note="; ".join(said for said in (note, snapshot.no_table) if said),
        quarantine=aside,
        n_quarantined=quarantine.n_rows if quarantine else 0,
        parents=tuple(parents),
        profile=snapshot.profile,
        created_at=at,
        created_by=actor,
    )
    rows.insert(connection, version)
    make_findable(connection, described, version)
    findings = snapshot.findings
    if described.readers:  # the ledger is for everybody, and for ever
        findings = tuple(finding.without_example for finding in findings)
    _trace(connection, version, findings)
    return version


def known_version(
    connection: Connection,
    dataset: str,
    looked: Look,
    *,
    contract: Contract | None = None,
) -> DatasetVersion | None:
    """The version that has exactly these files and this contract; None if none has.

    Nothing is read: None also if that would be needed to know.
    """
    if not looked.is_known:
        return None
    listing = looked.listing
    content = content_of(data_files(listing.files, looked.digests), listing.folders)
    address = address_of_record(contract) if contract else ""
    found = rows.find(
        connection, DatasetVersion, dataset=dataset, content=content, newest_first=True
    )
    for version in found:
        if version.contract == address and not is_removed(connection, version):
            return version
    return None


def is_removed(connection: Connection, version: DatasetVersion) -> bool:
    """Whether a version's bytes are no longer kept."""
    return bool(
        rows.count(connection, RemovedVersion, dataset=version.dataset, number=version.number)
    )


def newest_version(connection: Connection, dataset: str) -> DatasetVersion | None:
    """The newest version of a dataset; None if it has none."""
    newest = rows.find(connection, DatasetVersion, dataset=dataset, newest_first=True, limit=1)
    return newest[0] if newest else None


def require_newest(connection: Connection, dataset: str) -> DatasetVersion:
    """The newest version of a dataset.

    Raises:
        NotFound: If there is no such dataset, or it has no version yet.
    """
    newest = newest_version(connection, dataset)
    if newest is not None:
        return newest
    rows.get(connection, Dataset, dataset)  # says which datasets there are, if it is none
    msg = f"the dataset {dataset!r} has no version yet"
    raise NotFound(msg, hint=f"cd4ml data add {dataset}")


def scan_version(store: FileStore, version: DatasetVersion) -> pl.LazyFrame:
    """The table of a version, its bytes verified, not read yet.

    Raises:
        NotFound: If its bytes are no longer there.
        Corrupted: If they are not what was stored.
        InvalidInput: If it is no table.
    """
    manifest = manifest_of(store.blobs, version)
    if manifest.reading is None:
        msg = f"{version.ref} consists of files that are no table"
        _, _, why = version.note.partition("no table")  # ": ..." behind what people noted
        hint = f"cd4ml data checkout {version.ref} --to FOLDER"
        raise InvalidInput(f"{msg}{why}", hint=hint)
    paths = paths_of(store, version, manifest)
    return scan(openable(paths, store.cache / "names"), manifest.reading)


def paths_of(store: FileStore, version: DatasetVersion, manifest: Manifest) -> list[Path]:
    """Local, verified files with the bytes of a version, in the order of its manifest.

    Raises:
        NotFound: If they are no longer there.
        Corrupted: If they are not what was stored.
    """
    with told_by_name(version.ref, manifest.files):
        if not version.place:
            return store.paths([file.digest for file in manifest.files])
        held = store.held([file.digest for file in manifest.files])
        stored = dict(zip(held, store.paths(list(held)), strict=True))
    return [
        stored[file.digest] if file.digest in stored else left_in_place(store, version, file)
        for file in manifest.files
    ]


def left_in_place(store: FileStore, version: DatasetVersion, file: DataFile) -> Path:
    """A file of a version that was left where it lay, verified; of an object, a copy.

    Raises:
        NotFound: If it is no longer there.
        Corrupted: If it holds something else by now.
    """
    name = inside(file.path)
    if is_remote(version.place):
        path = fetch_left(version.place, name, file.digest, store.cache / "left")
        shown = f"{version.place}/{file.path}"
    else:
        shown = f"{version.place.rstrip('/')}/{file.path}"
        path = _unchanged(Path(spoken(version.place)) / name, shown, version, file)
    if path is None:
        msg = f"{shown} has changed since it became part of {version.ref}"
        raise Corrupted(msg, hint='with store = "copy" a version stays what it was')
    return path


def _unchanged(path: Path, shown: str, version: DatasetVersion, file: DataFile) -> Path | None:
    try:
        # whoever reads a pipe that was put there waits forever
        if not stat.S_ISREG(path.stat().st_mode):
            return None
        return path if address_of_file(path) == file.digest else None
    except OSError as error:
        msg = f"{shown} of {version.ref} cannot be read: {error.strerror}"
        raise NotFound(msg, hint="it was left there instead of being stored") from None


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
        "n_files": version.n_files,
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
