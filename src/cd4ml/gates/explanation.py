"""Gates on explanations: that each answer can be taken apart, and what it all hangs on."""

from __future__ import annotations

from typing import TYPE_CHECKING

from cd4ml.gates.refusal import refused
from cd4ml.records.explanation import ExplanationEvidence, FieldImportance
from cd4ml.records.explanation_gate import ExplanationGate
from cd4ml.records.finding import Finding

if TYPE_CHECKING:
    from cd4ml.gates.evidence import Evidence

KIND = "explanation"
LARGEST_GAP = 1e-4  # of an answer's parts from its raw value; trees add up in single precision

_SHOWN = 10  # fields
_MOST_ROWS = 10_000


def require_possible(gate: ExplanationGate, path: str) -> None:
    """Refuse a gate that cannot be meant.

    Raises:
        ConfigurationError: If the share is not within 0 and 1, or the rows are too few or many.
    """
    share = gate.largest_share
    if share is not None and not 0 < share < 1:
        msg = f"a share lies between 0 and 1, got {share:g}"
        raise refused(msg, f"{path}.largest_share", hint="for example 0.6")
    if not 1 <= gate.rows <= _MOST_ROWS:
        raise refused(f"expected 1 to {_MOST_ROWS:,}, got {gate.rows:,}", f"{path}.rows")


def judge(gate: ExplanationGate, evidence: Evidence) -> list[Finding]:
    """That contributions and importance are there, then the share of the field with most of it.

    What could not be had is an error with its reason. The importance of each field is shown, and
    decides nothing.
    """
    seen: ExplanationEvidence | None = evidence.gathered.get(KIND)
    if seen is None:
        reason = "nobody has explained its answers"
        return [Finding(gate=KIND, metric=KIND, outcome="error", reason=reason)]
    asked = [_contributions(seen), _importance(seen)]
    if gate.largest_share is not None:
        asked.append(_share(gate.largest_share, seen))
    return [*asked, *(_shown(each, seen) for each in seen.importance[:_SHOWN])]


def _contributions(seen: ExplanationEvidence) -> Finding:
    asked, metric = "contributions that add up to the answer", "contributions"
    if seen.reason or not seen.n_rows:
        reason = seen.reason or "no answer was taken apart"
        return Finding(gate=asked, metric=metric, outcome="error", reason=reason)
    return Finding(
        gate=asked,
        metric=metric,
        value=seen.largest_gap,
        limit=LARGEST_GAP,
        n_rows=seen.n_rows,
        outcome="pass" if seen.largest_gap <= LARGEST_GAP else "fail",
        reason="" if seen.largest_gap <= LARGEST_GAP else "the parts add up to another answer",
    )


def _importance(seen: ExplanationEvidence) -> Finding:
    asked, metric = "importance of each field", "importance"
    if seen.importance_reason or not seen.importance:
        reason = seen.importance_reason or "no field was shuffled"
        return Finding(gate=asked, metric=metric, outcome="error", reason=reason)
    most = seen.importance[0]
    return Finding(
        gate=asked,
        metric=metric,
        value=most.value,
        low=most.low,
        high=most.high,
        n_rows=seen.n_measured,
        outcome="pass",
        reason=f"most of all {most.field}: without it {seen.metric} is worse by {most.value:.4g}",
    )


def _share(limit: float, seen: ExplanationEvidence) -> Finding:
    asked, metric = f"largest share at most {limit:g}", "largest share"
    if seen.reason or not seen.shares:
        reason = seen.reason or "no answer was taken apart"
        return Finding(gate=asked, metric=metric, outcome="error", reason=reason)
    field, share = max(seen.shares.items(), key=lambda item: item[1])
    return Finding(
        gate=asked,
        metric=metric,
        value=share,
        limit=limit,
        n_rows=seen.n_rows,
        outcome="pass" if share <= limit else "fail",
        reason=f"{field} carries {100 * share:.0f} %",
    )


def _shown(each: FieldImportance, seen: ExplanationEvidence) -> Finding:
    return Finding(
        gate=f"importance of {each.field} by {seen.metric}",
        metric=f"importance of {each.field}",
        value=each.value,
        low=each.low,
        high=each.high,
        n_rows=seen.n_measured,
        is_gated=False,
        outcome="pass",
    )
