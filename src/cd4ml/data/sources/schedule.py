"""When to look at a source again: once a period, and sooner if it could not be read."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import UTC, datetime, timedelta
from typing import Literal

from cd4ml.records.job import Job

Period = Literal["hour", "day", "week"]

_LENGTHS = {"hour": timedelta(hours=1), "day": timedelta(days=1), "week": timedelta(weeks=1)}
_MONDAY = datetime(1970, 1, 5, tzinfo=UTC)
_FIRST_WAIT = timedelta(minutes=1)
_MOST_DOUBLINGS = 20


def period_start(now: datetime, every: Period) -> datetime:
    """When the present hour, day or week (from Monday) began, in UTC.

    Examples:
        >>> now = datetime(2013, 2, 14, 15, 30, tzinfo=UTC)
        >>> period_start(now, "hour").isoformat(), period_start(now, "week").isoformat()
        ('2013-02-14T15:00:00+00:00', '2013-02-11T00:00:00+00:00')
    """
    length = _LENGTHS[every]
    return _MONDAY + (now - _MONDAY) // length * length


def is_due(
    attempts: Sequence[Job], now: datetime, *, longest_wait: timedelta, most: int | None = None
) -> bool:
    """Whether to try (again): nobody did yet, or the last attempt failed long enough ago.

    Between attempts a minute passes, then two, four, ..., at most `longest_wait`.

    Args:
        attempts: What was tried for this occasion, in order.
        now: By the project's clock.
        longest_wait: Between two attempts.
        most: How many attempts are made; None: no end.
    """
    if not attempts:
        return True
    last = attempts[-1]
    if last.state != "failed" or last.finished_at is None or len(attempts) == most:
        return False
    wait: timedelta = _FIRST_WAIT * 2 ** min(len(attempts) - 1, _MOST_DOUBLINGS)
    return now >= last.finished_at + min(wait, longest_wait)


def longest_wait(every: Period) -> timedelta:
    """Between two attempts in a period: a 24th of it, so that a day's failure is an hour's."""
    return _LENGTHS[every] / 24
