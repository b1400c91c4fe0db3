"""A model version offered in an environment, with its rollout."""

from __future__ import annotations

from datetime import datetime
from typing import Literal

import msgspec

ReleaseState = Literal[
    "awaiting_approval",
    "changes_requested",
    "rolling_out",
    "released",
    "rejected",
    "withdrawn",
    "expired",
    "aborted",
    "superseded",
    "undone",
]

ENDED: frozenset[ReleaseState] = frozenset(
    {"rejected", "withdrawn", "expired", "aborted", "superseded", "undone"}
)

WAITING: frozenset[ReleaseState] = frozenset({"awaiting_approval", "changes_requested"})


class Release(msgspec.Struct, frozen=True, kw_only=True):
    """One version on its way into an environment, or in charge of it.

    `content` is the address of `decides`: the digests of code, data, model,
    contract, policy, verdict, rollout plan and configuration. `step` counts the rollout
    steps entered, `plan` is the serving plan in force, `transitions` grows by one
    with every change and lets two reconcilers notice each other. `reason` is why it
    was asked for, `state_reason` why it is in its present state. `round` grows when its
    requester asks again after changes were requested; `asked_at` is when that was.
    `requesters` are those who may not agree to it.
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
    round: int = 1
    verdict: int = 0  # the one it was requested on
    compared: int = 0  # the release in charge when it was requested; 0 for none
    replaces: int = 0  # the release that was in charge before; 0 for none
    is_retrained: bool = False  # requested by the system after retraining
    is_emergency: bool = False  # went without approval, as the policy allows; for ever
    review: int = 0  # the approval that reviewed the emergency; 0 for none yet
    reason: str = ""
    state_reason: str = ""
    requested_by: str
    caused_by: str = ""  # who asked for the retraining that it comes from; "" for nobody
    requested_at: datetime
    asked_at: datetime  # when it was requested, or asked for again
    entered_at: datetime  # when the present state or step began

    @property
    def ref(self) -> str:
        """`release/number`."""
        return f"release/{self.number}"

    @property
    def requesters(self) -> frozenset[str]:
        """Who requested it, and who caused the request: they do not approve it."""
        return frozenset(filter(None, (self.requested_by, self.caused_by)))

    @property
    def needs_review(self) -> bool:
        """Whether it was an emergency that took effect and that nobody has looked at since."""
        return self.is_emergency and not self.review and self.plan > 0
