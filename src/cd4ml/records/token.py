"""What a program shows to act for somebody over HTTP."""

from __future__ import annotations

from datetime import datetime

import msgspec


class Token(msgspec.Struct, frozen=True, kw_only=True):
    """A secret that was handed out once; only its SHA-256 is kept.

    Whoever shows the secret acts as `actor`, until the token is revoked.
    """

    number: int
    actor: str
    digest: str  # SHA-256 of the secret, 64 hex digits
    note: str = ""
    created_at: datetime
    created_by: str
    revoked_at: datetime | None = None
