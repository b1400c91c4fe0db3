"""How old the newest data of a dataset is, and whether that is too old."""

from __future__ import annotations

from datetime import datetime, timedelta
from typing import Literal

import msgspec

from cd4ml.records.dataset import Dataset, DatasetVersion

_HOUR = timedelta(hours=1)


class Freshness(msgspec.Struct, frozen=True, kw_only=True):
    """The age of a dataset by the project's clock.

    `state` is "" where nobody said when the data is stale, and "unknown" where it is lost which
    column says when a row happened. What counts is the newest event,
    where the rows say when they happened; else the moment the newest version was made.
    """

    state: Literal["", "fresh", "stale", "unknown"]
    version_at: datetime | None = None  # when the newest version was made
    event_at: datetime | None = None  # when the newest of its rows happened
    age_hours: float | None = None  # None: there is no version
    within_hours: float | None = None


def freshness_of(
    dataset: Dataset, newest: DatasetVersion | None, *, event_time: str = "", now: datetime
) -> Freshness:
    """How fresh a dataset is; one without a version is stale, if it can be.

    Args:
        dataset: With the age from which it is stale.
        newest: Its newest version.
        event_time: The column that says when a row happened.
        now: The project's time.

    Examples:
        >>> from datetime import UTC
        >>> day = datetime(2013, 1, 1, tzinfo=UTC)
        >>> rides = Dataset(name="rides", fresh_within_hours=24, created_at=day, created_by="ann")
        >>> freshness_of(rides, None, now=day).state
        'stale'
    """
    within = dataset.fresh_within_hours
    if newest is None:
        return Freshness(state="stale" if within else "", within_hours=within)
    event_at = _newest_event(newest, event_time)
    age_hours = max(0.0, (now - (event_at or newest.created_at)) / _HOUR)
    state: Literal["", "fresh", "stale"] = ""
    if within is not None:
        state = "fresh" if age_hours <= within else "stale"
    return Freshness(
        state=state,
        version_at=newest.created_at,
        event_at=event_at,
        age_hours=age_hours,
        within_hours=within,
    )


def _newest_event(version: DatasetVersion, event_time: str) -> datetime | None:
    for column in version.columns:
        if column.name == event_time and column.latest:
            return datetime.fromisoformat(column.latest)
    return None
