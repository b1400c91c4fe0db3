"""Who is told of what the ledger says, and how far that has come."""

from __future__ import annotations

from datetime import datetime
from typing import Literal

import msgspec


class WebhookPosition(msgspec.Struct, frozen=True, kw_only=True):
    """How far the ledger was read for a webhook; it began with what came after `first`."""

    webhook: str
    entry: int  # the last ledger entry that was looked at
    first: int  # the last one before anybody knew of the webhook


class WebhookDelivery(msgspec.Struct, frozen=True, kw_only=True):
    """One ledger entry on its way to one webhook.

    It is `waiting` until an attempt succeeds (`delivered`), or none is left (`dead`). All
    times are the machine's, also in a rehearsal: who is told lives in it. While `lease_until`
    lies ahead, `owner` is at it.
    """

    number: int
    webhook: str
    entry: int  # of the ledger
    action: str  # of that entry
    state: Literal["waiting", "delivered", "dead"] = "waiting"
    attempts: int = 0
    due_at: datetime  # when the next attempt may begin
    owner: str = ""
    lease_until: datetime | None = None
    status: int = 0  # the last HTTP status; 0: there was no answer
    error: str = ""  # why the last attempt failed
    ended_at: datetime | None = None  # delivered, or given up

    @property
    def ref(self) -> str:
        """`webhook/NAME/ENTRY`."""
        return f"webhook/{self.webhook}/{self.entry}"
