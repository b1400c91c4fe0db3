"""What another policy would have said of past candidates, beside what production showed."""

from __future__ import annotations

from datetime import datetime
from typing import Literal

import msgspec

from cd4ml.records.finding import Finding, Outcome

Shown = Literal["good", "bad", "unknown"]
NOT_LOOKED_AT, DAMAGED = "not looked at", "damaged"


class Unseen(msgspec.Struct, frozen=True, kw_only=True):
    """A gate that cannot be asked of a past candidate, and why."""

    gate: str  # its place in the policy, and what it is: "gate[2] trend"
    reason: str


class Rejudged(msgspec.Struct, frozen=True, kw_only=True):
    """A candidate judged by another policy, from what was stored of it.

    `outcome` is "not looked at" where nothing that was stored stands against the candidate, and
    some gate asks for what nobody looked at then; "damaged" where what was stored is another one
    now, or was taken away. Such a candidate is neither stopped nor let through.
    """

    outcome: Outcome | Literal["not looked at", "damaged"]
    findings: tuple[Finding, ...] = ()
    unseen: tuple[Unseen, ...] = ()

    @property
    def is_stopped(self) -> bool:
        """Whether it would not have become a version: only a pass does."""
        return self.is_decided and self.outcome != "pass"

    @property
    def is_decided(self) -> bool:
        """Whether the evidence says anything."""
        return self.outcome not in (NOT_LOOKED_AT, DAMAGED)


class Replayed(msgspec.Struct, frozen=True, kw_only=True):
    """One past candidate: what was said of it, what would have been, and what became of it."""

    verdict: str
    run: str
    version: str = ""  # "" if it became none
    judged_at: datetime
    then: Outcome
    again: Rejudged
    release: str = ""  # its first one to the environment that counts
    shown: Shown = "unknown"
    shown_by: str  # in words


class Replay(msgspec.Struct, frozen=True, kw_only=True):
    """All past candidates by another policy.

    Of the released ones: `caught` are bad ones that it would have stopped, `missed` bad ones
    that it would have let through, `blocked` good ones that it would have stopped, `kept` good
    ones that it would have let through. `precision` is the share of bad ones among those
    stopped, `recall` the share of the bad ones that are stopped; None of none.
    """

    policy: str  # its content address
    environment: str
    candidates: tuple[Replayed, ...]
    caught: int
    missed: int
    blocked: int
    kept: int
    precision: float | None
    recall: float | None
