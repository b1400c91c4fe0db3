"""The slices of a holdout on which a candidate is weakest."""

from __future__ import annotations

import msgspec

from cd4ml.records.finding import Finding


class Weakest(msgspec.Struct, frozen=True, kw_only=True):
    """What a search among all columns and pairs of columns found, the worst first.

    Each of `slices` is worse than all rows beyond chance, considering how many were looked at.
    """

    verdict: str  # "verdict/3"
    metric: str
    level: float  # of all rows
    n_searched: int
    slices: tuple[Finding, ...] = ()
