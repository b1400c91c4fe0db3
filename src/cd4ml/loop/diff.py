"""What a version looks like, and what is different between two of them."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING

import msgspec

from cd4ml.data.diff_files import diff_columns, diff_files
from cd4ml.data.diff_rows import SHOWN, diff_rows
from cd4ml.data.diff_shifts import shifts
from cd4ml.data.known import known_at
from cd4ml.data.manifest import manifest_of
from cd4ml.data.profile import profile as profiled
from cd4ml.data.profiles import profile_of
from cd4ml.data.refs import find_version
from cd4ml.data.summary import summary
from cd4ml.errors import NotFound
from cd4ml.loop.access import admit, open_table
from cd4ml.records.contract import Contract
from cd4ml.records.dataset import DatasetVersion
from cd4ml.records.diff import DatasetDiff, RowDiff
from cd4ml.records.profile import Bins, Profile
from cd4ml.records.summary import ColumnSummary, TableSummary
from cd4ml.store.project import Project

if TYPE_CHECKING:
    import polars as pl


def profile(project: Project, ref: str, *, actor: str = "") -> TableSummary:
    """The columns of a version, `name@number`, or of the newest of `name`.

    Raises:
        NotFound: If there is no such version, or it is no table.
        NotAllowed: If the dataset is restricted and the actor has none of its roles.
    """
    with project.database.read() as connection:
        version = find_version(connection, ref)
    if not version.profile:
        msg = f"{version.ref} has no profile"
        raise NotFound(msg, hint="profiles are made of tables: CSV, Parquet, NDJSON")
    admit(project, version, actor=actor, why="its profile")
    made = profile_of(project.blobs, version.profile)
    columns = tuple(summary(column) for column in made.columns)
    return TableSummary(ref=version.ref, n_rows=made.n_rows, columns=columns)


def profile_column(project: Project, ref: str, name: str, *, actor: str = "") -> ColumnSummary:
    """One column of a version.

    Raises:
        NotFound: If there is no such version or column.
        NotAllowed: As for `profile`.
    """
    table = profile(project, ref, actor=actor)
    found = {column.name: column for column in table.columns}
    if name not in found:
        msg = f"{table.ref} has no column {name!r}"
        raise NotFound(msg, hint=f"its columns: {', '.join(found)}")
    return found[name]


def diff(
    project: Project,
    before: str,
    after: str,
    *,
    key: Sequence[str] = (),
    shown: int = SHOWN,
    actor: str,
) -> DatasetDiff:
    """What is different between two versions: files, columns, rows, distributions.

    Args:
        project: Whose versions.
        before: `name@number`, or the name of a dataset for its newest version.
        after: The same; it may be of another dataset.
        key: Columns that say which row is which; those of the contract of `after` by
            default. Without any, rows are told apart by all of their values. If that contract
            names an arrival time, of the rows with its key the latest arrival is compared.
        shown: Rows of each kind that are shown.
        actor: Who wants to see rows of them.

    Raises:
        NotAllowed: If one is restricted and the actor has none of its roles.
        NotFound: If there is no such version, or its bytes are gone.
        InvalidInput: If a column of the key is not there, or cannot be one.
    """
    with project.database.read() as connection:
        old, new = find_version(connection, before), find_version(connection, after)
    files = diff_files(manifest_of(project.blobs, old).files, manifest_of(project.blobs, new).files)
    if not (old.columns and new.columns):
        return DatasetDiff(before=old.ref, after=new.ref, files=files)
    tables = (
        open_table(project, old.ref, actor=actor, why=f"diff with {new.ref}"),
        open_table(project, new.ref, actor=actor, why=f"diff with {old.ref}"),
    )
    contract = project.blobs.get_record(new.contract, Contract) if new.contract else None
    key = key or _key(contract, (old, new))
    rows = _rows(tables, key, contract, shown)
    return DatasetDiff(
        before=old.ref,
        after=new.ref,
        files=files,
        columns=diff_columns(old.columns, new.columns),
        rows=rows,
        shifts=shifts(
            _profile(project, old, tables[0]),
            _profile(project, new, tables[1]),
            effect=project.settings.monitoring.drift,
            recount=lambda bins: _counted(tables[1], bins),
            key=key,
        ),
    )


def _key(
    contract: Contract | None, versions: tuple[DatasetVersion, DatasetVersion]
) -> tuple[str, ...]:
    """The key that the contract of the later version names, if both versions have it."""
    if contract is None:
        return ()
    columns = [{column.name for column in version.columns} for version in versions]
    return contract.key if all(set(contract.key) <= names for names in columns) else ()


def _rows(
    tables: tuple[pl.LazyFrame, pl.LazyFrame],
    key: Sequence[str],
    contract: Contract | None,
    shown: int,
) -> RowDiff:
    """Of rows that are corrected by later ones only the latest: a correction is a change."""
    if contract is None or tuple(key) != contract.key or not _are_corrected(tables, contract):
        return diff_rows(*tables, key, shown=shown)
    before, after = (known_at(table, contract) for table in tables)
    found = diff_rows(before, after, key, shown=shown)
    return msgspec.structs.replace(found, corrected_by=contract.arrival_time)


def _are_corrected(tables: Sequence[pl.LazyFrame], contract: Contract) -> bool:
    import polars as pl

    types = [table.collect_schema().get(contract.arrival_time) for table in tables]
    return bool(contract.key) and all(type_ in (pl.Datetime, pl.Date) for type_ in types)


def _profile(project: Project, version: DatasetVersion, table: pl.LazyFrame) -> Profile:
    return profile_of(project.blobs, version.profile) if version.profile else profiled(table)


def _counted(table: pl.LazyFrame, bins: Mapping[str, Bins]) -> Profile:
    return profiled(table.select(list(bins)), bins)
