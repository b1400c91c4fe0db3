"""What people want to see of a profile."""

from __future__ import annotations

import msgspec

from cd4ml.records.profile import Kind


class Bar(msgspec.Struct, frozen=True, kw_only=True):
    """One bar of a histogram: what it stands for, and about how many rows."""

    label: str
    n_rows: float


class ShownQuantile(msgspec.Struct, frozen=True, kw_only=True):
    """A quantile; the exact one lies within `low` and `high`."""

    share: float
    value: float
    low: float
    high: float


class ColumnSummary(msgspec.Struct, frozen=True, kw_only=True):
    """One column for people: of sizes, the unit says of what.

    `bars` are equally wide for numbers, the commonest values for categories, periods for
    times. `n_distinct` may be more, up to `n_distinct_at_most`.
    """

    name: str
    type: str
    kind: Kind
    unit: str
    n_rows: int
    n_null: int
    n_nan: int
    n_infinite: int
    n_distinct: int | None
    n_distinct_at_most: int | None
    minimum: int | float | str | None
    maximum: int | float | str | None
    mean: float | None
    deviation: float | None
    quantiles: tuple[ShownQuantile, ...] = ()
    top: tuple[tuple[str, int], ...] = ()
    n_others: int = 0  # rows with a text that is not listed in `top`
    bars: tuple[Bar, ...] = ()


class TableSummary(msgspec.Struct, frozen=True, kw_only=True):
    """The profile of a version, for people."""

    ref: str
    n_rows: int
    columns: tuple[ColumnSummary, ...]
