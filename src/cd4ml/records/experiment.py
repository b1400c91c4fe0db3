"""A question, and the runs that try to answer it."""

from __future__ import annotations

from datetime import datetime

import msgspec


class Experiment(msgspec.Struct, frozen=True, kw_only=True):
    """A named set of runs; `Run.experiment` is its name.

    It is made with its first run, or before it. One with `deleted_at` is in no list, and takes
    no run, until it is restored; the name stays taken.
    """

    number: int
    name: str
    note: str = ""  # in Markdown
    tags: dict[str, str] = {}
    created_at: datetime
    created_by: str
    deleted_at: datetime | None = None

    @property
    def ref(self) -> str:
        """`experiment/number`."""
        return f"experiment/{self.number}"
