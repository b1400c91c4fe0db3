"""A metric of several runs, as the points of an SVG drawing."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, NamedTuple

from markupsafe import Markup

from cd4ml.web.chart import BOTTOM, HEIGHT, LEFT, RIGHT, TOP, WIDTH, Tick
from cd4ml.web.curve import marks, place

if TYPE_CHECKING:
    from collections.abc import Sequence

    from cd4ml.records.curve import Curves, RunCurve

N_COLOURS = 10

_TICKS = 5


class RunLine(NamedTuple):
    """One run's line: which of the colours, its points, and what is said of them."""

    run: str
    colour: int
    points: str
    end: tuple[float, float]
    sentence: str
    told: Markup  # JSON: places across and values, for the reader under the pointer


class CurvesChart(NamedTuple):
    """Everything a template needs to draw one metric of some runs."""

    metric: str
    sentence: str  # for those who do not see it
    lines: list[RunLine]
    ticks: list[Tick]
    across: list[Tick]
    unit: str
    width: int = WIDTH
    height: int = HEIGHT
    left: int = LEFT
    right: int = RIGHT
    top: int = TOP
    bottom: int = BOTTOM


def curves_chart(curves: Curves, runs: Sequence[str], *, by: str = "step") -> CurvesChart | None:
    """The drawing of a metric; None if no run has a finite value of it.

    Args:
        curves: The metric of those runs that have it.
        runs: All runs that are compared: each has its colour in every drawing.
        by: "step" or "time".
    """
    there = [(each, _finite(each, by)) for each in curves.runs]
    drawn = [(each, points) for each, points in there if points]
    if not drawn:
        return None
    values = [value for _, points in drawn for _, value in points]
    places = [where for _, points in drawn for where, _ in points]
    levels = marks(min(values), max(values))
    first, last = min(places), max(places)
    colours = {run: i for i, run in enumerate(dict.fromkeys(runs))}
    return CurvesChart(
        metric=curves.metric,
        sentence=f"{curves.metric} of {', '.join(each.run for each, _ in drawn)}",
        lines=[
            _line(each, colours[each.run], points, (first, last), levels) for each, points in drawn
        ],
        ticks=[
            Tick(place(level, levels[0], levels[-1], BOTTOM, TOP), f"{level:.6g}")
            for level in levels
        ],
        across=_across(first, last),
        unit="step" if by == "step" else "seconds",
    )


def _finite(curve: RunCurve, by: str) -> list[tuple[float, float]]:
    places = curve.steps if by == "step" else curve.seconds
    return [
        (where, value)
        for where, value in zip(places, curve.values, strict=True)
        if value is not None
    ]


def _line(
    curve: RunCurve,
    colour: int,
    points: list[tuple[float, float]],
    ends: tuple[float, float],
    levels: list[float],
) -> RunLine:
    drawn = [
        (place(where, *ends, LEFT, RIGHT), place(value, levels[0], levels[-1], BOTTOM, TOP))
        for where, value in points
    ]
    where, value = points[-1]
    told = [
        [x, f"{at:.6g}", f"{level:.6g}"] for (x, _), (at, level) in zip(drawn, points, strict=True)
    ]
    return RunLine(
        run=curve.run,
        colour=colour % N_COLOURS,
        points=" ".join(f"{x},{y}" for x, y in drawn),
        end=drawn[-1],
        sentence=f"{curve.run}: {curve.n_points:,} points, {value:.6g} at {where:.6g}",
        told=Markup(json.dumps(told, separators=(",", ":")).replace('"', "&quot;")),
    )


def _across(first: float, last: float) -> list[Tick]:
    if first == last:
        return [Tick(place(first, first, last, LEFT, RIGHT), f"{first:.6g}")]
    shown = [first + (last - first) * i / (_TICKS - 1) for i in range(_TICKS)]
    if float(first).is_integer() and float(last).is_integer():
        shown = sorted({round(each) for each in shown})
    return [Tick(place(each, first, last, LEFT, RIGHT), f"{each:.4g}") for each in shown]
