"""What can be explained of a candidate's answers."""

from __future__ import annotations

from typing import Any

import msgspec

from cd4ml.errors import Cd4mlError
from cd4ml.loop.candidate import project_modules
from cd4ml.loop.gathering.asked import Asked
from cd4ml.loop.gathering.spread import spread
from cd4ml.models.explain.contributions import answer_of, contributions, shares
from cd4ml.models.explain.importance import SQUARED_ERROR, permutation_importance
from cd4ml.models.explain.parts import gap
from cd4ml.models.fitted import fitted_at
from cd4ml.models.frames import as_requested
from cd4ml.models.trust import trusted_in
from cd4ml.records.explanation import ExplanationEvidence
from cd4ml.records.explanation_gate import ExplanationGate
from cd4ml.records.metric_gate import MetricGate

BACKGROUND = 500  # training rows that say what is usual
_SAMPLED = 50  # rows, where an answer is taken apart by asking thousands of times
_MEASURED = 5_000  # rows on which importance is measured


def gather_explanation(asked: Asked, gates: tuple[ExplanationGate, ...]) -> ExplanationEvidence:
    """Take answers of the candidate apart, and measure what they are worth without each field.

    Importance is measured by the metric of the policy's first metric gate, else by the squared
    error.

    Args:
        asked: The candidate.
        gates: Those of the kind; the largest of their numbers of rows counts.
    """
    with project_modules(asked.project):
        found = _taken_apart(asked, max(gate.rows for gate in gates))
        return _measured(asked, found)


def _taken_apart(asked: Asked, n_rows: int) -> ExplanationEvidence:
    contract = asked.runtime.contract
    none = ExplanationEvidence(artifact=asked.artifact)
    try:
        rows = as_requested(contract, spread(asked.holdout, n_rows))
        usual = as_requested(contract, spread(asked.training, BACKGROUND))
        fitted = _estimator(asked)
        score = asked.runtime.score_frame
        parts = contributions(fitted, rows, background=usual, score=score, most_sampled=_SAMPLED)
    except Cd4mlError as error:
        return msgspec.structs.replace(none, reason=error.message)
    except Exception as error:  # whatever a library raises: there is no explanation, and why
        return msgspec.structs.replace(none, reason=f"{type(error).__name__}: {error}")
    answers = score(rows.head(len(parts.amounts)))
    return ExplanationEvidence(
        artifact=asked.artifact,
        n_rows=len(parts.amounts),
        method=parts.method,
        unit=parts.unit,
        largest_gap=gap(answer_of(parts), answers),
        shares=shares(parts),
    )


def _measured(asked: Asked, found: ExplanationEvidence) -> ExplanationEvidence:
    target = asked.project.settings.model.target
    rows = spread(asked.holdout, _MEASURED)
    metric = _metric(asked)
    try:
        level, importance = permutation_importance(
            asked.runtime.score_frame,
            rows.select(asked.runtime.contract.names),
            rows[target].cast(float).to_numpy(),
            metric=metric,
        )
    except Exception as error:  # as above
        reason = f"{error}" if isinstance(error, ValueError) else f"{type(error).__name__}: {error}"
        return msgspec.structs.replace(found, metric=metric, importance_reason=reason)
    return msgspec.structs.replace(
        found,
        metric=metric,
        level=level,
        n_measured=rows.height,
        importance=tuple(importance),
    )


def _metric(asked: Asked) -> str:
    named = [gate.metric for gate in asked.policy.gates if isinstance(gate, MetricGate)]
    return named[0] if named else SQUARED_ERROR


def _estimator(asked: Asked) -> Any:
    """The estimator that was fitted, loaded where it may be."""
    candidate = asked.candidate
    return fitted_at(
        asked.project.blobs,
        candidate.estimator,
        is_trusted=trusted_in(asked.project.database),
        is_joblib=candidate.is_joblib,
    )
