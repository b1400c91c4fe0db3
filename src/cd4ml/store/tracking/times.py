"""The times of points: milliseconds since 1970."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta

_EPOCH = datetime(1970, 1, 1, tzinfo=UTC)


def moment_of(time_ms: int) -> datetime:
    """A point's time.

    Examples:
        >>> moment_of(1_000).isoformat()
        '1970-01-01T00:00:01+00:00'
    """
    return _EPOCH + timedelta(milliseconds=time_ms)


def milliseconds(moment: datetime) -> int:
    """A time as points have it."""
    return (moment - _EPOCH) // timedelta(milliseconds=1)
