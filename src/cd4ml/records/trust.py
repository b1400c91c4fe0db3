"""Whose word lets bytes be loaded that can run any code."""

from __future__ import annotations

from datetime import datetime

import msgspec


class Trust(msgspec.Struct, frozen=True, kw_only=True):
    """A person's word that bytes made elsewhere may be loaded, and run what they say.

    It counts for exactly the bytes at `digest`, until it is revoked.
    """

    digest: str
    why: str
    role: str  # the one by which they may
    given_at: datetime
    given_by: str
    revoked_at: datetime | None = None
    revoked_by: str = ""
