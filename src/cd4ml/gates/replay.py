"""Judge a past candidate by another policy, from stored evidence alone.

What nobody looked at then is said, never guessed: a policy that asks for it leaves the candidate
undecided, unless something that was stored stands against it.
"""

from __future__ import annotations

from math import isfinite
from typing import Literal

from cd4ml.gates.evidence import Evidence
from cd4ml.gates.judge import judge
from cd4ml.gates.kinds import KINDS
from cd4ml.gates.policy import Policy
from cd4ml.records.finding import Finding, Outcome, worst
from cd4ml.records.gate import Gate, kind_of
from cd4ml.records.replay import Rejudged, Unseen

_AT_HAND = ("champion", "trivial")  # which the evidence has, or says that there is none


def rejudge(policy: Policy, evidence: Evidence) -> Rejudged:
    """What a policy says of a candidate whose evidence was stored.

    A finding that could not be measured counts as one that nobody looked at, since it may have
    failed only for want of evidence; unless the rows themselves say that nothing can be measured.

    Args:
        policy: Another one than that of the verdict, or the same.
        evidence: From `gates.stored.stored_evidence`.
    """
    asked, unseen = [], []
    for index, gate in enumerate(policy.gates):
        reason = not_looked_at(gate, evidence)
        if reason:
            unseen.append(Unseen(gate=f"gate[{index}] {kind_of(gate)}", reason=reason))
        else:
            asked.append(gate)
    findings = tuple(f for f in judge(tuple(asked), evidence) if f.is_gated)
    unseen += [] if _measures_nothing(evidence) else _unmeasured(findings, evidence)
    return Rejudged(
        outcome=_outcome(findings, unseen, evidence), findings=findings, unseen=tuple(unseen)
    )


def not_looked_at(gate: Gate, evidence: Evidence) -> str:
    """What a gate asks for that is not in the evidence, in words; "" if all of it is there."""
    kind = kind_of(gate)
    if kind in evidence.missing:
        return f"it could not be had then: {evidence.missing[kind]}"
    if KINDS[kind].record is not None and kind not in evidence.gathered:
        return "not looked at then"
    absent = [name for name in _compared(gate) if name not in evidence.others]
    if absent:
        return f"no scores of {', '.join(absent)} on these rows were kept"
    return ""


def _compared(gate: Gate) -> list[str]:
    """The versions and baselines, beside champion and trivial model, that a gate compares with."""
    margins: dict[str, float] = getattr(gate, "no_worse_than", {})
    better: str | None = getattr(gate, "better_than", None)
    named = [*margins, *([better] if better else [])]
    return [name for name in dict.fromkeys(named) if name not in _AT_HAND]


def _measures_nothing(evidence: Evidence) -> bool:
    """Whether an error was one then as well: no rows, no finite numbers, or one target alone."""
    y_true, score = evidence.y_true, evidence.score
    if y_true.size == 0 or y_true.shape != score.shape:
        return True
    is_finite = isfinite(y_true.sum()) and isfinite(score.sum())
    return not is_finite or bool((y_true == y_true[0]).all())


def _unmeasured(findings: tuple[Finding, ...], evidence: Evidence) -> list[Unseen]:
    return [
        Unseen(
            gate=finding.gate, reason=f"cannot be measured from what is stored: {finding.reason}"
        )
        for finding in findings
        if finding.outcome == "error" and finding not in evidence.found
    ]


def _outcome(
    findings: tuple[Finding, ...], unseen: list[Unseen], evidence: Evidence
) -> Outcome | Literal["not looked at"]:
    is_real = _measures_nothing(evidence) or any(f.outcome == "error" for f in evidence.found)
    if is_real:
        return worst(tuple(finding.outcome for finding in findings))
    measured = tuple(finding.outcome for finding in findings if finding.outcome != "error")
    if unseen and worst(measured) in ("pass", "error"):
        return "not looked at"
    return worst(measured)
