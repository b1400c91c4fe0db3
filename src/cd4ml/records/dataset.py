"""A named dataset and its immutable versions."""

from __future__ import annotations

from datetime import datetime

import msgspec

from cd4ml.records.finding import Outcome


class Dataset(msgspec.Struct, frozen=True, kw_only=True):
    """A name under which versions of the same data are found, with its owner."""

    name: str
    owner: str = ""
    description: str = ""
    tags: tuple[str, ...] = ()
    licence: str = ""
    created_at: datetime
    created_by: str


class DataFile(msgspec.Struct, frozen=True, kw_only=True):
    """One file of a version: where it lay below the dataset's root, and its bytes' address."""

    path: str
    size: int  # bytes
    digest: str


class Column(msgspec.Struct, frozen=True, kw_only=True):
    """A column as the files have it, with what was counted when the version was made."""

    name: str
    type: str  # the name of the Polars type
    n_null: int = 0
    minimum: float | None = None
    maximum: float | None = None
    n_unique: int | None = None


class DatasetVersion(msgspec.Struct, frozen=True, kw_only=True):
    """One immutable version of a dataset: which bytes, how many rows, what columns.

    `digest` is the address of the manifest (the files and their addresses), so two
    versions with the same bytes have the same digest. `parents` are the digests it
    was made from (for curated data: the earlier version and the prediction log).
    """

    dataset: str
    number: int
    digest: str
    files: tuple[DataFile, ...]
    columns: tuple[Column, ...]
    n_rows: int
    n_bytes: int
    source: str  # the path or the "production" it came from
    contract: str = ""  # digest of the contract it was checked against
    outcome: Outcome = "inconclusive"  # of that check; inconclusive: no contract
    note: str = ""
    quarantine: str = ""  # ref of the version with the rows that broke the contract
    n_quarantined: int = 0  # how many these were
    parents: tuple[str, ...] = ()
    created_at: datetime
    created_by: str

    @property
    def ref(self) -> str:
        """`dataset@number`, the form people type and logs print."""
        return f"{self.dataset}@{self.number}"
