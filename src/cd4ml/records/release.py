"""A model version offered in an environment, with its rollout."""

from __future__ import annotations

from datetime import datetime
from typing import Literal

import msgspec

ReleaseState = Literal[
    "awaiting_approval", "rolling_out", "released", "rejected", "aborted", "superseded", "undone"
]

ENDED: frozenset[ReleaseState] = frozenset({"rejected", "aborted", "superseded", "undone"})


class Release(msgspec.Struct, frozen=True, kw_only=True):
    """One version on its way into an environment, or in charge of it.

    `content` is the address of `decides`: the digests of code, data, model,
    contract, policy, rollout plan and configuration. `step` counts the rollout
    steps entered, `plan` is the serving plan in force, `transitions` grows by one
    with every change and lets two reconcilers notice each other. `reason` is why it
    was asked for, `state_reason` why it is in its present state.
    """

    number: int
    model: str
    version: int
    environment: str
    state: ReleaseState
    decides: dict[str, str]
    content: str
    step: int = 0
    plan: int = 0
    transitions: int = 0
    replaces: int = 0  # the release that was in charge before; 0 for none
    is_retrained: bool = False  # requested by the system after retraining
    reason: str = ""
    state_reason: str = ""
    requested_by: str
    requested_at: datetime
    entered_at: datetime  # when the present state or step began

    @property
    def ref(self) -> str:
        """`release/number`."""
        return f"release/{self.number}"
