"""A metric over its steps, as the points of an SVG drawing."""

from __future__ import annotations

from math import isfinite
from typing import TYPE_CHECKING

from cd4ml.web.chart import BOTTOM, LEFT, RIGHT, TOP, Chart, Point, Tick, ticks

if TYPE_CHECKING:
    from cd4ml.loop.runs import Curve

_FEW = 40  # points that are drawn one by one
_STEPS_SHOWN = 5


def curve_chart(curve: Curve) -> Chart | None:
    """The drawing of a curve; None if it has no finite value.

    Examples:
        >>> from cd4ml.loop.runs import Curve
        >>> chart = curve_chart(Curve(metric="loss", steps=(0, 5), values=(1.0, 0.5), n_points=2))
        >>> chart.line, [tick.label for tick in chart.days]
        ('40.0,10.0 322.0,126.7', ['0', '1', '2', '3', '5'])
    """
    there = [
        (step, value)
        for step, value in zip(curve.steps, curve.values, strict=True)
        if value is not None and isfinite(value)
    ]
    if not there:
        return None
    levels = marks(min(value for _, value in there), max(value for _, value in there))
    low, high = there[0][0], there[-1][0]
    points = [
        Point(
            place(step, low, high, LEFT, RIGHT),
            place(value, levels[0], levels[-1], BOTTOM, TOP),
            f"step {step}: {value:.6g}",
        )
        for step, value in there
    ]
    last = there[-1]
    counted = f"{curve.n_points:,} points"
    return Chart(
        title=curve.metric,
        sentence=f"{curve.metric}: {counted}, {last[1]:.6g} at step {last[0]}",
        ticks=[Tick(place(m, levels[0], levels[-1], BOTTOM, TOP), f"{m:.6g}") for m in levels],
        days=_steps(low, high),
        points=points if len(points) <= _FEW else points[-1:],
        line=" ".join(f"{point.x},{point.y}" for point in points),
        band="",
        references=[],
    )


def marks(low: float, high: float) -> list[float]:
    """Levels of the upright axis: round ones, where there are such."""
    if isfinite((high - low) * 10):
        return ticks(low, high)
    return [low, low / 2 + high / 2, high]  # so far apart that nothing round lies beyond


def place(value: float, low: float, high: float, start: float, end: float) -> float:
    """Where a value lies in a drawing: low at `start`, high at `end`."""
    if low == high:
        return (start + end) / 2
    # each divided by itself first: the difference of two large floats may be infinite
    share = (value / 2 - low / 2) / (high / 2 - low / 2)
    return round(start + share * (end - start), 1)


def _steps(low: int, high: int) -> list[Tick]:
    shown = sorted({low + (high - low) * i // (_STEPS_SHOWN - 1) for i in range(_STEPS_SHOWN)})
    if len(shown) < _STEPS_SHOWN:
        shown = sorted({low, high})
    return [Tick(place(step, low, high, LEFT, RIGHT), str(step)) for step in shown]
