"""What the columns of a table look like, as counts that can be added."""

from __future__ import annotations

from typing import Literal

import msgspec

QUANTILES = (0.01, 0.05, 0.25, 0.5, 0.75, 0.95, 0.99)

Kind = Literal["number", "category", "length", "time", "opaque"]


class Bins(msgspec.Struct, frozen=True, kw_only=True):
    """In what a column's values are counted, settled when the column is first seen.

    number: between `edges`; durations and times of day are numbers of seconds.
    category: by text, in `categories`, and one for all others; booleans too.
    length: the sizes of texts, lists and binary values, between `edges`.
    time: in periods, which need not be settled. opaque: not at all (structs).

    `unit` is that of the edges, if they have one: s, characters, items, bytes. Without
    edges or categories no value has been seen yet.
    """

    kind: Kind
    unit: str = ""
    edges: tuple[float, ...] = ()
    categories: tuple[str, ...] = ()


class ColumnProfile(msgspec.Struct, frozen=True, kw_only=True):
    """One column, as it is in some rows.

    `counts`: rows in each bin; last the rows that are null or no finite number. For
    categories the one before counts all other texts. `periods` are the bins of times.
    `minimum`, `maximum`, `mean` and `squares` (the sum of squared deviations from the mean)
    are those of the finite numbers or sizes; of times (UTC, ISO 8601) only the first two.
    `quantiles` are the exact ones at `QUANTILES`; empty where rows were counted in parts, whose
    bins only tell between which values a quantile lies. `top` lists the
    commonest texts, or all numbers where they are few; `is_top_complete`: there are no others.
    `n_distinct` and `n_distinct_at_most` are equal where the number of different values is
    known exactly, and None where it is not counted.
    """

    name: str
    type: str  # the name of the Polars type
    bins: Bins
    n_rows: int
    n_null: int
    n_nan: int = 0
    n_infinite: int = 0
    minimum: int | float | str | None = None
    maximum: int | float | str | None = None
    mean: float | None = None
    squares: float | None = None
    n_distinct: int | None = None
    n_distinct_at_most: int | None = None
    counts: tuple[int, ...] = ()
    quantiles: tuple[float, ...] = ()
    period: Literal["hour", "day", "month", "year"] = "hour"
    periods: tuple[tuple[str, int], ...] = ()
    top: tuple[tuple[str, int], ...] = ()
    is_top_complete: bool = False

    @property
    def n_missing(self) -> int:
        """Rows without a value that can be counted in a bin."""
        return self.n_null + self.n_nan + self.n_infinite


class Part(msgspec.Struct, frozen=True, kw_only=True):
    """Files whose rows were profiled together, and the address of what came out.

    `reading` is the address of how the files were read.
    """

    files: tuple[str, ...]  # digests
    reading: str
    profile: str


class Profile(msgspec.Struct, frozen=True, kw_only=True):
    """The columns of a table; `parts` are the profiles it was put together from."""

    n_rows: int
    columns: tuple[ColumnProfile, ...]
    parts: tuple[Part, ...] = ()
