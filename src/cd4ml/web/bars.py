"""Histograms as the rectangles of an SVG drawing."""

from __future__ import annotations

from collections.abc import Sequence
from typing import NamedTuple

from cd4ml.records.diff import Bars
from cd4ml.records.summary import Bar

HEIGHT = 40
_STEP = 10  # from one bar to the next


class Rectangle(NamedTuple):
    """One bar, with the sentence that says it."""

    name: str  # before, after or rows
    x: float
    y: float
    width: float
    height: float
    sentence: str


class Histogram(NamedTuple):
    """Everything a template needs to draw one."""

    width: int
    rectangles: list[Rectangle]
    sentence: str  # for those who do not see it
    height: int = HEIGHT


def histogram(bars: Sequence[Bar]) -> Histogram:
    """The drawing of one histogram, the highest bar as high as the picture."""
    most = max((bar.n_rows for bar in bars), default=0.0) or 1.0
    rectangles = [
        _rectangle(
            "rows", i * _STEP, _STEP - 1, bar.n_rows / most, f"{bar.label}: {bar.n_rows:,.0f}"
        )
        for i, bar in enumerate(bars)
    ]
    return Histogram(len(bars) * _STEP, rectangles, _sentence([bar.label for bar in bars]))


def two_histograms(bars: Sequence[Bars]) -> Histogram:
    """The drawing of two histograms over the same bins, bar beside bar, as shares of the rows."""
    n_before, n_after = sum(bar.before for bar in bars) or 1, sum(bar.after for bar in bars) or 1
    shares = [(bar.before / n_before, bar.after / n_after) for bar in bars]
    most = max((max(pair) for pair in shares), default=0.0) or 1.0
    rectangles = []
    for i, (bar, (old, new)) in enumerate(zip(bars, shares, strict=True)):
        said = f"{bar.label}: {100 * old:.1f} % before, {100 * new:.1f} % after"
        half = _STEP / 2 - 0.5
        rectangles.append(_rectangle("before", i * _STEP, half, old / most, said))
        rectangles.append(_rectangle("after", i * _STEP + half, half, new / most, said))
    return Histogram(len(bars) * _STEP, rectangles, _sentence([bar.label for bar in bars]))


def _rectangle(name: str, x: float, width: float, share: float, sentence: str) -> Rectangle:
    height = round(share * HEIGHT, 2)
    return Rectangle(name, x, round(HEIGHT - height, 2), width, height, sentence)


def _sentence(labels: Sequence[str]) -> str:
    return f"{len(labels)} bars from {labels[0]} to {labels[-1]}" if labels else "no values"
