"""Two runs on the same scored rows: how much they differ, and whether that may be chance."""

from __future__ import annotations

import msgspec


class PairedMetric(msgspec.Struct, frozen=True, kw_only=True):
    """A metric of two runs on the same rows; `difference` is the second minus the first.

    The interval is that of the difference, at 95 %.
    """

    metric: str
    slice: str = ""  # "carrier=UA"; "" for all rows
    first: float
    second: float
    difference: float
    low: float
    high: float
    n: int

    @property
    def is_told_apart(self) -> bool:
        """Whether the interval leaves out that there is no difference."""
        return self.low > 0 or self.high < 0


class Confusion(msgspec.Struct, frozen=True, kw_only=True):
    """What was answered, at a score of 0.5, beside what came true: numbers of rows."""

    true_positive: int
    false_positive: int
    false_negative: int
    true_negative: int


class Calibrated(msgspec.Struct, frozen=True, kw_only=True):
    """Rows with about the same probability: what was said, and the share that came true."""

    said: float
    observed: float
    low: float
    high: float
    n: int


class Scored(msgspec.Struct, frozen=True, kw_only=True):
    """One run's answers to the rows; nothing where they are no probabilities."""

    run: str
    confusion: Confusion | None
    calibration: tuple[Calibrated, ...]


class Pair(msgspec.Struct, frozen=True, kw_only=True):
    """Two runs on the same rows. `reason` says why they cannot be paired, "" if they are.

    `only_first` and `only_second` are rows that one alone answers rightly, and `p_value` how
    likely so uneven a split is, were they equally good (McNemar); None for amounts.
    """

    first: Scored
    second: Scored
    n_rows: int = 0
    metrics: tuple[PairedMetric, ...] = ()
    only_first: int | None = None
    only_second: int | None = None
    p_value: float | None = None
    reason: str = ""
