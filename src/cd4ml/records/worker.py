"""A process behind an endpoint."""

from __future__ import annotations

from datetime import datetime

import msgspec


class Worker(msgspec.Struct, frozen=True, kw_only=True):
    """Which plan a serving process answers with, as it last said (machine time)."""

    name: str
    environment: str
    address: str
    process: int
    plan: int
    n_answered: int = 0
    seen_at: datetime
