"""Figures as people read them."""

from __future__ import annotations

_EXACT = 2**53  # beyond it a float does not hold every whole number


def number(value: float | None) -> str:
    """A measured value; a dash where there is none.

    Examples:
        >>> number(0.63217), number(None), number(12.0), number(1e20)
        ('0.6322', '-', '12', '1e+20')
    """
    if value is None:
        return "-"
    if abs(value) > _EXACT:  # more digits than were measured
        return f"{value:.6g}"
    return f"{value:,.0f}" if float(value).is_integer() else f"{value:,.4f}"
