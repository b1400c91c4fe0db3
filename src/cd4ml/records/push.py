"""Rows that somebody pushed, under the key that makes pushing them again harmless."""

from __future__ import annotations

from datetime import datetime

import msgspec


class Push(msgspec.Struct, frozen=True, kw_only=True):
    """One accepted batch of rows: what came under which key, and the version it made."""

    dataset: str
    key: str  # chosen by who pushes
    body: str  # address of the bytes that came
    n_rows: int
    version: int  # number of the version these rows were the newest of
    pushed_at: datetime
    pushed_by: str
