"""The kinds of gate: what refuses one that cannot be meant, and what judges it.

A kind's module is read with every policy, so it imports NumPy, Polars and the measures only
inside `judge`.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING, Any, NamedTuple

from cd4ml.gates import (
    behaviour,
    contract,
    data,
    explanation,
    fairness,
    leakage,
    metric,
    representation,
    skew,
    slices,
    trend,
)
from cd4ml.records.behaviour import BehaviourEvidence
from cd4ml.records.contract_gate import ContractEvidence
from cd4ml.records.data_gate import DataEvidence
from cd4ml.records.explanation import ExplanationEvidence
from cd4ml.records.history import History
from cd4ml.records.leakage_gate import LeakageEvidence
from cd4ml.records.representation import Representation
from cd4ml.records.skew_gate import SkewEvidence

if TYPE_CHECKING:
    import msgspec

    from cd4ml.gates.evidence import Evidence
    from cd4ml.records.finding import Finding


class Kind(NamedTuple):
    """What is done with the gates of one kind.

    `record` is what `loop.gathering` brings for it, None if the rows of the holdout are enough;
    the judge finds it in `Evidence.gathered` under the kind's name.
    """

    require_possible: Callable[[Any, str], None]  # (gate, "gate[0]"); raises ConfigurationError
    judge: Callable[[Any, Evidence], list[Finding]]  # (gate, evidence); pure
    record: type[msgspec.Struct] | None = None


KINDS: dict[str, Kind] = {
    "metric": Kind(metric.require_possible, metric.judge),
    "slices": Kind(slices.require_possible, slices.judge),
    "trend": Kind(trend.require_possible, trend.judge, record=History),
    "fairness": Kind(fairness.require_possible, fairness.judge),
    "representation": Kind(
        representation.require_possible, representation.judge, record=Representation
    ),
    "data": Kind(data.require_possible, data.judge, record=DataEvidence),
    "leakage": Kind(leakage.require_possible, leakage.judge, record=LeakageEvidence),
    "skew": Kind(skew.require_possible, skew.judge, record=SkewEvidence),
    "contract": Kind(contract.require_possible, contract.judge, record=ContractEvidence),
    "behaviour": Kind(behaviour.require_possible, behaviour.judge, BehaviourEvidence),
    "explanation": Kind(explanation.require_possible, explanation.judge, ExplanationEvidence),
}
