"""Where the rows of a table stand: in which file, in which of its rows."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import NamedTuple


class Part(NamedTuple):
    """A file of a table, and how many of its rows it holds: all, or those up to some row."""

    path: str
    n_rows: int


class Places:
    """Names the place of a row of a table that is made of files, in order.

    Rows count from 1, without a header. A single file is not named: the message in
    which the place stands names it. The rows of the files are counted when a place is
    first asked for.

    Examples:
        >>> places = Places(lambda: [Part("a.csv", 3), Part("b.csv", 2)])
        >>> places.of(4)
        'row 1 of b.csv'
        >>> Places().of(1204)
        'row 1,204'
    """

    def __init__(self, count: Callable[[], Sequence[Part]] = tuple) -> None:
        self._count = count
        self._parts: tuple[Part, ...] | None = None

    @property
    def parts(self) -> tuple[Part, ...]:
        """The files with their numbers of rows."""
        if self._parts is None:
            self._parts = tuple(self._count())
        return self._parts

    def part_of(self, row: int) -> Part:
        """The file that a row of the whole table stands in, and its number there."""
        for part in self.parts:
            if row <= part.n_rows:
                return Part(part.path, row)
            row -= part.n_rows
        return Part("", row)

    def of(self, row: int) -> str:
        """The place of a row of the whole table."""
        place = self.part_of(row) if len(self.parts) > 1 else Part("", row)
        return f"row {place.n_rows:,} of {place.path}" if place.path else f"row {row:,}"
