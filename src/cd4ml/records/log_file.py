"""What the prediction log consists of, and how far it has come."""

from __future__ import annotations

from datetime import datetime

import msgspec


class LogFile(msgspec.Struct, frozen=True, kw_only=True):
    """One Parquet file of a growing table: rows of one day and environment.

    The rows are in the blob store under `digest`; that this record exists is what
    makes them part of the table.
    """

    log: str  # predictions, labels
    number: int
    day: str  # ISO date, UTC
    environment: str  # "" where the table has none
    digest: str
    n_rows: int
    n_bytes: int
    first: str  # of the column by which the rows are sorted
    last: str


class LogMark(msgspec.Struct, frozen=True, kw_only=True):
    """How far something was taken into a growing table: a segment's byte, a batch's 1."""

    log: str
    name: str
    position: int


class LogRemoval(msgspec.Struct, frozen=True, kw_only=True):
    """A file that is no part of a growing table any more; readers may still be in it."""

    log: str
    digest: str
    day: str
    removed_at: datetime  # by the machine's clock
