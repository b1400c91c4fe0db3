"""Rows that break their contract are set aside; the others go on."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, NamedTuple

import msgspec

from cd4ml.data.contract import refuse_unless_kept
from cd4ml.data.files import files_of, left_alone
from cd4ml.data.formats import reading_of
from cd4ml.data.rules import Context
from cd4ml.data.versions import Snapshot, snapshot_files, snapshot_frame
from cd4ml.data.written import split_files
from cd4ml.errors import ContractViolated
from cd4ml.records.contract import Contract

if TYPE_CHECKING:
    from cd4ml.store.blobs import Blobs

_SUFFIX = "_quarantine"


class Arrival(NamedTuple):
    """Files that came in: the rows that go on, and those that were set aside (None: none).

    `against` has the digests of the dataset versions that their contract refers to.
    """

    good: Snapshot
    bad: Snapshot | None = None
    against: tuple[str, ...] = ()


def quarantine_of(dataset: str) -> str:
    """The dataset that keeps what was set aside from another.

    Examples:
        >>> quarantine_of("rides")
        'rides_quarantine'
    """
    return dataset + _SUFFIX


def snapshot_good(
    blobs: Blobs,
    root: Path,
    pattern: str,
    *,
    contract: Contract,
    context: Context = Context(),  # noqa: B008 - immutable
) -> Arrival:
    """The present content of files without the rows that break the contract.

    Files without such rows are kept as they are. Otherwise the good rows become one
    Parquet file, and so do the bad ones, with `broken_row` (from 1), `broken_rules`, and for
    text files every value as it is written.

    Raises:
        ContractViolated: If no row is left, or a rule on columns, on the number of rows or
            on the table as a whole is broken; nothing is stored.
        InvalidInput: If the files are not one table, or cannot be read.
        Conflict: If a file changed while it was read.
        NotFound: If no file matches.
    """
    try:
        return Arrival(snapshot_files(blobs, root, pattern, contract=contract, context=context))
    except ContractViolated as refusal:
        return _apart(blobs, root, pattern, contract, context, refusal)


def _apart(
    blobs: Blobs,
    root: Path,
    pattern: str,
    contract: Contract,
    context: Context,
    refusal: ContractViolated,
) -> Arrival:
    paths = files_of(root, pattern)
    with left_alone(paths):
        parts = split_files(paths, reading_of(paths, contract), contract, context)
        good = parts.good.collect()
    if parts.bad.is_empty():
        refuse_unless_kept(pattern, contract, parts.findings)
        raise refusal
    if good.is_empty():
        refuse_unless_kept(f"every row of {pattern}", contract, parts.findings)
    kept = snapshot_frame(blobs, good, source=pattern, contract=contract, context=context)
    aside = snapshot_frame(blobs, parts.bad, source=pattern)
    aside = msgspec.structs.replace(aside, contract=kept.contract, findings=parts.findings)
    return Arrival(kept, aside)
