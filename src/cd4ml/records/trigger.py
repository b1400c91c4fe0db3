"""A reason to retrain that was acted upon."""

from __future__ import annotations

from datetime import datetime

import msgspec


class Trigger(msgspec.Struct, frozen=True, kw_only=True):
    """Why a retraining was asked for, and the job that carries it out."""

    number: int
    environment: str
    model: str
    rule: str  # "drift", "performance", "month", or "person"
    alert: int = 0
    job: int
    reason: str
    fired_at: datetime

    @property
    def ref(self) -> str:
        """`trigger/number`."""
        return f"trigger/{self.number}"
