"""`[[gate]]`: what a candidate must stand, one record a kind.

A table in `cd4ml.toml` says its `kind`; without one it is `metric`. To add a kind: its record here,
a row in `gates.kinds`, and, if it needs more than the rows of the holdout, one in `loop.gathering.kinds`.
"""

from __future__ import annotations

from typing import get_args

import msgspec

from cd4ml.records.behaviour_gate import BehaviourGate
from cd4ml.records.contract_gate import ContractGate
from cd4ml.records.data_gate import DataGate
from cd4ml.records.explanation_gate import ExplanationGate
from cd4ml.records.fairness_gate import FairnessGate
from cd4ml.records.leakage_gate import LeakageGate
from cd4ml.records.metric_gate import MetricGate
from cd4ml.records.representation_gate import RepresentationGate
from cd4ml.records.skew_gate import SkewGate
from cd4ml.records.slices_gate import SlicesGate
from cd4ml.records.trend_gate import TrendGate

KIND = "kind"
DEFAULT_KIND = "metric"


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
