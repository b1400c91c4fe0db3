"""A person's decision on exactly one content, or on a bounded class of them."""

from __future__ import annotations

from datetime import datetime
from typing import Literal

import msgspec

Decision = Literal["approve", "reject", "request_changes", "review"]


class Approval(msgspec.Struct, frozen=True, kw_only=True):
    """Who decided what about which release, and why.

    It counts only for the content whose address is `subject`: a release whose
    code, data, model, policy or plan changed has another address. And it counts only in the
    `round` in which it was given: after changes were requested, the requester asks again, and
    everybody looks again. `standing` is the number of the standing approval it rests on (0: a
    person's own decision). A `review` is of an emergency release, afterwards.
    """

    number: int
    release: int
    subject: str
    decision: Decision
    reason: str
    roles: tuple[str, ...] = ()  # those of the environment that the person had then
    round: int = 1
    standing: int = 0
    decided_at: datetime
    decided_by: str
    expires_at: datetime | None = None


class StandingApproval(msgspec.Struct, frozen=True, kw_only=True):
    """A person's approval in advance, for retrained candidates of one model.

    It covers releases of `model` to `environment` that the system requested after
    retraining and whose verdict is a pass, until `expires_at`, and only while the
    policy (gates and rollout plan) is the one at `policy`, and its giver still has one
    of `roles`. They are made as `basis` says (the digests of code, contract and configuration of
    the version that was in charge), or as a version that people agreed to since:
    retraining is new data, not new code. `margins` says by metric by how much they may be
    worse than the champion, by the interval of the verdict's paired difference.
    """

    number: int
    model: str
    environment: str
    policy: str
    reason: str
    given_at: datetime
    given_by: str
    roles: tuple[str, ...]  # those of the environment that the person had then
    basis: dict[str, str] = {}  # empty: nothing was in charge
    margins: dict[str, float] = {}
    expires_at: datetime
    revoked_at: datetime | None = None
