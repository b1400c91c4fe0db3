"""Rows that break their contract are set aside; the others go on."""

from __future__ import annotations

import os
from typing import TYPE_CHECKING, NamedTuple

import msgspec

from cd4ml.data.contract import refuse_unless_kept
from cd4ml.data.files import left_alone, openable
from cd4ml.data.formats import reading_of
from cd4ml.data.rules import Context
from cd4ml.data.sift import FILE
from cd4ml.data.snapshot import Look, Snapshot, snapshot_files, snapshot_frame
from cd4ml.data.taking import Keeping
from cd4ml.data.written import sift_files
from cd4ml.errors import ContractViolated
from cd4ml.records.contract import Contract

if TYPE_CHECKING:
    import polars as pl

    from cd4ml.store.file_store import FileStore

_SUFFIX = "_quarantine"


class Arrival(NamedTuple):
    """Files that came in: the rows that go on, and those that were set aside (None: none).

    `against` has the digests of the dataset versions that their contract refers to.
    """

    good: Snapshot
    bad: Snapshot | None = None
    against: tuple[str, ...] = ()

    @property
    def new_objects(self) -> set[str]:
        """The objects that were stored for it."""
        snapshots = [each for each in (self.good, self.bad) if each is not None]
        return {place.object for snapshot in snapshots for place in snapshot.new}


def quarantine_of(dataset: str) -> str:
    """The dataset that keeps what was set aside from another.

    Examples:
        >>> quarantine_of("rides")
        'rides_quarantine'
    """
    return dataset + _SUFFIX


def snapshot_good(
    store: FileStore,
    looked: Look,
    *,
    contract: Contract,
    context: Context = Context(),  # noqa: B008 - immutable
    keeping: Keeping = "copy",
    before: str = "",
) -> Arrival:
    """The present content of files without the rows that break the contract.

    Files without such rows are kept as they are. Otherwise the good rows become one
    Parquet file in the store, and so do the bad ones, with `broken_row` (from 1),
    `broken_rules`, and for text files every value as it is written. With several files
    `broken_file` names them, as the folder they were found in does.

    Args:
        store: Where the bytes are kept.
        looked: The files.
        contract: What the rows have to keep.
        context: The time, and the tables that the contract refers to.
        keeping: How files without bad rows are kept.
        before: The address of the profile of the version before.

    Raises:
        ContractViolated: If no row is left, or a rule on columns, on the number of rows or
            on the table as a whole is broken; nothing is stored.
        InvalidInput: If the files are not one table, or cannot be read.
        Conflict: If a file changed while it was read.
    """
    try:
        good = snapshot_files(
            store, looked, contract=contract, context=context, keeping=keeping, before=before
        )
    except ContractViolated as refusal:
        return _apart(store, looked, contract, context, before, refusal)
    return Arrival(good)


def _apart(
    store: FileStore,
    looked: Look,
    contract: Contract,
    context: Context,
    before: str,
    refusal: ContractViolated,
) -> Arrival:
    pattern, listing = looked.pattern, looked.listing
    with left_alone(listing.files):
        paths = openable(listing.paths, store.cache / "names")
        parts = sift_files(paths, reading_of(paths, contract), contract, context)
        good = parts.good.collect()
    if parts.bad.is_empty():
        refuse_unless_kept(pattern, contract, parts.findings)
        raise refusal
    if good.is_empty():
        refuse_unless_kept(f"every row of {pattern}", contract, parts.findings)
    kept = snapshot_frame(
        store, good, source=pattern, contract=contract, context=context, before=before
    )
    root = f"{listing.root}{os.sep}"
    aside = snapshot_frame(store, _named_below(root, parts.bad), source=pattern)
    findings = tuple(
        msgspec.structs.replace(finding, reason=finding.reason.replace(root, ""))
        for finding in parts.findings
    )
    aside = msgspec.structs.replace(aside, contract=kept.contract, findings=findings)
    return Arrival(kept, aside)


def _named_below(root: str, bad: pl.DataFrame) -> pl.DataFrame:
    """Where files lay while they were read is of no use to anybody later."""
    import polars as pl

    if FILE not in bad.columns:
        return bad
    return bad.with_columns(pl.col(FILE).str.strip_prefix(root))
