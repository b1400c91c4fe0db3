"""Who did what, when and why."""

from __future__ import annotations

from datetime import datetime
from typing import Any

import msgspec


class LedgerEntry(msgspec.Struct, frozen=True, kw_only=True):
    """One state change; `digest` chains it to the entry before.

    `subject` is a ref ("release/3") or a content address; `details` holds what
    decided it, in plain JSON values.
    """

    sequence: int
    at: datetime
    actor: str
    action: str  # verb.noun in the past: "release.requested"
    subject: str
    reason: str = ""
    details: dict[str, Any] = {}
    previous: str
    digest: str
