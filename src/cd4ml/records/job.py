"""Long work that outlives the process that began it."""

from __future__ import annotations

from datetime import datetime
from typing import Any, Literal

import msgspec


class Job(msgspec.Struct, frozen=True, kw_only=True):
    """Work that one process at a time holds under a lease.

    `key` makes asking twice harmless: a second job with the same key is the first
    one. The lease is in machine time, also in a rehearsal: it measures how long a
    process has been silent.
    """

    number: int
    kind: str
    key: str
    payload: dict[str, Any] = {}
    state: Literal["queued", "running", "done", "failed"] = "queued"
    reason: str = ""
    attempts: int = 0
    owner: str = ""
    lease_until: datetime | None = None
    created_at: datetime
    created_by: str
    finished_at: datetime | None = None

    @property
    def ref(self) -> str:
        """`job/number`."""
        return f"job/{self.number}"
