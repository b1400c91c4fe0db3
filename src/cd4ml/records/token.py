"""What a program shows to act for somebody over HTTP."""

from __future__ import annotations

from datetime import datetime

import msgspec


class Token(msgspec.Struct, frozen=True, kw_only=True):
    """A secret that was handed out once; only its SHA-256 is kept.

    Whoever shows the secret acts as `actor`, in what `scopes` allow, until it expires or is
    revoked. A scope is a kind of act, `push`, or that act on one thing, `push:flights`.
    """

    number: int
    actor: str
    digest: str  # SHA-256 of the secret, 64 hex digits
    note: str = ""
    scopes: tuple[str, ...]
    created_at: datetime
    created_by: str
    expires_at: datetime
    revoked_at: datetime | None = None
    revoked_because: str = ""
