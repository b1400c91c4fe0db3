"""`[[gate]] kind = "slices"`: a limit that holds on every slice."""

from __future__ import annotations

import msgspec


class SlicesGate(
    msgspec.Struct,
    frozen=True,
    kw_only=True,
    forbid_unknown_fields=True,
    tag_field="kind",
    tag="slices",
):
    """`kind = "slices"`: a limit on a metric that holds on every slice.

    Slices are the values of `columns` and of `pairs` of columns (numbers in four ranges), and
    those `named`; without any of the three, the values of `[model] slices`. One fails when it is
    worse than the limit beyond chance, all slices considered together.
    """

    metric: str
    at_least: float | None = None
    at_most: float | None = None
    worse_by: float | None = None  # how much worse than all rows a slice may be
    columns: tuple[str, ...] = ()
    pairs: tuple[tuple[str, str], ...] = ()
    named: tuple[str, ...] = ()  # "carrier=UA", or "carrier=UA & origin=EWR"
    min_rows: int = 100  # a smaller slice is inconclusive
    false_discoveries: float = 0.05  # share of the failing slices that may be chance
    threshold: float | None = None  # score from which an answer is "yes"; 0.5 without it
