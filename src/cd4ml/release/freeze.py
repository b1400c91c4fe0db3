"""Freeze windows: times in which no release begins or goes on."""

from __future__ import annotations

import re
from collections.abc import Iterable
from datetime import UTC, date, datetime, time, timedelta, tzinfo
from typing import NamedTuple
from zoneinfo import ZoneInfo

from cd4ml.errors import ConfigurationError
from cd4ml.records.settings import FreezeSettings

_DAYS = ("mon", "tue", "wed", "thu", "fri", "sat", "sun")
_WEEKLY = re.compile(r"(mon|tue|wed|thu|fri|sat|sun)(?: (\d\d:\d\d))?", re.IGNORECASE)
_WEEK = timedelta(days=7)
_A_MONDAY = datetime(2024, 1, 1)  # noqa: DTZ001 - wall times of a zone have no zone of their own
_FOR_EXAMPLE = 'for example from = "2026-12-20" or from = "fri 17:00"'


class _Window(NamedTuple):
    """Wall times from which and before which it is frozen; of any week, if it is weekly."""

    begin: datetime
    end: datetime
    is_weekly: bool


def frozen(windows: Iterable[FreezeSettings], now: datetime) -> str:
    """Why nothing may begin or go on at a moment, in words; "" when it may.

    Args:
        windows: Of an environment.
        now: The moment, with its zone.

    Examples:
        >>> from datetime import UTC
        >>> nights = FreezeSettings(begin="fri 17:00", until="mon 08:00", zone="Europe/Berlin")
        >>> frozen([nights], datetime(2026, 3, 7, 12, tzinfo=UTC))
        'frozen every week from fri 17:00 until mon 08:00 (Europe/Berlin)'
        >>> frozen([nights], datetime(2026, 3, 9, 7, tzinfo=UTC))  # 08:00 in Berlin
        ''
    """
    return next((_words(each) for each in windows if _holds(each, now)), "")


def require_possible(window: FreezeSettings, path: str) -> None:
    """Refuse a window that nobody can mean.

    Raises:
        ConfigurationError: Naming the key, what was expected and what came.
    """
    try:
        _zone(window.zone)
    except (KeyError, ValueError, OSError):
        hint = "UTC, or a name of the IANA database that this machine has"
        _refuse(f"there is no time zone {window.zone!r}", f"{path}.zone", hint)
    for key, text in (("from", window.begin), ("until", window.until)):
        if _weekly(text, is_end=False) is None and _dated(text, is_end=False) is None:
            expected = "a date, a date and a time, or a day of the week and a time"
            _refuse(f"expected {expected}, got {text!r}", f"{path}.{key}", _FOR_EXAMPLE)
    read = _read(window)
    if read is None:
        _refuse("a freeze lies between two dates or between two days of the week", path)
    elif not read.is_weekly and read.end <= read.begin:
        _refuse(f"a freeze ends after it begins, got until {window.until!r}", f"{path}.until")
    elif read.is_weekly and read.end == read.begin:
        _refuse("a weekly freeze leaves some time free", f"{path}.until")


def _holds(window: FreezeSettings, now: datetime) -> bool:
    read = _read(window)
    if read is None:
        return False
    zone = _zone(window.zone)
    if not read.is_weekly:
        return _is_between(now, read.begin, read.end, zone)
    length = (read.end - read.begin) % _WEEK
    # the clock's week, and the one before: a window may begin in one and end in the next
    local = now.astimezone(zone).replace(tzinfo=None)
    begin = local - (local - read.begin) % _WEEK
    return any(
        _is_between(now, start, start + length, zone)
        for start in (begin, begin - _WEEK, begin + _WEEK)
    )


def _is_between(now: datetime, begin: datetime, end: datetime, zone: tzinfo) -> bool:
    """Whether a moment lies between two wall times, without a break.

    A wall time that the clock shows twice, or skips, is two moments: a freeze begins at the first
    of them and ends at the second.
    """
    return _moments(begin, zone)[0] <= now < _moments(end, zone)[1]


def _moments(wall: datetime, zone: tzinfo) -> tuple[datetime, datetime]:
    """The first and the last moment at which a clock on the wall may be meant to show a time."""
    try:
        both = [wall.replace(tzinfo=zone, fold=fold).astimezone(UTC) for fold in (0, 1)]
    except OverflowError:  # of the first or the last day that there is
        both = [wall.replace(tzinfo=UTC)]
    return min(both), max(both)


def _zone(name: str) -> tzinfo:
    return UTC if name == "UTC" else ZoneInfo(name)  # a machine without zones knows UTC


def _read(window: FreezeSettings) -> _Window | None:
    for read, is_weekly in ((_dated, False), (_weekly, True)):
        begin, end = read(window.begin, is_end=False), read(window.until, is_end=True)
        if begin is not None and end is not None:
            return _Window(begin, end, is_weekly)
    return None


def _weekly(text: str, *, is_end: bool) -> datetime | None:
    """A moment of the week that begins on `_A_MONDAY`; a day alone is meant whole."""
    found = _WEEKLY.fullmatch(text)
    if not found:
        return None
    day = _A_MONDAY + timedelta(days=_DAYS.index(found[1].lower()))
    if not found[2]:
        return _A_MONDAY + (day + timedelta(days=is_end) - _A_MONDAY) % _WEEK
    try:
        return datetime.combine(day, time.fromisoformat(found[2]))
    except ValueError:
        return None


def _dated(text: str, *, is_end: bool) -> datetime | None:
    """A wall time; a date alone is meant whole."""
    try:
        if len(text) == len("2026-12-20"):
            day = datetime.combine(date.fromisoformat(text), time())
            return day + timedelta(days=is_end)
        moment = datetime.fromisoformat(text)
    except (ValueError, OverflowError):
        return None
    return moment if moment.tzinfo is None else None


def _words(window: FreezeSettings) -> str:
    read = _read(window)
    weekly = "every week " if read is not None and read.is_weekly else ""
    when = f"frozen {weekly}from {window.begin} until {window.until} ({window.zone})"
    return f"{when}: {window.reason}" if window.reason else when


def _refuse(msg: str, path: str, hint: str = _FOR_EXAMPLE) -> None:
    raise ConfigurationError(f"cd4ml.toml: {msg} - at `{path}`", hint=hint)
