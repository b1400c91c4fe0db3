"""What a candidate can be compared with: names that a policy may use."""

from __future__ import annotations

import re
from typing import Literal, NamedTuple, get_args

Period = Literal["day", "week", "year"]
Step = Literal["hour", "day", "month"]

TRIVIAL = "trivial"
CHAMPION = "champion"
KNOWN = "trivial, champion, a version such as delay/3, last-day, last-week or last-year"

_VERSION = re.compile(r"[^/\s]+/[1-9][0-9]*")
_SEASON = re.compile(f"last-({'|'.join(get_args(Period))})(?:-by-({'|'.join(get_args(Step))}))?")
_STEPS: dict[Period, Step] = {"day": "hour", "week": "day", "year": "month"}
_SHORTER: dict[Step, tuple[Period, ...]] = {  # what a step can be a part of
    "hour": ("day", "week", "year"),
    "day": ("week", "year"),
    "month": ("year",),
}


class Season(NamedTuple):
    """What happened one period before, at the same place within it."""

    period: Period
    step: Step


def season_in(name: str) -> Season | None:
    """The season of a baseline's name; None if it is none.

    Examples:
        >>> season_in("last-week"), season_in("last-week-by-hour")
        (Season(period='week', step='day'), Season(period='week', step='hour'))
        >>> season_in("last-day-by-month"), season_in("champion")
        (None, None)
    """
    found = _SEASON.fullmatch(name)
    if found is None:
        return None
    period: Period = found[1]  # type: ignore[assignment]  # the pattern allows no other
    step: Step = found[2] or _STEPS[period]  # type: ignore[assignment]
    return Season(period, step) if period in _SHORTER[step] else None


def is_version(name: str) -> bool:
    """Whether a baseline is a version of a model.

    Examples:
        >>> is_version("delay/3"), is_version("delay/0"), is_version("last-week")
        (True, False, False)
    """
    return _VERSION.fullmatch(name) is not None


def is_baseline(name: str) -> bool:
    """Whether a policy may compare with it.

    Examples:
        >>> [is_baseline(name) for name in ("trivial", "last-year", "challenger")]
        [True, True, False]
    """
    return name in (TRIVIAL, CHAMPION) or is_version(name) or season_in(name) is not None
