"""Rows that came in one request: read, checked, and appended to those before."""

from __future__ import annotations

from typing import TYPE_CHECKING

import msgspec

from cd4ml.data.contract import Check, check, count, explained, listed, refuse_unless_kept
from cd4ml.data.formats import Reading
from cd4ml.data.manifest import Manifest, content_of, manifest_of
from cd4ml.data.measuring import profile_after
from cd4ml.data.pandera_schema import PanderaContract
from cd4ml.data.profile import columns_of as listed_columns
from cd4ml.data.rules import Context, among_readable
from cd4ml.data.snapshot import Snapshot, snapshot_frame
from cd4ml.data.sources.rows import Batch
from cd4ml.data.versions import paths_of
from cd4ml.errors import InvalidInput
from cd4ml.records.contract import Contract
from cd4ml.records.dataset import DataFile, DatasetVersion
from cd4ml.records.finding import Finding
from cd4ml.store.address import address_of_record

if TYPE_CHECKING:
    import polars as pl

    from cd4ml.store.file_store import FileStore

SOURCE = "pushed"


def columns_of(store: FileStore, before: DatasetVersion | None) -> dict[str, pl.DataType]:
    """The columns with their types that the rows before have; empty if there are none.

    Raises:
        NotFound: If their bytes are no longer there.
        Corrupted: If they are not what was stored.
    """
    import polars as pl

    if before is None:
        return {}
    return dict(pl.read_parquet_schema(_paths(store, before, most=1)[0]))


def append(
    store: FileStore,
    before: DatasetVersion | None,
    batch: Batch,
    contract: Contract | None,
    context: Context,
) -> Snapshot:
    """The rows before with those of a batch after them, as one more file.

    Rows that were checked against the same contract are not checked again, except for
    the uniqueness of their key, which concerns all rows together. A contract that says
    more about all rows together has them all checked.

    Args:
        store: Where the bytes are kept.
        before: The version to append to; None begins a dataset.
        batch: The rows that came.
        contract: What they, and all rows together, have to keep.
        context: The time, and the tables that the contract refers to.

    Raises:
        ContractViolated: With every broken rule; nothing is stored.
        InvalidInput: If the columns are not those of the rows before.
    """
    if contract is not None:
        _refuse_broken(store, before, batch, contract, context)
    _refuse_other_columns(store, before, batch.frame)
    _refuse_other_types(before, batch)
    # what all rows together have to be was just checked; a batch alone may be too short
    own = msgspec.structs.replace(contract, minimum_rows=0) if contract else None
    snapshot = snapshot_frame(
        store, batch.frame, source=SOURCE, contract=own, refuse=False, context=context
    )
    snapshot = msgspec.structs.replace(
        snapshot, contract=store.blobs.put_record(contract) if contract else ""
    )
    return _after(store, before, snapshot, batch.frame)


def _refuse_broken(
    store: FileStore,
    before: DatasetVersion | None,
    batch: Batch,
    contract: Contract,
    context: Context,
) -> None:
    import polars as pl

    alone = contract if before is None else msgspec.structs.replace(contract, minimum_rows=0)
    findings = _with_wrong(_checked(batch, alone, context), batch.wrong)
    refuse_unless_kept("the batch", contract, findings)
    if before is None:
        return
    if before.contract != address_of_record(contract) or _concerns_all_rows(contract):
        _refuse_other_columns(store, before, batch.frame)
        rows = pl.concat([pl.scan_parquet(_paths(store, before)), batch.frame.lazy()])
        what = f"the batch with the rows of {before.ref}"
        refuse_unless_kept(what, contract, check(rows, contract, context))
    elif contract.key:
        repeated = _repeated(store, before, batch.frame, contract)
        refuse_unless_kept(f"the batch after {before.ref}", contract, (repeated,))


def _checked(batch: Batch, contract: Contract, context: Context) -> tuple[Finding, ...]:
    """What the contract finds in a batch, without taking wrong values for missing ones."""
    import polars as pl

    frame = batch.frame
    if not batch.unread or isinstance(contract, PanderaContract):
        return check(frame.lazy(), contract, context)
    compiled = Check(contract, frame.schema, context)
    place = pl.int_range(pl.len())
    unread = {name: place.is_in(list(places)) for name, places in batch.unread.items()}
    compiled.rules = [
        among_readable(rule, unread) if rule.metric == "duplicates" else rule
        for rule in compiled.rules
    ]
    return explained(frame.lazy(), compiled, count(frame.lazy(), compiled).findings)


def _concerns_all_rows(contract: Contract) -> bool:
    """Whether, besides the key, something is asked that one batch cannot answer."""
    return bool(
        contract.unique
        or contract.conditions
        or contract.maximum_rows is not None
        or any(field.unique for field in contract.fields)
    )


def _with_wrong(found: tuple[Finding, ...], wrong: tuple[Finding, ...]) -> tuple[Finding, ...]:
    """All findings; values of another type were read as missing, and are not missing too."""
    columns = {finding.slice for finding in wrong}
    is_told = {("wrong type", column) for column in columns} | {("nulls", c) for c in columns}
    return (*wrong, *(each for each in found if (each.metric, each.slice) not in is_told))


def _repeated(
    store: FileStore, before: DatasetVersion, frame: pl.DataFrame, contract: Contract
) -> Finding:
    """How many rows have a key that a row before has."""
    import polars as pl

    # a later arrival with the same key is a correction, not a repetition
    keys = [*contract.key, *([contract.arrival_time] if contract.arrival_time else [])]
    known = pl.scan_parquet(_paths(store, before)).select(keys)
    numbered = frame.lazy().with_row_index("row number", offset=1)
    twice = numbered.join(known, on=keys, how="semi", nulls_equal=True).collect()
    reason = shown = ""
    if not twice.is_empty():
        first = twice.sort("row number").row(0, named=True)
        shown = ", ".join(repr(first[key]) for key in keys)
        reason = (
            f"{twice.height:,} of {frame.height:,} rows have been there before,"
            f" first in row {first['row number']:,}: {shown}"
        )
    return Finding(
        gate=f"{', '.join(keys)} unique",
        metric="duplicates",
        slice=", ".join(keys),
        value=float(twice.height),
        limit=0.0,
        n_rows=frame.height,
        outcome="fail" if reason else "pass",
        reason=reason,
        example=shown,
    )


def _refuse_other_columns(
    store: FileStore, before: DatasetVersion | None, frame: pl.DataFrame
) -> None:
    wanted = columns_of(store, before)
    if before is None or dict(frame.schema) == wanted:
        return
    words = [f"lacks {name!r}" for name in wanted if name not in frame.schema]
    words += [f"has {name!r} besides" for name in frame.columns if name not in wanted]
    words += [
        f"has {name!r} as {frame.schema[name]} instead of {type_}"
        for name, type_ in wanted.items()
        if name in frame.schema and frame.schema[name] != type_
    ]
    msg = f"the batch has other columns than {before.ref}: it {', '.join(words)}"
    raise InvalidInput(msg, hint="the files of one version are one table; begin another dataset")


def _refuse_other_types(before: DatasetVersion | None, batch: Batch) -> None:
    """Without a contract the rows before say what a column holds."""
    if batch.wrong and before is not None:
        msg = f"the batch has values of other types than {before.ref}"
        raise InvalidInput(
            f"{msg}{listed(batch.wrong)}",
            hint="send values of the same types; or declare a contract",
            discreet=f"{msg}{listed(finding.without_example for finding in batch.wrong)}",
        )


def _after(
    store: FileStore, before: DatasetVersion | None, snapshot: Snapshot, frame: pl.DataFrame
) -> Snapshot:
    (new,) = manifest_of(store.blobs, snapshot).files
    known = () if before is None else _files(store, before)
    files = (*known, msgspec.structs.replace(new, path=f"rows-{len(known) + 1:06}.parquet"))
    manifest = Manifest(files=files, reading=Reading(format="parquet"))
    profile = snapshot.profile
    columns, n_rows = snapshot.columns, snapshot.n_rows
    if before is not None:
        paths = [*_paths(store, before)]
        whole = profile_after(store.blobs, before.profile, files, frame, paths)
        profile, columns, n_rows = (
            store.blobs.put_record(whole),
            listed_columns(whole),
            whole.n_rows,
        )
    return msgspec.structs.replace(
        snapshot,
        digest=store.blobs.put_record(manifest),
        content=content_of(files),
        n_files=len(files),
        n_bytes=sum(file.size for file in files),
        columns=columns,
        n_rows=n_rows,
        profile=profile,
        relied_on=snapshot.relied_on | {file.digest for file in known},
    )


def _paths(store: FileStore, version: DatasetVersion, *, most: int | None = None) -> list[str]:
    files = _files(store, version)[:most]
    return [str(path) for path in paths_of(store, version, Manifest(files=files))]


def _files(store: FileStore, version: DatasetVersion) -> tuple[DataFile, ...]:
    return manifest_of(store.blobs, version).files
