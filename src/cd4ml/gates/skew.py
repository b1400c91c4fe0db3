"""`kind = "skew"`: what the model is asked in production is what it learned from."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from math import isfinite
from typing import TYPE_CHECKING

from cd4ml.gates.allowed import left_out, require_reasons, require_share, unless_allowed
from cd4ml.gates.refusal import refused
from cd4ml.records.finding import Finding, Outcome

if TYPE_CHECKING:
    from cd4ml.gates.evidence import Evidence
    from cd4ml.records.skew_gate import (
        AskedAgain,
        MadeAgain,
        ServedColumn,
        SkewEvidence,
        SkewGate,
    )

TYPES = "types of requests"
ANSWERS = "answers asked again"
MADE = "columns made again"
UNSEEN = "unseen values"
MISSING = "missing values"
MOVED = "psi"

_FALSE_ALARMS = 0.01  # share of gates without a change in which a column moves by chance
_NOTHING = "no request has been captured yet"


def require_possible(gate: SkewGate, path: str) -> None:
    """Refuse a gate that cannot be meant.

    Raises:
        ConfigurationError: If a limit is none, a reason is missing, or a step cannot be asked.
    """
    require_share(gate.unseen_at_most, f"{path}.unseen_at_most")
    require_share(gate.missing_at_most, f"{path}.missing_at_most")
    require_reasons(gate.allow, f"{path}.allow")
    if gate.requests < 1:
        raise refused(f"at least 1 request is looked at, got {gate.requests}", f"{path}.requests")
    for name in ("answers_within", "moved_at_most"):
        limit = getattr(gate, name)
        if limit is not None and not (isfinite(limit) and limit >= 0):
            raise refused(f"a limit is 0 or more, got {limit:g}", f"{path}.{name}")
    _require_one_way(gate, path)


def _require_one_way(gate: SkewGate, path: str) -> None:
    ways = [name for name in ("takes", "key") if getattr(gate, name)]
    if gate.step and len(ways) != 1:
        msg = f"how the step {gate.step!r} is held against requests is said in one way"
        hint = 'takes = "the input that requests are given as", or key = "the caller\'s key"'
        raise refused(msg, f"{path}.step", hint=hint)
    if ways and not gate.step:
        msg = f"{ways[0]} says how a step is held against requests, and none is named"
        raise refused(msg, f"{path}.{ways[0]}", hint='step = "the step that makes the columns"')


def judge(gate: SkewGate, evidence: Evidence) -> list[Finding]:
    """The findings on types, answers, columns made again, and the values of each column.

    Before anything was captured there is nothing to differ: one finding says so, and passes, as a
    comparison with the champion does while there is none.
    """
    seen: SkewEvidence = evidence.gathered["skew"]
    if seen.n_requests == 0:
        where = f" in {seen.environment}" if seen.environment else ""
        reason = f"{_NOTHING}{where}"
        return [Finding(gate="skew", metric=TYPES, value=0.0, outcome="pass", reason=reason)]
    return [
        _types(seen),
        *(_answers(gate, each) for each in seen.answers),
        *_made(gate, seen),
        *_of_columns(gate, seen),
    ]


def _types(seen: SkewEvidence) -> Finding:
    looked_at = f"the newest {seen.n_requests:,} requests in {seen.environment}"
    told = (seen.misfit or looked_at, left_out(seen.masked) if seen.masked else "")
    return Finding(
        gate=f"{TYPES} as in training",
        metric=TYPES,
        value=float(seen.n_misfit),
        limit=0.0,
        n_rows=seen.n_requests,
        outcome="fail" if seen.n_misfit else "pass",
        reason="; ".join(filter(None, told)),
    )


def _answers(gate: SkewGate, again: AskedAgain) -> Finding:
    asked = f"{ANSWERS} within {gate.answers_within:g} ({again.version})"
    if again.problem:
        return Finding(gate=asked, metric=ANSWERS, outcome="error", reason=again.problem)
    if not again.n_answers:
        return _not_comparable(gate, asked, ANSWERS, again.masked)
    n_far = sum(difference > gate.answers_within for difference in again.differences)
    n_beyond = n_far + again.n_undefined
    largest = max(again.differences, default=None)
    is_cut = 0 < n_far == len(again.differences) < again.n_answers - again.n_undefined
    at_least = "at least " if is_cut else ""
    return Finding(
        gate=asked,
        metric=ANSWERS,
        value=largest,
        limit=gate.answers_within,
        n_rows=again.n_answers,
        outcome="fail" if n_beyond else "pass",
        reason=f"{at_least}{n_beyond:,} of {again.n_answers:,} answers on record are not those"
        " of the fitted estimator"
        if n_beyond
        else _not_asked(again),
    )


def _not_asked(again: AskedAgain) -> str:
    if not again.n_masked:
        return ""
    return f"{again.n_masked:,} more cannot be asked again: {left_out(again.masked)}"


def _not_comparable(gate: SkewGate, asked: str, metric: str, masked: Sequence[str]) -> Finding:
    """Nothing could be compared; who allows each of the fields knows that."""
    reason = f"no request on record is whole: {left_out(masked)}"
    finding = Finding(gate=asked, metric=metric, outcome="inconclusive", reason=reason)
    is_allowed = all(name in gate.allow for name in masked)
    return unless_allowed(finding, gate.allow, *masked) if is_allowed else finding


def _made(gate: SkewGate, seen: SkewEvidence) -> Iterator[Finding]:
    if gate.step and not any(each.step == gate.step for each in seen.made):
        reason = f"what the step {gate.step!r} makes of the requests was not gathered"
        yield Finding(gate=f"{MADE} by {gate.step}", metric=MADE, outcome="error", reason=reason)
    for each in seen.made:
        if each.step == gate.step:
            yield unless_allowed(_on_made(gate, each), gate.allow, each.column)


def _on_made(gate: SkewGate, made: MadeAgain) -> Finding:
    asked = f"{MADE} by {made.step}"
    if made.masked:
        return _not_comparable(gate, asked, MADE, made.masked)
    if made.problem:
        return Finding(gate=asked, metric=MADE, outcome="error", reason=made.problem)
    told = f"{made.n_different:,} of {made.n_rows:,} requests have another value in"
    return Finding(
        gate=f"{asked}, different at most 0 ({made.column})",
        metric=MADE,
        value=float(made.n_different),
        limit=0.0,
        n_rows=made.n_rows,
        outcome="fail" if made.n_different else "pass",
        reason=f"{told} {made.column!r} than {made.step!r} makes" if made.n_different else "",
    )


def _of_columns(gate: SkewGate, seen: SkewEvidence) -> list[Finding]:
    """Each column that differs; then one finding on all those that do not."""
    found = [f for column in seen.columns for f in _on_column(gate, column, len(seen.columns))]
    shown = [f for f in found if f.outcome != "pass"]
    if any(finding.is_gated for finding in shown) or not seen.columns:
        return shown
    passed = Finding(
        gate="values of requests as in training",
        metric=UNSEEN,
        value=max(column.n_unseen / column.n_served for column in seen.columns),
        limit=gate.unseen_at_most,
        n_rows=seen.n_requests,
        outcome="pass",
        reason=f"{len(seen.columns)} columns",
    )
    return [*shown, passed]


def _on_column(gate: SkewGate, column: ServedColumn, n_columns: int) -> Iterator[Finding]:
    more = column.missing_training + gate.missing_at_most
    yield unless_allowed(
        _share(UNSEEN, column.n_unseen, gate.unseen_at_most, column), gate.allow, column.column
    )
    yield unless_allowed(
        _share(MISSING, column.n_missing, min(1.0, more), column), gate.allow, column.column
    )
    if column.training and column.served and gate.moved_at_most is not None:
        yield unless_allowed(_moved(gate, column, n_columns), gate.allow, column.column)


def _share(what: str, n: int, limit: float, column: ServedColumn) -> Finding:
    """A share of requests against its ceiling: fail if it is surely above, pass if it is not."""
    from cd4ml.measures.estimate import wilson

    share = wilson(n, column.n_served)
    outcome: Outcome = "pass"
    if share.value > limit:
        outcome = "fail" if share.low > limit else "inconclusive"
    return Finding(
        gate=f"{what} at most {limit:.4g} ({column.column})",
        metric=what,
        value=share.value,
        low=share.low,
        high=share.high,
        limit=limit,
        n_rows=column.n_served,
        outcome=outcome,
        reason="more requests could change this" if outcome == "inconclusive" else "",
    )


def _moved(gate: SkewGate, column: ServedColumn, n_columns: int) -> Finding:
    from cd4ml.measures.divergence import stability_index

    limit = gate.moved_at_most or 0.0
    index = stability_index(
        column.training, column.served, effect=limit, quantile=1 - _FALSE_ALARMS / n_columns
    )
    outcomes: dict[str, Outcome] = {
        "alarm": "fail",
        "quiet": "pass",
        "insufficient": "inconclusive",
    }
    return Finding(
        gate=f"{MOVED} at most {limit:g} ({column.column})",
        metric=MOVED,
        value=index.value,
        limit=index.threshold,
        n_rows=column.n_served,
        outcome=outcomes[index.outcome],
        reason="too few requests to tell a change from chance"
        if index.outcome == "insufficient"
        else "",
    )
