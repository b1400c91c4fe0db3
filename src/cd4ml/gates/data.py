"""`kind = "data"`: the datasets that taught the candidate keep their contracts."""

from __future__ import annotations

from collections.abc import Iterator
from typing import TYPE_CHECKING

from cd4ml.gates.allowed import require_reasons, require_share, unless_allowed
from cd4ml.gates.refusal import refused
from cd4ml.records.finding import Finding, worst

if TYPE_CHECKING:
    from cd4ml.gates.evidence import Evidence
    from cd4ml.records.data_gate import CheckedDataset, DataEvidence, DataGate

METRIC = "broken rules"
QUARANTINED = "quarantined rows"

_SHOWN = 3  # broken rules in one reason


def require_possible(gate: DataGate, path: str) -> None:
    """Refuse a gate that cannot be meant.

    Raises:
        ConfigurationError: If a share is none, a reason is missing, or a dataset stands twice.
    """
    require_share(gate.quarantined_at_most, f"{path}.quarantined_at_most")
    require_reasons(gate.allow, f"{path}.allow")
    twice = [name for name in gate.datasets if gate.datasets.count(name) > 1]
    if twice:
        raise refused(f"the dataset {twice[0]!r} stands twice", f"{path}.datasets")


def judge(gate: DataGate, evidence: Evidence) -> list[Finding]:
    """A finding a dataset on its contract, and one on what was set aside; then each broken rule.

    A dataset that was to be asked and that the run did not read is an error: a gate on it would
    never say anything.
    """
    seen: DataEvidence = evidence.gathered["data"]
    known = {each.dataset: each for each in seen.datasets}
    findings: list[Finding] = []
    for name in gate.datasets or tuple(known):
        findings += _on_dataset(gate, known[name]) if name in known else [_unread(name)]
    return findings or [_nothing()]


def _on_dataset(gate: DataGate, seen: CheckedDataset) -> Iterator[Finding]:
    yield unless_allowed(_kept(gate, seen), gate.allow, seen.dataset)
    if gate.quarantined_at_most is not None:
        yield unless_allowed(_quarantined(seen, gate.quarantined_at_most), gate.allow, seen.dataset)
    for finding in _broken(seen):
        allowed = gate.allow.get(_name(seen, finding), "")
        reason = f"{finding.reason}; allowed: {allowed}" if allowed else finding.reason
        yield Finding(
            gate=_name(seen, finding),
            metric=finding.metric,
            value=finding.value,
            n_rows=finding.n_rows,
            is_gated=False,
            outcome=finding.outcome,
            reason=reason,
        )


def _kept(gate: DataGate, seen: CheckedDataset) -> Finding:
    asked = f"{METRIC} at most 0 in {seen.ref}"
    if seen.problem:
        return Finding(gate=asked, metric=METRIC, outcome="error", reason=seen.problem)
    if seen.is_empty:
        reason = f"{seen.dataset} had no rows yet, and taught nothing"
        return Finding(gate=asked, metric=METRIC, value=0.0, outcome="pass", reason=reason)
    if not seen.contract:
        reason = f"no contract says what the rows of {seen.ref} have to look like"
        return Finding(
            gate=f"a contract of {seen.ref}",
            metric=METRIC,
            n_rows=seen.n_rows,
            outcome="fail",
            reason=reason,
        )
    broken = [f for f in _broken(seen) if _name(seen, f) not in gate.allow]
    return Finding(
        gate=asked,
        metric=METRIC,
        value=float(len(broken)),
        limit=0.0,
        n_rows=seen.n_rows,
        outcome=worst(("pass", *(finding.outcome for finding in broken))),
        reason=_told(seen, broken),
    )


def _told(seen: CheckedDataset, broken: list[Finding]) -> str:
    if not broken:
        return f"{seen.contract} is kept"
    shown = [f"{f.gate} ({f.reason})" if f.reason else f.gate for f in broken[:_SHOWN]]
    more = f"; and {len(broken) - _SHOWN} more" if len(broken) > _SHOWN else ""
    return f"{seen.contract}: {'; '.join(shown)}{more}"


def _broken(seen: CheckedDataset) -> list[Finding]:
    return [f for f in seen.findings if f.is_gated and f.outcome != "pass"]


def _name(seen: CheckedDataset, finding: Finding) -> str:
    """How `allow` names a rule of a dataset."""
    return f"{seen.dataset}: {finding.gate}"


def _quarantined(seen: CheckedDataset, limit: float) -> Finding:
    n_came = seen.n_rows + seen.n_quarantined
    share = seen.n_quarantined / n_came if n_came else 0.0
    return Finding(
        gate=f"{QUARANTINED} at most {limit:g} in {seen.ref}",
        metric=QUARANTINED,
        value=share,
        limit=limit,
        n_rows=n_came,
        outcome="pass" if share <= limit else "fail",
        reason=f"{seen.n_quarantined:,} of {n_came:,} rows were set aside",
    )


def _unread(name: str) -> Finding:
    reason = f"the run did not read the dataset {name!r}"
    return Finding(
        gate=f"{METRIC} at most 0 in {name}", metric=METRIC, outcome="error", reason=reason
    )


def _nothing() -> Finding:
    reason = "the run read no dataset of the catalog, so no contract says anything about it"
    return Finding(gate=METRIC, metric=METRIC, outcome="error", reason=reason)
