"""What a verdict was about, beside rows and scores."""

from __future__ import annotations

import msgspec

from cd4ml.records.finding import Finding


class Judged(msgspec.Struct, frozen=True, kw_only=True):
    """What a judge was told of the holdout and of the training rows.

    `found` are findings that were made while the evidence was gathered (rows that taught and
    judge), `missing` says of a kind of gate why its evidence could not be gathered.
    """

    target: str  # a column of the holdout
    slices: tuple[str, ...] = ()  # columns of the holdout
    champion: str = ""  # "delay/3"
    base_rate: float | None = None  # mean of the target in the training rows; None: unknown
    found: tuple[Finding, ...] = ()
    missing: dict[str, str] = {}
