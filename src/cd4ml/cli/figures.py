"""Figures as people read them."""

from __future__ import annotations

_LARGE = 100_000  # from here on a fraction says nothing that was measured
_EXACT = 2**53  # beyond it a float does not hold every whole number


def number(value: float | None) -> str:
    """A measured value; a dash where there is none.

    Examples:
        >>> number(0.63217), number(None), number(12.0), number(87365409.0968), number(1e20)
        ('0.6322', '-', '12', '87,365,409', '1e+20')
    """
    if value is None:
        return "-"
    if abs(value) > _EXACT:  # more digits than were measured
        return f"{value:.6g}"
    is_whole = float(value).is_integer() or abs(value) >= _LARGE
    return f"{value:,.0f}" if is_whole else f"{value:,.4f}"
