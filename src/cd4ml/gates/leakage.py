"""`kind = "leakage"`: nothing told the candidate what only the future, or the holdout, knows."""

from __future__ import annotations

from collections.abc import Iterator
from math import isfinite
from typing import TYPE_CHECKING

from cd4ml.gates.allowed import require_reasons, require_share, unless_allowed
from cd4ml.gates.refusal import refused
from cd4ml.records.finding import Finding, Outcome

if TYPE_CHECKING:
    from cd4ml.gates.evidence import Evidence
    from cd4ml.records.leakage_gate import (
        AloneColumn,
        LateColumn,
        LeakageEvidence,
        LeakageGate,
        StepInput,
    )

SHARED = "shared rows"
REPEATED = "repeated requests"
ALONE = "one column alone"
LATE = "known too late"
SPLIT = "split in time"
FITTED = "learned from the holdout"

SUMMARIES = (
    "model",
    "json",
    "metrics",
    "array",
)  # kinds of outputs that are no rows, but learned of them


def require_possible(gate: LeakageGate, path: str) -> None:
    """Refuse a gate that cannot be meant.

    Raises:
        ConfigurationError: If a limit is none, or a reason is missing.
    """
    require_share(gate.repeated_at_most, f"{path}.repeated_at_most")
    require_reasons(gate.allow, f"{path}.allow")
    if not 0 < gate.alone_at_most <= 1:
        msg = f"a column alone explains between 0 and 1, got {gate.alone_at_most:g}"
        raise refused(msg, f"{path}.alone_at_most", hint="for example 0.99")
    if not (isfinite(gate.embargo_hours) and gate.embargo_hours >= 0):
        msg = f"an embargo lasts 0 hours or more, got {gate.embargo_hours:g}"
        raise refused(msg, f"{path}.embargo_hours")


def judge(gate: LeakageGate, evidence: Evidence) -> list[Finding]:
    """The findings on rows, columns, times and steps, in this order.

    Of the columns that predict the target alone, those that pass are told by one finding together.
    Without rows nothing was seen, which is an error.
    """
    seen: LeakageEvidence = evidence.gathered["leakage"]
    if not (seen.n_training and seen.n_holdout):
        empty = "holdout" if seen.n_training else "training"
        return [_unmeasured("leakage", "leakage", f"there are no {empty} rows to look at")]
    return [
        _shared(seen),
        _repeated(gate, seen),
        *_alone(gate, seen),
        *_late(gate, seen),
        *_split(gate, seen),
        *_fitted(gate, seen),
    ]


def _shared(seen: LeakageEvidence) -> Finding:
    same = f"by {', '.join(seen.shared_by)}" if seen.shared_by else "in every column"
    return Finding(
        gate=f"{SHARED} at most 0",
        metric=SHARED,
        value=float(seen.n_shared),
        limit=0.0,
        n_rows=seen.n_holdout,
        outcome="pass" if seen.n_shared == 0 else "fail",
        reason=f"compared {same} with {seen.n_training:,} training rows",
    )


def _repeated(gate: LeakageGate, seen: LeakageEvidence) -> Finding:
    share = seen.n_repeated / seen.n_holdout if seen.n_holdout else 0.0
    limit = gate.repeated_at_most
    told = f"{seen.n_repeated:,} of {seen.n_holdout:,} requests stand in the training rows too"
    is_kept = limit is None or share <= limit
    finding = Finding(
        gate=f"{REPEATED} at most {limit:g}" if limit is not None else REPEATED,
        metric=REPEATED,
        value=share,
        limit=limit,
        n_rows=seen.n_holdout,
        is_gated=limit is not None,
        outcome="pass" if is_kept else "fail",
        reason=told,
    )
    return unless_allowed(finding, gate.allow, REPEATED)


def _alone(gate: LeakageGate, seen: LeakageEvidence) -> list[Finding]:
    if not seen.alone:
        return [_unmeasured(ALONE, ALONE, "the model takes no column")]
    found = [_on_column(gate, column, seen.n_holdout) for column in seen.alone]
    bad = [finding for finding in found if finding.outcome != "pass"]
    good = {c.value: c for c in seen.alone if c.value is not None and c.value <= gate.alone_at_most}
    if not good or any(finding.is_gated for finding in bad):
        return bad
    return [*bad, _best(gate, good[max(good)], len(seen.alone), seen.n_holdout)]


def _on_column(gate: LeakageGate, column: AloneColumn, n_rows: int) -> Finding:
    asked = f"{ALONE} at most {gate.alone_at_most:g} ({column.column})"
    if column.value is None:
        return Finding(
            gate=asked,
            metric=ALONE,
            n_rows=n_rows,
            outcome="error",
            reason=column.problem,
        )
    outcome: Outcome = "pass" if column.value <= gate.alone_at_most else "fail"
    told = f"its {column.measure}: {column.column!r} says what is to be predicted"
    finding = Finding(
        gate=asked,
        metric=ALONE,
        value=column.value,
        low=column.low,
        high=column.high,
        limit=gate.alone_at_most,
        n_rows=n_rows,
        outcome=outcome,
        reason=told if outcome == "fail" else "",
    )
    return unless_allowed(finding, gate.allow, column.column)


def _best(gate: LeakageGate, column: AloneColumn, n_columns: int, n_rows: int) -> Finding:
    return Finding(
        gate=f"{ALONE} at most {gate.alone_at_most:g}",
        metric=ALONE,
        value=column.value,
        low=column.low,
        high=column.high,
        limit=gate.alone_at_most,
        n_rows=n_rows,
        outcome="pass",
        reason=f"the {column.measure} of {column.column!r}, the best of {n_columns} columns",
    )


def _late(gate: LeakageGate, seen: LeakageEvidence) -> Iterator[Finding]:
    known = {column.column for column in seen.late}
    for name in gate.known_at:
        if name not in known:
            reason = f"the rows have no column of times named {name!r}"
            yield _unmeasured(f"{LATE} at most 0 ({name})", LATE, reason)
    for column in seen.late:
        is_asked = column.is_arrival or column.column in gate.known_at
        if is_asked or column.n_late:
            yield unless_allowed(_on_times(column, is_asked), gate.allow, column.column)


def _on_times(column: LateColumn, is_asked: bool) -> Finding:
    told = f"{column.n_late:,} of {column.n_rows:,} rows say in {column.column!r} that"
    return Finding(
        gate=f"{LATE} at most 0 ({column.column})",
        metric=LATE,
        value=float(column.n_late),
        limit=0.0,
        n_rows=column.n_rows,
        slice="" if is_asked else column.column,
        is_gated=is_asked,
        outcome="pass" if column.n_late == 0 else "fail",
        reason=f"{told} they were known after their event time" if column.n_late else "",
    )


def _split(gate: LeakageGate, seen: LeakageEvidence) -> Iterator[Finding]:
    split = seen.split
    if split is None:
        if gate.embargo_hours:
            yield _unmeasured(
                SPLIT, SPLIT, "the rows have no event time, so no embargo can be seen"
            )
        return
    is_kept = split.n_late == 0 and split.gap_hours >= gate.embargo_hours
    finding = Finding(
        gate=f"{SPLIT} by at least {gate.embargo_hours:g} hours",
        metric=SPLIT,
        value=split.gap_hours,
        limit=gate.embargo_hours,
        n_rows=seen.n_training,
        outcome="pass" if is_kept else "fail",
        reason=f"{split.n_late:,} of {seen.n_training:,} training rows are not before the"
        f" first holdout row, by {split.column!r}"
        if not is_kept
        else "",
    )
    yield unless_allowed(finding, gate.allow, SPLIT)


def _fitted(gate: LeakageGate, seen: LeakageEvidence) -> Iterator[Finding]:
    if seen.no_steps:
        asked = f"{FITTED} at most 0"
        unknown = Finding(gate=asked, metric=FITTED, outcome="inconclusive", reason=seen.no_steps)
        yield unless_allowed(unknown, gate.allow, FITTED)
        return
    misnamed = [name for name in gate.fits if name not in {each.step for each in seen.steps}]
    for name in misnamed:
        reason = f"{name!r}, named in fits, is no step that the model comes from"
        yield _unmeasured(f"{FITTED} at most 0 ({name})", FITTED, reason)
    learning = [s for s in seen.steps if s.kind in SUMMARIES or s.step in gate.fits]
    reading = [step for step in learning if step.reads and step.n_shared != 0]
    for step in reading:
        yield unless_allowed(_on_step(step, seen.n_holdout), gate.allow, step.step)
    if not reading:
        names = dict.fromkeys(step.step for step in learning)
        yield Finding(
            gate=f"{FITTED} at most 0",
            metric=FITTED,
            value=0.0,
            limit=0.0,
            n_rows=seen.n_holdout,
            outcome="pass",
            reason=f"{', '.join(names)} read none of its rows",
        )


def _on_step(step: StepInput, n_rows: int) -> Finding:
    what = {"model": "a model"}.get(step.kind, "plain data" if step.kind != "table" else "a table")
    rows = (
        f"{step.n_shared:,} of the {n_rows:,} holdout rows stand in it"
        if step.n_shared is not None
        else "the holdout comes from it too"
    )
    return Finding(
        gate=f"{FITTED} at most 0 ({step.step})",
        metric=FITTED,
        value=float(step.n_shared) if step.n_shared is not None else None,
        limit=0.0,
        n_rows=n_rows,
        outcome="fail",
        reason=f"the step {step.step!r} makes {what} of {step.reads!r}, and {rows}",
    )


def _unmeasured(asked: str, metric: str, reason: str) -> Finding:
    return Finding(gate=asked, metric=metric, outcome="error", reason=reason)
