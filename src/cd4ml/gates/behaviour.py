"""Gates on what a candidate does when it is served: promises, rules about fields, and budgets."""

from __future__ import annotations

from collections.abc import Iterator
from math import isfinite
from typing import TYPE_CHECKING

from cd4ml.gates.refusal import refused
from cd4ml.models.behaviour.rules import Rule, against, allowed, rules_of, untestable
from cd4ml.records.behaviour import BehaviourEvidence, Promise, Quantile, Response
from cd4ml.records.behaviour_gate import (
    LEAST_REQUESTS,
    MOST_REQUESTS,
    MOST_ROWS,
    BehaviourGate,
)
from cd4ml.records.finding import Finding

if TYPE_CHECKING:
    from cd4ml.gates.evidence import Evidence

KIND = "behaviour"


def require_possible(gate: BehaviourGate, path: str) -> None:
    """Refuse a gate that cannot be meant.

    Raises:
        ConfigurationError: If a field stands under two rules that say the same or contradict each
            other, or if a number is not possible.
    """
    rules = rules_in(gate)
    for rule in rules:
        if not rule.field.strip():
            raise refused("a rule names a field, got ''", f"{path}.{rule.kind}")
        others = [other.kind for other in rules if other.field == rule.field]
        if len(others) > 1:
            msg = f"{rule.field!r} stands under {' and '.join(dict.fromkeys(others))}"
            msg += " twice" if len(set(others)) == 1 else ""
            raise refused(msg, f"{path}.{rule.kind}", hint="a field has one rule")
    if not (isfinite(gate.tolerance) and gate.tolerance >= 0):
        raise refused(f"a tolerance is 0 or more, got {gate.tolerance:g}", f"{path}.tolerance")
    for key, limit in (("latency_p99_ms", gate.latency_p99_ms), ("memory_mb", gate.memory_mb)):
        if limit is not None and not (isfinite(limit) and limit > 0):
            raise refused(f"a limit is a finite number above 0, got {limit:g}", f"{path}.{key}")
    _require_within(gate.rows, 1, MOST_ROWS, f"{path}.rows")
    _require_within(gate.requests, LEAST_REQUESTS, MOST_REQUESTS, f"{path}.requests")


def judge(gate: BehaviourGate, evidence: Evidence) -> list[Finding]:
    """Every promise that could be tried, each rule, and each budget.

    A promise is kept or it fails; a rule fails when an answer moves against it by more than its
    tolerance, and is inconclusive where no two rows differ in its field.
    """
    seen: BehaviourEvidence | None = evidence.gathered.get(KIND)
    if seen is None:
        reason = "nobody has tried how it behaves"
        return [Finding(gate=KIND, metric=KIND, outcome="error", reason=reason)]
    return [
        *(_kept(promise) for promise in seen.promises if promise.n_tried or promise.reason),
        *(_ruled(rule, gate.tolerance, seen) for rule in rules_in(gate)),
        *_within_budget(gate, seen),
    ]


def _kept(promise: Promise) -> Finding:
    metric = "broken promises"
    if promise.reason:
        return Finding(gate=promise.name, metric=metric, outcome="error", reason=promise.reason)
    counted = f"{promise.n_broken:,} of {promise.n_tried:,}: {promise.example}"
    return Finding(
        gate=promise.name,
        metric=metric,
        value=promise.n_broken,
        limit=0,
        n_rows=promise.n_tried,
        outcome="fail" if promise.n_broken else "pass",
        reason=counted if promise.n_broken else "",
        example=promise.example,
    )


def _ruled(rule: Rule, tolerance: float, seen: BehaviourEvidence) -> Finding:
    response = next((each for each in seen.responses if each.field == rule.field), None)
    why = untestable(rule, response)
    if response is None or why:
        return Finding(gate=rule.words, metric="response", outcome="error", reason=why)
    return _held(rule, response, allowed(tolerance, seen.scale))


def _held(rule: Rule, response: Response, limit: float) -> Finding:
    moved = against(rule, response)
    is_undecided = response.n_values < 2
    is_broken = not moved.amount <= limit
    alike = f"all rows have the same {rule.field}: nothing to compare"
    return Finding(
        gate=rule.words,
        metric=f"{moved.way} of the answer",
        value=moved.amount,
        limit=limit,
        n_rows=response.n_rows,
        outcome="inconclusive" if is_undecided else "fail" if is_broken else "pass",
        reason=alike if is_undecided else moved.example if is_broken else "",
        example=moved.example if is_broken else "",
    )


def _within_budget(gate: BehaviourGate, seen: BehaviourEvidence) -> Iterator[Finding]:
    if gate.latency_p99_ms is not None:
        yield _latency(gate.latency_p99_ms, seen)
    if gate.memory_mb is not None:
        yield _memory(gate.memory_mb, seen)


def _latency(limit: float, seen: BehaviourEvidence) -> Finding:
    asked, metric = f"p99 latency at most {limit:g} ms", "p99 latency"
    if seen.load is None:
        return Finding(gate=asked, metric=metric, outcome="error", reason="no load was tried")
    p99 = seen.load.p99_ms
    return Finding(
        gate=asked,
        metric=metric,
        value=p99.value,
        low=p99.low,
        high=p99.high,
        limit=limit,
        n_rows=seen.load.n_requests,
        outcome="pass" if p99.value <= limit else "fail",
        reason=_doubt(p99, limit),
    )


def _doubt(p99: Quantile, limit: float) -> str:
    if p99.high is None:
        return "too few requests to say how high it may be"
    is_near = (p99.low or 0.0) <= limit <= p99.high
    return "its interval lies on both sides of the limit" if is_near else ""


def _memory(limit: float, seen: BehaviourEvidence) -> Finding:
    asked, metric = f"memory at most {limit:g} MB", "memory"
    if seen.load is None or seen.load.memory_mb is None:
        reason = "how much memory the process took cannot be told on this system"
        return Finding(gate=asked, metric=metric, outcome="error", reason=reason)
    used = seen.load.memory_mb
    return Finding(
        gate=asked,
        metric=metric,
        value=used,
        limit=limit,
        n_rows=seen.load.n_requests,
        outcome="pass" if used <= limit else "fail",
    )


def rules_in(gate: BehaviourGate) -> list[Rule]:
    """The rules about fields that a gate states."""
    return rules_of(
        invariant=gate.invariant, increasing=gate.increasing, decreasing=gate.decreasing
    )


def _require_within(value: int, least: int, most: int, path: str) -> None:
    if not least <= value <= most:
        raise refused(f"expected {least:,} to {most:,}, got {value:,}", path)
