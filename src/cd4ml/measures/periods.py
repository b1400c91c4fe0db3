"""Rows per hour, day, month or year: a histogram of times that nobody has to pin.

Periods nest in each other, so that counts of finer ones become counts of coarser ones
exactly. Everybody uses the finest period of which not too many are filled; parts merge to
what all rows together would have given, in whatever order.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping
from datetime import date
from typing import Literal, NamedTuple, get_args

Unit = Literal["hour", "day", "month", "year"]

UNITS: tuple[Unit, ...] = get_args(Unit)

_HOURS, _MONTHS = 24, 12


class Periods(NamedTuple):
    """Rows in each period that holds some, in order of their names."""

    unit: Unit
    counts: tuple[tuple[str, int], ...]  # ("2013-01-31T05", 17) for hours, ("2013-01", 17)


def periods(unit: Unit, found: Mapping[str, int], most: int) -> Periods:
    """Counts in the finest periods of which at most `most` are filled.

    Args:
        unit: What the names in `found` are.
        found: Name of a period -> rows in it, as ISO 8601 begins: year, month, day, T, hour.
        most: Periods that may be filled; years are never joined.

    Returns:
        The periods, of `unit` or a coarser one.

    Source:
        Definition.

    Examples:
        >>> periods("day", {"2013-01-30": 2, "2013-01-31": 3, "2013-02-01": 1}, most=2)
        Periods(unit='month', counts=(('2013-01', 5), ('2013-02', 1)))
    """
    counts = Counter(found)
    while len(counts) > most and unit != "year":
        counts, unit = _coarser(counts, unit), UNITS[UNITS.index(unit) + 1]
    return Periods(unit, tuple(sorted(counts.items())))


def in_unit(of: Periods, unit: Unit) -> dict[str, int]:
    """The counts in coarser periods.

    Args:
        of: The periods.
        unit: The same or a coarser one.

    Returns:
        Name of a period -> rows in it.

    Raises:
        ValueError: If the unit is a finer one.

    Source:
        Definition.

    Examples:
        >>> in_unit(Periods("month", (("2012-12", 1), ("2013-01", 5), ("2013-02", 2))), "year")
        {'2012': 1, '2013': 7}
    """
    counts, finer = Counter(dict(of.counts)), of.unit
    if UNITS.index(unit) < UNITS.index(finer):
        raise ValueError(f"a {finer} cannot be divided into parts of a {unit}")
    while finer != unit:
        counts, finer = _coarser(counts, finer), UNITS[UNITS.index(finer) + 1]
    return dict(counts)


def periods_together(first: Periods, second: Periods, most: int) -> Periods:
    """The periods of two parts as one.

    Args:
        first: Of one part.
        second: Of the other part.
        most: Periods that may be filled.

    Returns:
        What `periods` gives for all rows.

    Source:
        Definition.

    Examples:
        >>> january = periods("day", {"2013-01-30": 2}, most=2)
        >>> periods_together(january, periods("day", {"2013-01-31": 3}, most=2), most=2)
        Periods(unit='day', counts=(('2013-01-30', 2), ('2013-01-31', 3)))
    """
    unit = max(first.unit, second.unit, key=UNITS.index)
    counts = Counter(in_unit(first, unit)) + Counter(in_unit(second, unit))
    return periods(unit, counts, most)


def with_gaps(of: Periods, most: int) -> Periods:
    """Periods for a picture: with the empty ones between them, and not too many.

    Args:
        of: The periods.
        most: Periods at most from the first to the last; coarser ones are taken until they fit.

    Returns:
        Every period from the first to the last; only the filled ones where even the years are
        too many, or no calendar has them.

    Source:
        Definition.

    Examples:
        >>> with_gaps(Periods("month", (("2012-12", 1), ("2013-02", 2))), 12).counts
        (('2012-12', 1), ('2013-01', 0), ('2013-02', 2))
    """
    for unit in UNITS[UNITS.index(of.unit) :]:
        counts = in_unit(of, unit)
        names = _from_first_to_last(counts, unit, most)
        if names:
            return Periods(unit, tuple((name, counts.get(name, 0)) for name in names))
    return Periods("year", tuple(sorted(in_unit(of, "year").items())))


def _from_first_to_last(counts: Mapping[str, int], unit: Unit, most: int) -> list[str]:
    """Names of all the periods; none if they are too many or cannot be counted."""
    try:
        first, last = (_number(name, unit) for name in (min(counts), max(counts)))
    except ValueError:
        return []
    return [_name(number, unit) for number in range(first, last + 1)] if last - first < most else []


def _number(name: str, unit: Unit) -> int:
    """How many periods after the beginning of the calendar."""
    if unit == "hour":
        day, _, hour = name.partition("T")
        return date.fromisoformat(day).toordinal() * _HOURS + int(hour)
    if unit == "day":
        return date.fromisoformat(name).toordinal()
    if unit == "month":
        start = date.fromisoformat(f"{name}-01")
        return start.year * _MONTHS + start.month - 1
    return date.fromisoformat(f"{name}-01-01").year


def _name(number: int, unit: Unit) -> str:
    if unit == "hour":
        return f"{date.fromordinal(number // _HOURS).isoformat()}T{number % _HOURS:02d}"
    if unit == "day":
        return date.fromordinal(number).isoformat()
    if unit == "month":
        return f"{number // _MONTHS:04d}-{number % _MONTHS + 1:02d}"
    return f"{number:04d}"


def _coarser(counts: Mapping[str, int], unit: Unit) -> Counter[str]:
    separator = "T" if unit == "hour" else "-"
    joined: Counter[str] = Counter()
    for name, count in counts.items():
        joined[name.rpartition(separator)[0]] += count
    return joined
