"""A line of numbers as one line of text."""

from __future__ import annotations

from collections.abc import Sequence
from math import isfinite

_BLOCKS = "▁▂▃▄▅▆▇█"
_NOTHING = "·"


def sparkline(
    places: Sequence[float],
    values: Sequence[float | None],
    *,
    across: tuple[float, float],
    between: tuple[float, float],
    width: int = 40,
) -> str:
    """Values over their places, as blocks of eight heights.

    A column shows the last value in it, one without any the value before; a dot is where the
    line has not begun or is over.

    Args:
        places: Where each value was, rising.
        values: The values; None and what is not finite is passed over.
        across: The places of the first and the last column.
        between: The values of the lowest and the highest block.
        width: How many columns.

    Examples:
        >>> sparkline([0, 1, 2, 3], [0.0, 1.0, None, 0.5], across=(0, 4), between=(0, 1), width=5)
        '▁██▅·'
    """
    last: dict[int, float] = {}
    for place, value in zip(places, values, strict=True):
        if value is not None and isfinite(value):
            last[_column(place, across, width)] = value
    text, value = "", None
    for column in range(width):
        value = last.get(column, value)
        is_there = value is not None and column <= max(last)
        text += _block(value, between) if is_there and value is not None else _NOTHING
    return text


def _column(place: float, across: tuple[float, float], width: int) -> int:
    first, end = across
    if end <= first:
        return 0
    return min(width - 1, max(0, int((place - first) / (end - first) * (width - 1) + 0.5)))


def _block(value: float, between: tuple[float, float]) -> str:
    low, high = between
    # each divided by itself first: the difference of two large floats may be infinite
    span = high / 2 - low / 2
    share = (value / 2 - low / 2) / span if span > 0 else 0.5
    return _BLOCKS[min(len(_BLOCKS) - 1, int(share * len(_BLOCKS)))]
