"""A named dataset and its immutable versions."""

from __future__ import annotations

from datetime import datetime
from keyword import iskeyword
from typing import Literal

import msgspec

from cd4ml.records.finding import Outcome

Kind = Literal["table", "files"]

NAME_RULE = "letters, digits and _, not beginning with a digit, no word of Python's, 100 at most"
_LONGEST = 100  # characters: names of files are made of it


def is_dataset_name(name: str) -> bool:
    """Whether a dataset can be called so: steps take it as a parameter of this name.

    Examples:
        >>> is_dataset_name("flights"), is_dataset_name("2013"), is_dataset_name("class")
        (True, False, False)
    """
    return name.isidentifier() and not iskeyword(name) and len(name) <= _LONGEST


class Dataset(msgspec.Struct, frozen=True, kw_only=True):
    """A name under which versions of the same data are found, with its owner.

    `personal` names columns that say something about a person. Where `readers` has roles,
    only who has one of them may read its rows. `fresh_within_hours` is the age from which
    the newest version is stale; None: it never is.
    """

    name: str
    owner: str = ""
    description: str = ""
    tags: tuple[str, ...] = ()
    licence: str = ""
    personal: tuple[str, ...] = ()
    readers: tuple[str, ...] = ()
    fresh_within_hours: float | None = None
    created_at: datetime
    created_by: str


class DataFile(msgspec.Struct, frozen=True, kw_only=True, gc=False):
    r"""One file of a version: where it lay below the dataset's root, and its bytes' address.

    In `path` a backslash is written twice, and a byte that is no UTF-8 as `\\xff`.
    """

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
    latest: str = ""  # of a column of times: ISO 8601 in UTC


class DatasetVersion(msgspec.Struct, frozen=True, kw_only=True):
    """One immutable version of a dataset: which bytes, how many rows, what columns.

    `digest` is the address of the manifest (the files with their addresses, and how they are
    read), `content` that of the files alone: two versions with the same files have the same.
    A version of kind `files` (pictures, for instance) has neither rows nor columns. `parents`
    are the digests it was made from (for curated data: the earlier version and the
    prediction log). `profile` is the address of what its columns look like; "" where it is
    no table.
    """

    dataset: str
    number: int
    digest: str
    content: str
    kind: Kind = "table"
    columns: tuple[Column, ...] = ()
    n_rows: int = 0
    n_files: int
    n_bytes: int
    source: str  # the path or the "production" it came from
    place: str = ""  # the folder its files are left in; "": the store has them
    contract: str = ""  # digest of the contract it was checked against
    outcome: Outcome = "inconclusive"  # of that check; inconclusive: no contract
    note: str = ""
    quarantine: str = ""  # ref of the version with the rows that broke the contract
    n_quarantined: int = 0  # how many these were
    parents: tuple[str, ...] = ()
    profile: str = ""
    created_at: datetime
    created_by: str

    @property
    def ref(self) -> str:
        """`dataset@number`, the form people type and logs print."""
        return f"{self.dataset}@{self.number}"


class Tag(msgspec.Struct, frozen=True, kw_only=True):
    """A name that somebody gave to a version, and may give to another one."""

    dataset: str
    name: str
    number: int
    set_at: datetime
    set_by: str


class RemovedVersion(msgspec.Struct, frozen=True, kw_only=True):
    """A version whose bytes are no longer kept; what is said about it stays."""

    dataset: str
    number: int
    removed_at: datetime
    removed_by: str
