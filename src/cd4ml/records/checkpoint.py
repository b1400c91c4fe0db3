"""A signed word about how far the ledger went and what stood at its end."""

from __future__ import annotations

from datetime import datetime

import msgspec


class Checkpoint(msgspec.Struct, frozen=True, kw_only=True):
    """What the ledger was at a moment, signed, and kept where the database cannot reach.

    `head` is the digest of entry `sequence`, and through the chain of all entries before it.
    `previous` is the content address of the checkpoint before ("" for the first): one that was
    taken away is missed by the next. `key` names the Ed25519 key, `signature` (base64) is of all
    other fields in canonical JSON.
    """

    project: str
    sequence: int
    head: str
    at: datetime
    previous: str = ""
    key: str
    signature: str = ""

    @property
    def ref(self) -> str:
        """`checkpoint/sequence`."""
        return f"checkpoint/{self.sequence}"
