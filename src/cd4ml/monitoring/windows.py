"""Which stretches of production are to be measured: whole days, weeks or months in UTC."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from typing import Literal, NamedTuple

import sqlalchemy as sa

from cd4ml.records.plan import Plan
from cd4ml.records.settings import MonitoringSettings
from cd4ml.records.window import Window
from cd4ml.store import ledger, lineage, rows

Length = Literal["day", "week", "month"]


class Span(NamedTuple):
    """From `start` (included) to `end` (excluded), UTC."""

    start: datetime
    end: datetime

    def overlaps(self, other: Span) -> bool:
        """Whether some moment lies in both."""
        return self.start < other.end and other.start < self.end


def span_of(moment: datetime, length: Length) -> Span:
    """The day, week (from Monday) or month in which a moment lies.

    Examples:
        >>> friday = datetime(2013, 2, 1, 9, 30, tzinfo=UTC)
        >>> [f"{time:%d %b}" for time in span_of(friday, "week")]
        ['28 Jan', '04 Feb']
        >>> [f"{time:%d %b}" for time in span_of(friday, "month")]
        ['01 Feb', '01 Mar']
    """
    day = moment.astimezone(UTC).replace(hour=0, minute=0, second=0, microsecond=0)
    if length == "day":
        return Span(day, day + timedelta(days=1))
    if length == "week":
        monday = day - timedelta(days=day.weekday())
        return Span(monday, monday + timedelta(days=7))
    first = day.replace(day=1)
    return Span(first, (first + timedelta(days=32)).replace(day=1))


def spans(since: datetime, until: datetime, length: Length) -> list[Span]:
    """The windows from the one with `since` in it to the last that ends by `until`.

    Examples:
        >>> new_year = datetime(2013, 1, 1, tzinfo=UTC)
        >>> len(spans(new_year, datetime(2013, 4, 2, tzinfo=UTC), "month"))
        3
    """
    found = []
    span = span_of(since, length)
    while span.end <= until:
        found.append(span)
        span = span_of(span.end, length)
    return found


def due(
    connection: sa.Connection, settings: MonitoringSettings, model: str, now: datetime
) -> list[Span]:
    """The windows of a model that are mature and not yet measured, oldest first.

    They begin with the model's first plan in the environment. A window that shares a moment
    with one already measured (another `window` stood in the settings then) is left out.
    """
    plans = rows.find(connection, Plan, environment=settings.environment, model=model, limit=1)
    if not plans:
        return []
    known = rows.find(connection, Window, environment=settings.environment, model=model)
    measured = [Span(window.start, window.end) for window in known]
    mature_at = now - timedelta(hours=settings.matures_after_hours)
    ended = spans(plans[0].made_at, mature_at, settings.window)
    return [span for span in ended if not any(span.overlaps(other) for other in measured)]


def keep(connection: sa.Connection, window: Window, *, actor: str) -> bool:
    """Write a measured window down, with its ledger entry.

    Returns:
        False if it had been measured before; the first measurement stays.
    """
    environment, model, start = window.environment, window.model, window.start
    if rows.find(connection, Window, environment=environment, model=model, start=start):
        return False
    rows.insert(connection, window)
    _trace(connection, window)
    ledger.append(
        connection,
        at=window.measured_at,
        actor=actor,
        action="window.measured",
        subject=window.ref,
        reason=f"{window.outcome} on {window.n_predictions} predictions",
        details={"labels": window.n_labels, "champion": window.champion},
    )
    return True


def _trace(connection: sa.Connection, window: Window) -> None:
    """A window comes from the version that answered most of it, and the plans in force."""
    at, ref = window.measured_at, window.ref
    lineage.note(connection, address=ref, kind="window", name=ref, at=at)
    if window.champion:
        lineage.link(connection, ref, f"{window.model}/{window.champion}", "answered by")
    plans = rows.find(connection, Plan, environment=window.environment, model=window.model)
    ends = [*(plan.made_at for plan in plans[1:]), window.end]
    for plan, end in zip(plans, ends, strict=False):
        if plan.made_at < window.end and end > window.start:
            lineage.link(connection, ref, plan.ref, "answered under")
