"""`kind = "contract"`: a candidate breaks nobody who calls the model as they do today."""

from __future__ import annotations

from collections.abc import Iterator
from math import isfinite
from typing import TYPE_CHECKING

from cd4ml.gates.allowed import left_out, require_share
from cd4ml.gates.refusal import refused
from cd4ml.records.finding import Finding, Outcome

if TYPE_CHECKING:
    from cd4ml.gates.evidence import Evidence
    from cd4ml.records.contract_gate import ContractEvidence, ContractGate

BREAKING = "breaking changes"
REFUSED = "refused requests"
FAILED = "failed requests"
MOVED = "moved answers"
LATENCY = "latency_ms"
SIZE = "size_mb"

_SHOWN = 3


def require_possible(gate: ContractGate, path: str) -> None:
    """Refuse a gate that cannot be meant.

    Raises:
        ConfigurationError: If a limit is none.
    """
    require_share(gate.refused_at_most, f"{path}.refused_at_most")
    if gate.requests < 1:
        raise refused(f"at least 1 request is replayed, got {gate.requests}", f"{path}.requests")
    most = gate.moved_at_most
    if most is not None and not (isfinite(most) and most >= 0):
        raise refused(f"answers move by 0 or more, got {most:g}", f"{path}.moved_at_most")


def judge(gate: ContractGate, evidence: Evidence) -> list[Finding]:
    """The findings on the contract's version, on replayed requests, and on budgets.

    Where the major version is raised, consumers are to change: what would be refused of today's
    requests is shown then, and decides nothing.
    """
    seen: ContractEvidence = evidence.gathered["contract"]
    return [
        _version(gate, seen),
        *_replayed(gate, seen),
        *_budget(LATENCY, seen.latency_ms, seen.latency_budget_ms, seen.n_timed),
        *_budget(SIZE, seen.size_mb, seen.size_budget_mb, 0),
    ]


def _version(gate: ContractGate, seen: ContractEvidence) -> Finding:
    asked = f"{BREAKING} at most 0 ({seen.name} {seen.version})"
    if not seen.before:
        reason = "no version is in charge yet"
        return Finding(gate=asked, metric=BREAKING, value=0.0, outcome="pass", reason=reason)
    if seen.problem:
        return Finding(gate=asked, metric=BREAKING, outcome="error", reason=seen.problem)
    breaking = [change for change in seen.changes if change.bump == "major"]
    return Finding(
        gate=asked,
        metric=BREAKING,
        value=float(len(breaking)),
        limit=0.0,
        outcome="pass" if _is_versioned(gate, seen) else "fail",
        reason=_told(gate, seen),
    )


def _is_versioned(gate: ContractGate, seen: ContractEvidence) -> bool:
    if seen.needed == "major":
        return seen.is_raised
    return seen.is_raised or not gate.is_strict or seen.needed != "minor"


def _told(gate: ContractGate, seen: ContractEvidence) -> str:
    beside = f"beside {seen.before_version} of {seen.before}"
    if not seen.changes:
        return f"as {seen.before_version} of {seen.before}"
    words = [change.words for change in seen.changes if change.bump == seen.needed]
    told = "; ".join(words[:_SHOWN]) + (f"; and {len(words) - _SHOWN} more" * (len(words) > _SHOWN))
    if _is_versioned(gate, seen):
        late = "" if seen.is_raised else f" ({seen.needed}: {seen.next_version} would say so)"
        return f"{beside}: {told}{late}"
    return f"{beside}: {told}: it has to be called {seen.next_version}"


def _replayed(gate: ContractGate, seen: ContractEvidence) -> Iterator[Finding]:
    if seen.n_requests == 0:
        yield _nothing(gate, seen)
        return
    yield _refused_requests(gate, seen)
    if seen.n_failed:
        yield Finding(
            gate=f"{FAILED} at most 0",
            metric=FAILED,
            value=float(seen.n_failed),
            limit=0.0,
            n_rows=seen.n_requests,
            outcome="fail",
            reason=f"{seen.n_failed:,} requests are taken by the contract, and not answered",
        )
    if seen.moves is not None:
        yield _moved(gate, seen)
    elif seen.masked:
        yield _not_comparable(gate, seen)
    elif gate.moved_at_most is not None:
        reason = "no request on record was answered by both"
        yield Finding(gate=_asked_moved(gate), metric=MOVED, outcome="error", reason=reason)


def _nothing(gate: ContractGate, seen: ContractEvidence) -> Finding:
    where = f" in {seen.environment}" if seen.environment else ""
    return Finding(
        gate=f"{REFUSED} at most {gate.refused_at_most:g}",
        metric=REFUSED,
        value=0.0,
        outcome="pass",
        reason=f"no request is on record yet{where}",
    )


def _refused_requests(gate: ContractGate, seen: ContractEvidence) -> Finding:
    from cd4ml.measures.estimate import wilson

    share = wilson(seen.n_refused, seen.n_requests)
    told = [
        f"{r.field}: expected {r.expected} ({r.n_requests:,} requests)"
        for r in seen.refusals[:_SHOWN]
    ]
    if seen.masked:
        told.append(left_out(seen.masked))
    if seen.is_major_raised and seen.n_refused:
        told.append("the major version is raised: consumers are to change")
    return Finding(
        gate=f"{REFUSED} at most {gate.refused_at_most:g}",
        metric=REFUSED,
        value=share.value,
        low=share.low,
        high=share.high,
        limit=gate.refused_at_most,
        n_rows=seen.n_requests,
        is_gated=not seen.is_major_raised,
        outcome="pass" if share.value <= gate.refused_at_most else "fail",
        reason="; ".join(told) or f"the newest requests in {seen.environment}",
    )


def _not_comparable(gate: ContractGate, seen: ContractEvidence) -> Finding:
    """No request is whole: that holds nobody up whose policy did not ask."""
    return Finding(
        gate=_asked_moved(gate),
        metric=MOVED,
        outcome="inconclusive",
        is_gated=gate.moved_at_most is not None,
        reason=f"no request on record is whole: {left_out(seen.masked)}",
    )


def _asked_moved(gate: ContractGate) -> str:
    return f"{MOVED} at most {gate.moved_at_most:g}" if gate.moved_at_most is not None else MOVED


def _moved(gate: ContractGate, seen: ContractEvidence) -> Finding:
    moves = seen.moves
    if moves is None:
        raise AssertionError(gate)
    limit = gate.moved_at_most
    flips = "" if moves.n_flips is None else f"; {moves.n_flips:,} cross one half"
    outcome: Outcome = "pass" if limit is None or moves.most <= limit else "fail"
    return Finding(
        gate=_asked_moved(gate),
        metric=MOVED,
        value=moves.most,
        limit=limit,
        n_rows=moves.n_answers,
        is_gated=limit is not None,
        outcome=outcome,
        reason=f"95 of 100 by at most {moves.most:.3g}, half by at most {moves.median:.3g}, all"
        f" by at most {moves.largest:.3g}{flips}",
    )


def _budget(name: str, value: float | None, budget: float | None, n: int) -> Iterator[Finding]:
    if budget is None:
        return
    asked = f"{name} at most {budget:g}"
    if value is None or not isfinite(value):
        reason = "it could not be measured"
        yield Finding(gate=asked, metric=name, outcome="error", reason=reason)
        return
    yield Finding(
        gate=asked,
        metric=name,
        value=value,
        limit=budget,
        n_rows=n,
        outcome="pass" if value <= budget else "fail",
        reason="99 of 100 single answers of the bare runtime" if name == LATENCY else "",
    )
