"""Rates that groups of people are compared by: all that is known of them without rows."""

from __future__ import annotations

from typing import Literal, NamedTuple

AND = " & "  # between the columns of a group: "black=yes & single=no"


class Rate(NamedTuple):
    """A share of certain rows, by its name.

    `better` says which rate a person would rather have in the own group; "" if neither.
    """

    name: str
    better: Literal["higher", "lower", ""]
    of: str  # the rows that it is a share of, in words


RATES: dict[str, Rate] = {
    each.name: each
    for each in (
        Rate("selection_rate", "higher", "rows"),
        Rate("recall", "higher", "rows with a favourable outcome"),
        Rate("false_positive_rate", "lower", "rows with an unfavourable outcome"),
        Rate("precision", "higher", "rows with a favourable answer"),
        Rate("accuracy", "higher", "rows"),
        Rate("calibration", "", "rows"),
        Rate("base_rate", "", "rows with an outcome of 0 or 1"),
    )
}
