"""Verdicts: what all findings together say about a candidate, kept for ever."""

from __future__ import annotations

from datetime import datetime

import sqlalchemy as sa

from cd4ml.errors import Inconclusive, Refused
from cd4ml.gates.policy import Policy
from cd4ml.records.finding import Finding, Outcome, worst
from cd4ml.records.verdict import Verdict
from cd4ml.store import ledger, lineage, rows
from cd4ml.store.sealed import MADE

_SHOWN = 10  # findings in a message; the verdict has them all

_WORDS: dict[Outcome, tuple[str, str]] = {  # about one finding, about several
    "error": ("could not be measured", "could not be measured"),
    "fail": ("failed", "failed"),
    "inconclusive": ("is inconclusive", "are inconclusive"),
}


def outcome_of(findings: tuple[Finding, ...]) -> Outcome:
    """The worst outcome among the findings that decide; none at all is an error.

    Examples:
        >>> outcome_of(())
        'error'
    """
    return worst(tuple(finding.outcome for finding in findings if finding.is_gated))


def give_verdict(
    connection: sa.Connection,
    *,
    model: str,
    run: int,
    artifact: str,
    policy: Policy,
    holdout: str,
    champion: str,
    evidence: dict[str, str],
    findings: tuple[Finding, ...],
    made: str = "",
    by: str,
    at: datetime,
) -> Verdict:
    """Write down a verdict, whatever it is: refused candidates are remembered too.

    Args:
        connection: Of a write transaction.
        model: The model's name.
        run: The run that made the candidate.
        artifact: Content address of the candidate.
        policy: The gates that were asked.
        holdout: Content address of the rows that were judged.
        champion: The version it was compared with, "" if there was none.
        evidence: Where what the judge saw is kept (see `store_evidence`).
        findings: What `judge` found.
        made: Digest of what the run was made of (`store.sealed.made_of`).
        by: Who asked for the verdict.
        at: Now.
    """
    verdict = Verdict(
        number=rows.next_number(connection, Verdict),
        model=model,
        run=run,
        artifact=artifact,
        policy=policy.address,
        holdout=holdout,
        champion=champion,
        evidence=evidence,
        findings=findings,
        outcome=outcome_of(findings),
        judged_at=at,
        judged_by=by,
    )
    rows.insert(connection, verdict)
    name = f"{verdict.ref}: {verdict.outcome}"
    lineage.note(connection, address=verdict.ref, kind="verdict", name=name, at=at)
    lineage.link(connection, verdict.ref, holdout, "input")
    ledger.append(
        connection,
        at=at,
        actor=by,
        action="verdict.given",
        subject=verdict.ref,
        reason=summary(verdict),
        details={
            "outcome": verdict.outcome,
            "run": f"run/{run}",
            "artifact": artifact,
            "policy": verdict.policy,
            "holdout": holdout,
            "champion": champion,
            "evidence": evidence,
            **({MADE: made} if made else {}),
        },
        records=(verdict,),
    )
    return verdict


def refuse_unless_passed(verdict: Verdict) -> None:
    """Let a candidate through only with a pass.

    Raises:
        Refused: If a finding failed, or could not be measured; the message lists the findings,
            worst first.
        Inconclusive: If nothing is worse than undecided: more rows may decide it.
    """
    if verdict.outcome == "pass":
        return
    bad = _worst_first(verdict)
    lines = [f"  - {_line(finding)}" for finding in bad[:_SHOWN]]
    if len(bad) > _SHOWN:
        lines.append(f"  … and {len(bad) - _SHOWN} more")
    message = "\n".join([f"run/{verdict.run} was not accepted: {summary(verdict)}", *lines])
    error = Inconclusive if verdict.outcome == "inconclusive" else Refused
    hint = f"cd4ml gate show {verdict.ref}" if bad else "add a [[gate]] to cd4ml.toml"
    raise error(message, hint=hint)


def summary(verdict: Verdict) -> str:
    """The verdict in a few words: how many findings decide, and how many did not pass.

    A single kind reads "2 of 3 findings failed"; several are counted one after the other.
    """
    gated = [finding for finding in verdict.findings if finding.is_gated]
    if not gated:
        return "no gate was asked, and nothing measured is no pass"
    counts = {kind: sum(f.outcome == kind for f in gated) for kind in _WORDS}
    parts = [(n, _WORDS[kind][n > 1]) for kind, n in counts.items() if n]
    of_all = "finding" if len(gated) == 1 else "findings"
    if not parts:
        return f"{len(gated)} of {len(gated)} {of_all} passed"
    if len(parts) == 1:
        n, words = parts[0]
        return f"{n} of {len(gated)} {of_all} {words}"
    return f"of {len(gated)} {of_all} " + ", ".join(f"{n} {words}" for n, words in parts)


def _worst_first(verdict: Verdict) -> list[Finding]:
    """The findings that stand in the way: errors, failures, undecided ones."""
    order = list(_WORDS)
    bad = [f for f in verdict.findings if f.is_gated and f.outcome != "pass"]
    return sorted(bad, key=lambda finding: order.index(finding.outcome))


def _line(finding: Finding) -> str:
    name = f"{finding.metric}[{finding.slice}]" if finding.slice else finding.metric
    needs = finding.gate.removeprefix(finding.metric).strip()
    if finding.value is None and not needs:  # a whole gate could not be asked
        return f"{name}: {finding.reason}"
    if finding.value is None:
        return f"{name}, needs {needs}: {finding.reason}"
    text = f"{name} = {finding.value:.4g}"
    if finding.low is not None and finding.high is not None:
        text += f" ({finding.low:.4g} to {finding.high:.4g})"
    text += f", needs {needs}"
    if finding.limit is not None and f"{finding.limit:g}" not in needs:
        text += f" ({finding.limit:.4g})"
    return f"{text}: {finding.reason}" if finding.reason else text
