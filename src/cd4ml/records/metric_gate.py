"""`[[gate]] kind = "metric"`: limits on one metric."""

from __future__ import annotations

from typing import Literal

import msgspec


class MetricGate(
    msgspec.Struct,
    frozen=True,
    kw_only=True,
    forbid_unknown_fields=True,
    tag_field="kind",
    tag="metric",
):
    """`kind = "metric"`, which may be left out: limits on one metric, judged on the holdout.

    A baseline is `trivial` (one answer for all rows, from the training rows), `champion`, a
    version (`delay/3`), or a season: `last-day`, `last-week`, `last-year` (what the training
    rows say of the same hour, weekday or month one season before). `better_than` one asks for
    the interval of the difference on the same rows to lie on the better side;
    `no_worse_than = { champion = 0.005 }` refuses when the candidate is worse by more.
    """

    metric: str
    at_least: float | None = None
    at_most: float | None = None
    by: Literal["value", "interval"] = "value"  # what has to reach a floor or ceiling
    better_than: str | None = None  # a baseline
    no_worse_than: dict[str, float] = {}  # by baseline: how much worse, in the metric's unit
    threshold: float | None = None  # score from which an answer is "yes"; 0.5 without it
    interval: Literal["analytic", "bootstrap"] = "analytic"
    together: str = ""  # a column of the holdout: rows of one value share a fate
