"""What an endpoint answers with."""

from __future__ import annotations

from datetime import datetime
from typing import Literal

import msgspec

Role = Literal["champion", "canary", "shadow"]


class Arm(msgspec.Struct, frozen=True, kw_only=True):
    """One version in a plan, with the share of requests it answers."""

    role: Role
    model: str
    number: int
    artifact: str
    weight_percent: float

    @property
    def ref(self) -> str:
        """`model/number`."""
        return f"{self.model}/{self.number}"


class Plan(msgspec.Struct, frozen=True, kw_only=True):
    """The versions an endpoint answers with, immutable; the newest one counts.

    Weights of champion and canary sum to 100; a shadow answers nobody. Every
    prediction id carries the plan's number.
    """

    number: int
    environment: str
    model: str
    arms: tuple[Arm, ...]
    release: int
    made_at: datetime

    @property
    def ref(self) -> str:
        """`plan/number`."""
        return f"plan/{self.number}"

    @property
    def made_by(self) -> str:
        """The release whose traffic it is: what the ledger's entry about the plan is about."""
        return f"release/{self.release}"
