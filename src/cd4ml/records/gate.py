"""`[[gate]]`: what a candidate must stand, one record a kind.

A table in `cd4ml.toml` says its `kind`; without one it is `metric`. To add a kind: its record here,
a row in `gates.kinds`, and, if it needs more than the rows of the holdout, one in `loop.gathering.kinds`.
"""

from __future__ import annotations

from typing import Literal, get_args

import msgspec

from cd4ml.records.behaviour_gate import BehaviourGate
from cd4ml.records.contract_gate import ContractGate
from cd4ml.records.data_gate import DataGate
from cd4ml.records.explanation_gate import ExplanationGate
from cd4ml.records.fairness_gate import FairnessGate
from cd4ml.records.leakage_gate import LeakageGate
from cd4ml.records.representation_gate import RepresentationGate
from cd4ml.records.skew_gate import SkewGate

KIND = "kind"
DEFAULT_KIND = "metric"


class MetricGate(
    msgspec.Struct,
    frozen=True,
    kw_only=True,
    forbid_unknown_fields=True,
    tag_field=KIND,
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


class TrendGate(
    msgspec.Struct,
    frozen=True,
    kw_only=True,
    forbid_unknown_fields=True,
    tag_field=KIND,
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


class SlicesGate(
    msgspec.Struct,
    frozen=True,
    kw_only=True,
    forbid_unknown_fields=True,
    tag_field=KIND,
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


Gate = (
    MetricGate
    | TrendGate
    | SlicesGate
    | FairnessGate
    | RepresentationGate
    | DataGate
    | LeakageGate
    | SkewGate
    | ContractGate
    | BehaviourGate
    | ExplanationGate
)
KINDS_OF_GATE: tuple[type[msgspec.Struct], ...] = get_args(Gate)


def kind_of(gate: msgspec.Struct | type[msgspec.Struct]) -> str:
    """What `kind` says in `cd4ml.toml` of a gate, or of its record.

    Examples:
        >>> kind_of(MetricGate(metric="auc", at_least=0.6))
        'metric'
    """
    return str(gate.__struct_config__.tag)
