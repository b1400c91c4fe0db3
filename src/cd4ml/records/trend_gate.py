"""`[[gate]] kind = "trend"`: a metric beside those of the versions before."""

from __future__ import annotations

import msgspec


class TrendGate(
    msgspec.Struct,
    frozen=True,
    kw_only=True,
    forbid_unknown_fields=True,
    tag_field="kind",
    tag="trend",
):
    """`kind = "trend"`: a metric beside those of the released versions before.

    Two things are refused: a fall below the control limit of the releases, and a slow slide
    over them (Mann-Kendall), though each step alone would pass.
    """

    metric: str
    releases: int = 8  # so many of the newest count
    false_alarms: float = 0.05  # share of equally good candidates that chance may refuse
    slide: float = 0.0  # a slide by no more, over all of them, may be
