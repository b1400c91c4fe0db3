"""Columns by which people are told apart, as a gate names them."""

from __future__ import annotations

Grouping = tuple[str, ...]  # the columns whose combinations of values are the groups


def groupings_of(groups: tuple[str | Grouping, ...]) -> tuple[Grouping, ...]:
    """The groupings that `groups` of a gate names: a column alone, or several crossed.

    Examples:
        >>> groupings_of(("black", ("black", "single")))
        (('black',), ('black', 'single'))
    """
    return tuple((each,) if isinstance(each, str) else each for each in groups)
