"""How a project delivers: what DORA measures of software, for models."""

from __future__ import annotations

from datetime import datetime

import msgspec


class Change(msgspec.Struct, frozen=True, kw_only=True):
    """One release to an environment, as the ledger tells it.

    `committed_at` and `data_at` are when its code was committed and when its newest data
    arrived; None where the version before it had the same, or where nobody knows. It failed
    when it was aborted or undone after it had answered somebody; `alerted_at` is the first
    alert between its first answer and that.
    """

    release: str
    environment: str
    model: str
    requested_at: datetime
    committed_at: datetime | None = None
    data_at: datetime | None = None
    answering_at: datetime | None = None  # when it first answered somebody: a canary's step
    released_at: datetime | None = None  # when it was in charge
    alerted_at: datetime | None = None
    failed_at: datetime | None = None


class Episode(msgspec.Struct, frozen=True, kw_only=True):
    """From the first alert to the release, asked for after it, that was in charge next."""

    alert: str
    alerted_at: datetime
    release: str = ""
    fixed_at: datetime | None = None  # None: still open


class Judged(msgspec.Struct, frozen=True, kw_only=True):
    """A verdict: when, and what it was."""

    at: datetime
    is_pass: bool


class LabelDelay(msgspec.Struct, frozen=True, kw_only=True):
    """A prediction whose truth is known: when it was asked for, and how long that took."""

    asked_at: datetime
    hours: float


class Durations(msgspec.Struct, frozen=True, kw_only=True):
    """How long something took, of `n` times: half of them no longer than the median."""

    n: int = 0
    median_hours: float | None = None
    p90_hours: float | None = None


class Portion(msgspec.Struct, frozen=True, kw_only=True):
    """`n` of so many; the share with its 95 % interval, None of none."""

    n: int = 0
    of: int = 0
    share: float | None = None
    low: float | None = None
    high: float | None = None


class Delivery(msgspec.Struct, frozen=True, kw_only=True):
    """The figures of a stretch of time, from `start` (included) to `end` (excluded).

    docs/metrics.md defines each of them, and says by which of its moments an event belongs
    to a stretch.
    """

    start: datetime
    end: datetime
    releases: int
    releases_per_week: float | None
    lead_time: Durations
    lead_time_from_commit: Durations
    lead_time_from_data: Durations
    change_failures: Portion
    time_to_restore: Durations
    alert_to_fix: Durations
    open_alerts: int
    label_latency: Durations
    gates_passed: Portion
