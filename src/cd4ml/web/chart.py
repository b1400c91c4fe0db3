"""A line with its interval and its references, as the points of an SVG drawing."""

from __future__ import annotations

import math
from collections.abc import Iterable, Mapping, Sequence
from datetime import datetime
from itertools import pairwise
from typing import NamedTuple

WIDTH, HEIGHT = 340, 176
LEFT, RIGHT, TOP, BOTTOM = 40, 322, 10, 150

_DAYS_SHOWN = 5
_STEPS = (1, 2, 2.5, 5, 10)
_MARKS = 4  # about so many on the upright axis


class Measured(NamedTuple):
    """A value at a time, with its interval if there is one, and what it is compared with."""

    at: datetime
    value: float
    low: float | None = None
    high: float | None = None
    references: Mapping[str, float] = {}
    note: str = ""


class Tick(NamedTuple):
    """A labelled place on an axis."""

    at: float
    label: str


class Point(NamedTuple):
    """A drawn value, with the sentence that says it."""

    x: float
    y: float
    sentence: str


class Reference(NamedTuple):
    """What the values are compared with: a level stretch around each of them."""

    name: str
    line: str  # an SVG path


class Chart(NamedTuple):
    """Everything a template needs to draw one line."""

    title: str
    sentence: str  # for those who do not see it
    ticks: list[Tick]
    days: list[Tick]
    points: list[Point]
    line: str
    band: str
    references: list[Reference]
    width: int = WIDTH
    height: int = HEIGHT
    left: int = LEFT
    right: int = RIGHT


def line_chart(title: str, measured: Sequence[Measured]) -> Chart:
    """The drawing of values in time.

    Raises:
        ValueError: If there are none.
    """
    if not measured:
        msg = f"a chart of {title} needs at least one value"
        raise ValueError(msg)
    marks = ticks(*_extent(measured))
    xs = _positions([each.at.timestamp() for each in measured])
    points = [
        Point(x, _height(each.value, marks), _sentence(each))
        for x, each in zip(xs, measured, strict=True)
    ]
    first, last = measured[0], measured[-1]
    return Chart(
        title=title,
        sentence=f"{title}: {first.value:.3f} on {_day(first.at)}, {last.value:.3f} on {_day(last.at)}",
        ticks=[Tick(_height(mark, marks), _label(mark, marks)) for mark in marks],
        days=_days(xs, measured),
        points=points,
        line=_joined((point.x, point.y) for point in points),
        band=_band(xs, measured, marks),
        references=_references(xs, measured, marks),
    )


def ticks(low: float, high: float) -> list[float]:
    """Round values that cover an extent, evenly spaced.

    Examples:
        >>> ticks(0.58, 0.66)
        [0.58, 0.6, 0.62, 0.64, 0.66]
        >>> ticks(3.0, 3.0)
        [2.6, 2.8, 3.0, 3.2, 3.4]
    """
    if low == high:
        room = abs(low) / 10 or 1.0
        low, high = low - room, high + room
    span = high - low
    unit = 10 ** math.floor(math.log10(span / _MARKS))
    step = next(unit * by for by in _STEPS if unit * by * _MARKS >= span * (1 - 1e-9))
    first, last = math.floor(low / step + 1e-9), math.ceil(high / step - 1e-9)
    return [round(index * step, 10) for index in range(first, last + 1)]


def _extent(measured: Sequence[Measured]) -> tuple[float, float]:
    values = [
        value
        for each in measured
        for value in (each.value, each.low, each.high, *each.references.values())
        if value is not None
    ]
    return min(values), max(values)


def _positions(values: Sequence[float]) -> list[float]:
    low, high = min(values), max(values)
    if low == high:
        return [(LEFT + RIGHT) / 2 for _ in values]
    return [round(LEFT + (value - low) / (high - low) * (RIGHT - LEFT), 1) for value in values]


def _height(value: float, marks: Sequence[float]) -> float:
    share = (value - marks[0]) / (marks[-1] - marks[0])
    return round(BOTTOM - share * (BOTTOM - TOP), 1)


def _band(xs: Sequence[float], measured: Sequence[Measured], marks: Sequence[float]) -> str:
    above, below = [], []
    for x, each in zip(xs, measured, strict=True):
        if each.low is not None and each.high is not None:
            above.append((x, _height(each.high, marks)))
            below.append((x, _height(each.low, marks)))
    return _joined([*above, *reversed(below)]) if len(above) > 1 else ""


def _references(
    xs: Sequence[float], measured: Sequence[Measured], marks: Sequence[float]
) -> list[Reference]:
    names = dict.fromkeys(name for each in measured for name in each.references)
    stretches = list(zip(*_around(xs), measured, strict=True))
    return [
        Reference(
            name,
            " ".join(
                f"M{start},{_height(each.references[name], marks)} H{end}"
                for start, end, each in stretches
                if name in each.references
            ),
        )
        for name in names
    ]


def _around(xs: Sequence[float]) -> tuple[list[float], list[float]]:
    """Where the stretch around each place begins and ends: half-way to its neighbours."""
    middles = [round((left + right) / 2, 1) for left, right in pairwise(xs)]
    if not middles:
        return [LEFT], [RIGHT]
    return [xs[0], *middles], [*middles, xs[-1]]


def _joined(places: Iterable[tuple[float, float]]) -> str:
    return " ".join(f"{x},{y}" for x, y in places)


def _days(xs: Sequence[float], measured: Sequence[Measured]) -> list[Tick]:
    every = math.ceil(len(measured) / _DAYS_SHOWN)
    newest_first = list(zip(xs, measured, strict=True))[::-1]  # the newest is always labelled
    return [Tick(x, _day(each.at)) for x, each in newest_first[::every]]


def _label(mark: float, marks: Sequence[float]) -> str:
    step = marks[1] - marks[0]
    digits = next(n for n in range(12) if abs(step * 10**n - round(step * 10**n)) < 1e-6)
    return f"{mark:.{digits}f}"


def _sentence(each: Measured) -> str:
    between = "" if each.low is None else f" ({each.low:.3f} to {each.high:.3f})"
    return f"{_day(each.at)}: {each.value:.4f}{between} {each.note}".strip()


def _day(at: datetime) -> str:
    return f"{at.day} {at:%b}"
