"""Judge a past candidate by another policy, from stored evidence alone.

What nobody looked at then is said, never guessed: a policy that asks for it leaves the candidate
undecided, unless something that was stored stands against it.
"""

from __future__ import annotations

from collections.abc import Collection
from math import isfinite
from typing import Literal

from cd4ml.gates.evidence import Evidence
from cd4ml.gates.judge import judge
from cd4ml.gates.kinds import KINDS
from cd4ml.gates.policy import Policy
from cd4ml.records.finding import Finding, Outcome, worst
from cd4ml.records.gate import Gate, kind_of
from cd4ml.records.replay import Rejudged, Unseen

_UNMEASURED = "cannot be measured from what is stored"
_AT_HAND = ("champion", "trivial")  # which the evidence has, or says that there is none


def rejudge(policy: Policy, evidence: Evidence, then: Collection[Finding] = ()) -> Rejudged:
    """What a policy says of a candidate whose evidence was stored.

    What cannot be measured on the rows could not then either: an error, which stops. Of a kind that
    gathers its own evidence it counts as one that nobody looked at, since it may have failed only
    for want of evidence, unless the verdict says the same.

    Args:
        policy: Another one than that of the verdict, or the same.
        evidence: From `gates.stored.stored_evidence`.
        then: The findings of the verdict.
    """
    asked, unseen = [], []
    for index, gate in enumerate(policy.gates):
        reason = not_looked_at(gate, evidence)
        if reason:
            unseen.append(Unseen(gate=f"gate[{index}] {kind_of(gate)}", reason=reason))
        else:
            asked.append(gate)
    findings = tuple(f for f in judge(tuple(asked), evidence) if f.is_gated)
    said = {(each.kind, each.reason) for each in then if each.outcome == "error"}
    doubtful = [] if _measures_nothing(evidence) else _doubtful(findings, evidence, said)
    unseen += [Unseen(gate=f.gate, reason=f"{_UNMEASURED}: {f.reason}") for f in doubtful]
    certain = tuple(finding for finding in findings if finding not in doubtful)
    return Rejudged(outcome=_outcome(certain, unseen), findings=findings, unseen=tuple(unseen))


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


def _doubtful(
    findings: tuple[Finding, ...], evidence: Evidence, said: Collection[tuple[str, str]]
) -> list[Finding]:
    """The errors that may be for want of evidence: of kinds that look at more than the rows."""
    return [
        finding
        for finding in findings
        if finding.outcome == "error"
        and finding not in evidence.found
        and KINDS[finding.kind].record is not None
        and (finding.kind, finding.reason) not in said
    ]


def _outcome(
    certain: tuple[Finding, ...], unseen: list[Unseen]
) -> Outcome | Literal["not looked at"]:
    found = worst(tuple(finding.outcome for finding in certain))
    return "not looked at" if unseen and (found == "pass" or not certain) else found
