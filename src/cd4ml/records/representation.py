"""Training rows counted by groups of people: the evidence for `kind = "representation"`."""

from __future__ import annotations

import msgspec


class RowsOfGroup(msgspec.Struct, frozen=True):
    """The rows of one combination of values, counted.

    `missing` has one number a field of the `Representation`: rows without a value there.
    """

    values: tuple[str, ...]  # one a column; a missing one is "null"
    n: int
    labelled: int  # rows whose outcome is 0 or 1
    positive: int  # of these, the rows whose outcome is 1
    missing: tuple[int, ...] = ()


class Representation(msgspec.Struct, frozen=True, kw_only=True):
    """Training rows in cells of all columns together; any grouping of them is sums of these."""

    columns: tuple[str, ...]
    fields: tuple[str, ...] = ()  # columns in which a value is missing somewhere
    cells: tuple[RowsOfGroup, ...]
