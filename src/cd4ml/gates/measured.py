"""A measure as a gate takes it: at its threshold, with the interval that it asks for."""

from __future__ import annotations

from functools import partial
from typing import Any

import msgspec
import numpy as np
from numpy.typing import ArrayLike, NDArray

from cd4ml.gates.evidence import Evidence
from cd4ml.measures.bootstrap import bootstrap
from cd4ml.measures.catalog import MEASURES, Measure, at_threshold
from cd4ml.measures.estimate import Estimate, UndefinedMeasure
from cd4ml.records.metric_gate import MetricGate


def measure_of(gate: MetricGate, evidence: Evidence) -> Measure:
    """The measure that a gate asks for.

    Raises:
        UndefinedMeasure: If rows are to be drawn together by a column that the holdout lacks.
    """
    measure = measure_at(gate.metric, gate.threshold)
    if gate.interval == "bootstrap":
        measure = _drawn(measure, _groups(evidence, gate.together) if gate.together else None)
    return measure


def measure_at(name: str, threshold: float | None) -> Measure:
    """A measure where scores count as answers from a threshold on, if one is given."""
    return MEASURES[name] if threshold is None else at_threshold(MEASURES[name], threshold)


def _drawn(measure: Measure, together: NDArray[Any] | None) -> Measure:
    """The same measure with intervals by the bootstrap."""

    def one(y_true: ArrayLike, score: ArrayLike) -> float:
        return measure.function(y_true, score).value

    def two(y_true: ArrayLike, a: ArrayLike, b: ArrayLike) -> float:
        return one(y_true, a) - one(y_true, b)

    def interval(of: Any, *columns: ArrayLike, confidence: float = 0.95) -> Estimate:
        return bootstrap(of, *columns, together=together, confidence=confidence)

    return msgspec.structs.replace(
        measure, function=partial(interval, one), difference=partial(interval, two)
    )


def _groups(evidence: Evidence, column: str) -> NDArray[Any]:
    if evidence.holdout is None or column not in evidence.holdout.columns:
        raise UndefinedMeasure(f"the holdout has no column {column!r} whose rows belong together")
    return np.asarray(evidence.holdout[column].to_list(), dtype=object)
