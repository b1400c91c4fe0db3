"""Something about production that somebody, or a trigger, should act on."""

from __future__ import annotations

from datetime import datetime
from typing import Literal

import msgspec

AlertKind = Literal["drift", "performance", "capture"]


class Alert(msgspec.Struct, frozen=True, kw_only=True):
    """Raised once a window and kind; the window holds the evidence.

    One of kind `capture` has no such window: from its start on, answers could not be recorded.
    """

    number: int
    environment: str
    model: str
    kind: AlertKind
    window_start: datetime
    window_end: datetime
    message: str
    raised_at: datetime

    @property
    def ref(self) -> str:
        """`alert/number`."""
        return f"alert/{self.number}"
