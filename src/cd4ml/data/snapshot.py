"""The present content of files or of a table: read, checked, stored, not yet published."""

from __future__ import annotations

import io
import os
from pathlib import Path
from typing import TYPE_CHECKING, NamedTuple

import msgspec

from cd4ml.data.contract import check, refuse_unless_kept
from cd4ml.data.files import Listing, files_of, left_alone, openable
from cd4ml.data.formats import SUFFIXES
from cd4ml.data.manifest import Manifest, content_of
from cd4ml.data.measuring import Measured, TableFiles, measure_files, measure_frame
from cd4ml.data.names import written
from cd4ml.data.profile import columns_of
from cd4ml.data.remote import is_remote, remote_files
from cd4ml.data.rules import Context
from cd4ml.data.stat_cache import StatCache
from cd4ml.data.taking import Keeping, Taken, data_files, digests_of, take
from cd4ml.errors import ContractViolated, InvalidInput
from cd4ml.records.contract import Contract
from cd4ml.records.dataset import Column, DataFile, Kind
from cd4ml.records.finding import Finding, Outcome, worst
from cd4ml.records.stored_file import StoredFile
from cd4ml.store.address import address_of
from cd4ml.store.delivery import Delivery
from cd4ml.store.objects import Way

if TYPE_CHECKING:
    import polars as pl

    from cd4ml.store.file_store import FileStore

_MANY = 256  # files; of so many, small ones lie side by side even if they are tables
_ENDS = tuple(SUFFIXES)


class Look(NamedTuple):
    """Files as they lie there now, and what is known of them without reading them."""

    pattern: str
    listing: Listing
    cache: StatCache
    digests: dict[str, str]  # name -> digest, of the files that need not be read for it

    @property
    def is_known(self) -> bool:
        """Whether no file has to be read to say what all of them hold."""
        return len(self.digests) == len(self.listing.files)


class Snapshot(msgspec.Struct, frozen=True, kw_only=True):
    """A version that has no number yet: stored, checked and counted.

    `no_table` says why files that might be a table are none.
    """

    digest: str
    content: str
    kind: Kind
    columns: tuple[Column, ...] = ()
    n_rows: int = 0
    n_files: int
    n_bytes: int
    source: str
    place: str = ""
    contract: str = ""
    findings: tuple[Finding, ...] = ()
    profile: str = ""
    no_table: str = ""
    new: tuple[StoredFile, ...] = ()
    relied_on: frozenset[str] = frozenset()

    @property
    def outcome(self) -> Outcome:
        """Of its contract; inconclusive without one."""
        decisive = tuple(f.outcome for f in self.findings if f.is_gated)
        return worst(decisive) if self.contract else "inconclusive"


def look(store: FileStore, root: Path, pattern: str) -> Look:
    """What a path, folder or glob names now.

    The files of a table are read for their digests, unless they are known: that costs less
    than to parse and check them again. Other files are read when they are stored.

    Raises:
        NotFound: If no file matches.
        InvalidInput: If a link leads out of the folder, or a file cannot be read.
        Conflict: If a file changed while it was read.
    """
    if is_remote(pattern):
        listing = remote_files(pattern, store.cache / "s3")
    else:
        listing = files_of(root, pattern)
    cache = StatCache(store.cache / "stat", listing, pattern)
    known = cache.known()
    if len(known) < len(listing.files) and _may_be_table(listing):
        known = digests_of(listing.files, known)
        cache.note((file, known[file.name]) for file in listing.files)
    return Look(pattern, listing, cache, known)


def snapshot_files(
    store: FileStore,
    looked: Look,
    *,
    contract: Contract | None = None,
    keeping: Keeping = "copy",
    refuse: bool = True,
    context: Context = Context(),  # noqa: B008 - immutable
    before: str = "",
) -> Snapshot:
    """The present content of files.

    Files that are all CSV, Parquet or newline-delimited JSON are a table. In a folder, files
    of several kinds or with different columns are kept as what they are, without rows,
    unless a contract says that they are a table, or the version before was one.

    Args:
        store: Where the bytes are kept.
        looked: The files.
        contract: What the rows have to keep.
        keeping: Whether the files are copied into the store, get a second name there, or
            stay where they are and nowhere else.
        refuse: Whether rows that break the contract are refused; else the version says so.
        context: The time, and the tables that the contract refers to.
        before: The address of the profile of the version before, whose bins are kept; rows
            of files that it knows are not profiled again.

    Raises:
        InvalidInput: If a file cannot be read, or the files are not one table.
        ContractViolated: If the rows break the contract; nothing is stored.
        Conflict: If a file changed while it was read.
    """
    listing, digests = looked.listing, dict(looked.digests)
    with Delivery(store.objects, way=_way(keeping)) as delivery:
        if contract is None and not before and _are_files(listing):
            measured = Measured(no_table=_mixed(listing))
            taken = _taken(store, listing, digests, keeping, delivery)
        else:  # rows are read apart from digests: nothing may change from one to the other
            with left_alone(listing.files, may_be_linked=keeping == "hardlink"):
                measured = _measured(
                    store, looked, contract, digests, context, refuse=refuse, before=before
                )
                if measured.reading is not None:
                    delivery.is_packing &= len(listing.files) >= _MANY
                taken = _taken(store, listing, digests, keeping, delivery)
    if not looked.is_known:
        looked.cache.note((file, digests[file.name]) for file in listing.files)
    return _snapshot(
        store,
        data_files(listing.files, digests),
        measured,
        contract,
        folders=listing.folders,
        source=written(looked.pattern),
        place=listing.place if keeping == "reference" else "",
        taken=taken,
    )


def snapshot_frame(
    store: FileStore,
    frame: pl.DataFrame,
    *,
    source: str,
    contract: Contract | None = None,
    refuse: bool = True,
    context: Context = Context(),  # noqa: B008 - immutable
    before: str = "",
) -> Snapshot:
    """A table that was made here, as one Parquet file; the same rows have the same digest.

    Args:
        store: Where the bytes are kept.
        frame: The table.
        source: Where its rows came from, in words ("production").
        contract: What the rows have to keep.
        refuse: Whether rows that break it are refused; else the version says so.
        context: The time, and the tables that the contract refers to.
        before: The address of the profile of the version before, whose bins are kept.

    Raises:
        ContractViolated: If the rows break the contract; nothing is stored.
    """
    findings = check(frame.lazy(), contract, context) if contract else ()
    if contract and refuse:
        refuse_unless_kept(f"the table from {source}", contract, findings)
    buffer = io.BytesIO()
    # one chunk: how rows happen to lie in memory would show in the bytes
    frame.rechunk().write_parquet(buffer, compression="zstd", statistics=True)
    data = buffer.getvalue()
    file = DataFile(path="rows.parquet", size=len(data), digest=address_of(data))
    with Delivery(store.objects) as delivery:
        there = frozenset(store.held([file.digest]))
        if not there:
            delivery.put(file.digest, data)
        taken = Taken(delivery.close(), there)
        measured = measure_frame(store.blobs, frame.lazy(), file.digest, findings, before)
    return _snapshot(store, (file,), measured, contract, source=source, taken=taken)


def _measured(
    store: FileStore,
    looked: Look,
    contract: Contract | None,
    digests: dict[str, str],
    context: Context,
    *,
    refuse: bool,
    before: str,
) -> Measured:
    listing = looked.listing
    digests.update(digests_of(listing.files, digests))
    table = TableFiles(
        openable(listing.paths, store.cache / "names"),
        [digests[file.name] for file in listing.files],
        looked.pattern,
    )
    try:
        return measure_files(store.blobs, table, contract, context, refuse=refuse, before=before)
    except ContractViolated:
        raise
    except InvalidInput as error:
        if contract is None and listing.is_folder and not before:
            return Measured(no_table=_without_root(error.message, listing))
        raise


def _may_be_table(listing: Listing) -> bool:
    return all(_may_be_of_table(file.name) for file in listing.files)


def _are_files(listing: Listing) -> bool:
    """Whether these files are to be kept as what they are, rather than refused as no table."""
    if listing.is_folder:
        return not _may_be_table(listing)
    return not any(_may_be_of_table(file.name) for file in listing.files)


def _mixed(listing: Listing) -> str:
    """Which file keeps the others, that may be a table, from being one; "" if none may be."""
    names = [file.name for file in listing.files]
    other = next((name for name in names if not _may_be_of_table(name)), "")
    table = next((name for name in names if _may_be_of_table(name)), "")
    return f"no table: {other} is of another kind than {table}" if other and table else ""


def _without_root(message: str, listing: Listing) -> str:
    return f"no table: {message.replace(f'{listing.root}{os.sep}', '')}"


def _way(keeping: Keeping) -> Way:
    return "hardlink" if keeping == "hardlink" else "copy"


def _taken(
    store: FileStore,
    listing: Listing,
    digests: dict[str, str],
    keeping: Keeping,
    delivery: Delivery,
) -> Taken:
    if keeping != "reference":
        return take(listing.files, digests, store, delivery)
    digests.update(digests_of(listing.files, digests))
    return Taken()


def _snapshot(
    store: FileStore,
    files: tuple[DataFile, ...],
    measured: Measured,
    contract: Contract | None,
    *,
    folders: tuple[str, ...] = (),
    source: str,
    place: str = "",
    taken: Taken,
) -> Snapshot:
    manifest = Manifest(files=files, folders=folders, reading=measured.reading)
    return Snapshot(
        digest=store.blobs.put_record(manifest),
        content=content_of(files, folders),
        kind="table" if measured.reading else "files",
        columns=columns_of(measured.profile) if measured.profile else (),
        n_rows=measured.profile.n_rows if measured.profile else 0,
        profile=store.blobs.put_record(measured.profile) if measured.profile else "",
        no_table=measured.no_table,
        n_files=len(files),
        n_bytes=sum(file.size for file in files),
        source=source,
        place=place,
        contract=store.blobs.put_record(contract) if contract else "",
        findings=measured.findings,
        new=taken.new,
        relied_on=taken.relied_on,
    )


def _may_be_of_table(name: str) -> bool:
    if not name.lower().endswith(_ENDS):  # a tenth of the time that it takes to split
        return False
    return os.path.splitext(name)[1].lower() in SUFFIXES
