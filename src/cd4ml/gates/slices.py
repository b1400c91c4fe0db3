"""`kind = "slices"`: a limit that holds on every slice, on named ones, or on the weakest found."""

from __future__ import annotations

from math import isfinite
from typing import TYPE_CHECKING

from cd4ml.gates.metric import require_floor_or_ceiling, require_measure, require_threshold
from cd4ml.gates.refusal import refused
from cd4ml.records.finding import Finding, Outcome

if TYPE_CHECKING:
    from cd4ml.gates.cut import Slice
    from cd4ml.gates.evidence import Evidence
    from cd4ml.measures.catalog import Measure
    from cd4ml.records.slices_gate import SlicesGate

_AND = " & "  # as in `gates.cut`, which loads NumPy
_SHOWN = 5  # slices in a reason


def require_possible(gate: SlicesGate, path: str) -> None:
    """Refuse a gate on slices that nobody can mean.

    Args:
        gate: What is asked.
        path: Where it stands in `cd4ml.toml`.

    Raises:
        ConfigurationError: With what could be asked instead.
    """
    measure = require_measure(gate.metric, path)
    limits = [limit for limit in (gate.at_least, gate.at_most, gate.worse_by) if limit is not None]
    if len(limits) != 1:
        message = f"a gate on slices sets one limit, got {len(limits)}"
        raise refused(message, path, hint="at_least, at_most, or worse_by (than all rows)")
    require_floor_or_ceiling(gate.at_least, gate.at_most, measure, path)
    if gate.worse_by is not None and not (isfinite(gate.worse_by) and gate.worse_by > 0):
        message = f"how much worse a slice may be is above 0, got {gate.worse_by:g}"
        raise refused(message, f"{path}.worse_by", hint="for example 0.05, in the metric's unit")
    if gate.worse_by is not None and gate.worse_by >= abs(measure.worst - measure.best):
        message = f"nothing is worse by {gate.worse_by:g} in {measure.name}, so this asks nothing"
        raise refused(message, f"{path}.worse_by", hint="for example 0.05")
    require_threshold(gate.threshold, measure, path)
    if gate.min_rows < 2:
        message = f"a slice needs 2 rows or more to be judged, got {gate.min_rows}"
        raise refused(message, f"{path}.min_rows", hint="100 is a usual one")
    if not (isfinite(gate.false_discoveries) and 0 < gate.false_discoveries < 0.5):
        message = f"a share of chance findings is between 0 and 0.5, got {gate.false_discoveries:g}"
        raise refused(message, f"{path}.false_discoveries", hint="0.05 is a usual one")
    _require_names(gate, path)


def judge(gate: SlicesGate, evidence: Evidence) -> list[Finding]:
    """A finding for all slices of the columns together, and one for each named slice.

    A slice fails when it is worse than the limit beyond chance: one-sided p-values from the
    measure's own intervals, and Benjamini-Hochberg over all slices that the gate asks of. One
    whose value misses the limit, but not beyond chance, is inconclusive. A slice with fewer rows
    than `min_rows` is inconclusive too; it stands in the way only where it was named, or where
    no slice is large enough. A large slice that cannot be measured (one class only) is an error.
    """
    from cd4ml.gates.answer import unfit
    from cd4ml.gates.cut import all_slices, failing, measured_slice, rows_of
    from cd4ml.gates.measured import measure_at

    measure = measure_at(gate.metric, gate.threshold)
    if reason := unfit(evidence, measure):
        return [_finding(gate, "slices", "", outcome="error", reason=reason)]
    limit = _limit(gate, measure, evidence)
    named = [
        measured_slice(measure, gate, evidence, n, rows_of(evidence, n), limit) for n in gate.named
    ]
    sliced = all_slices(gate, measure, evidence, limit)
    fails = failing([*named, *sliced], gate.false_discoveries)
    found = [_on_named(gate, measure, one, limit, fails) for one in named]
    if sliced or not gate.named:
        found = [_on_all(gate, measure, sliced, limit, fails), *found]
    return [*found, *_shown(gate, measure, sliced, limit, fails)]


def _limit(gate: SlicesGate, measure: Measure, evidence: Evidence) -> float:
    if gate.worse_by is None:
        limit = gate.at_least if gate.at_least is not None else gate.at_most
        assert limit is not None  # the policy has refused a gate without one
        return limit
    level = measure.function(evidence.y_true, evidence.score).value
    return level - gate.worse_by if measure.direction == "higher" else level + gate.worse_by


def _outcome(
    gate: SlicesGate, measure: Measure, one: Slice, limit: float, fails: frozenset[str]
) -> tuple[Outcome, str]:
    if 0 < one.n < gate.min_rows:
        return "inconclusive", f"{one.n} rows; fewer than {gate.min_rows} say too little"
    if one.estimate is None or one.p_value is None:
        return "error", one.reason
    if one.name in fails:
        return "fail", f"beyond chance (p = {one.p_value:.2g})"
    sign = 1 if measure.direction == "higher" else -1
    if sign * (one.estimate.value - limit) < 0:
        return "inconclusive", f"may be chance (p = {one.p_value:.2g}): more rows are needed"
    return "pass", ""


def _on_named(
    gate: SlicesGate, measure: Measure, one: Slice, limit: float, fails: frozenset[str]
) -> Finding:
    outcome, reason = _outcome(gate, measure, one, limit, fails)
    asked = f"{_metric(gate)} on {one.name} {_words(gate)}"
    return _finding(gate, asked, one.name, one, limit=limit, outcome=outcome, reason=reason)


def _on_all(
    gate: SlicesGate, measure: Measure, slices: list[Slice], limit: float, fails: frozenset[str]
) -> Finding:
    """The worst of the slices that are large enough, which stands for all of them."""
    large = [one for one in slices if one.n >= gate.min_rows]
    asked = f"{_metric(gate)} on the worst of {len(large)} slices {_words(gate)}"
    if not large:
        reason = _none_large(gate, slices)
        outcome: Outcome = "inconclusive" if slices else "error"
        return _finding(gate, asked, "", limit=limit, outcome=outcome, reason=reason)
    for one in large:
        if one.estimate is None:
            reason = f"{one.name}: {one.reason}"
            return _finding(gate, asked, one.name, one, limit=limit, outcome="error", reason=reason)
    sign = 1 if measure.direction == "higher" else -1
    failing = [one for one in large if one.name in fails]
    worst = min(failing or large, key=lambda one: sign * one.estimate.value if one.estimate else 0)
    outcome, reason = _outcome(gate, measure, worst, limit, fails)
    if len(failing) > 1:
        failing.sort(key=_by_chance)
        more = f" and {len(failing) - _SHOWN} more" if len(failing) > _SHOWN else ""
        listed = ", ".join(one.name for one in failing[:_SHOWN])
        reason = f"{len(failing)} of {len(large)} slices fail beyond chance: {listed}{more}"
    return _finding(
        gate, asked, worst.name, worst, limit=limit, outcome=outcome, reason=reason or worst.name
    )


def _none_large(gate: SlicesGate, slices: list[Slice]) -> str:
    if not slices:
        return "there are no columns to slice by: name them in `columns`, or in `model.slices`"
    largest = max(one.n for one in slices)
    return f"the largest slice has {largest} rows; fewer than {gate.min_rows} say too little"


def _shown(
    gate: SlicesGate, measure: Measure, slices: list[Slice], limit: float, fails: frozenset[str]
) -> list[Finding]:
    """Each slice that does not pass by itself: shown, while the worst one decides for all."""
    found = []
    for one in sorted(slices, key=_by_chance):
        outcome, reason = _outcome(gate, measure, one, limit, fails)
        if outcome != "pass":
            asked = f"{_metric(gate)} on {one.name} {_words(gate)}"
            found.append(
                _finding(
                    gate,
                    asked,
                    one.name,
                    one,
                    limit=limit,
                    outcome=outcome,
                    reason=reason,
                    is_gated=False,
                )
            )
    return found


def _by_chance(one: Slice) -> float:
    return 1.0 if one.p_value is None else one.p_value


def _finding(
    gate: SlicesGate, asked: str, slice_: str, one: Slice | None = None, **said: object
) -> Finding:
    seen: dict[str, object] = {"n_rows": one.n} if one is not None else {}
    if one is not None and one.estimate is not None:
        value, low, high, _ = one.estimate
        seen |= {"value": value}
        seen |= {"low": low if isfinite(low) else None, "high": high if isfinite(high) else None}
    return Finding(gate=asked, metric=gate.metric, slice=slice_, **(seen | said))  # type: ignore[arg-type]


def _metric(gate: SlicesGate) -> str:
    return gate.metric if gate.threshold is None else f"{gate.metric} at {gate.threshold:g}"


def _words(gate: SlicesGate) -> str:
    if gate.at_least is not None:
        return f"at least {gate.at_least:g}"
    if gate.at_most is not None:
        return f"at most {gate.at_most:g}"
    return f"no worse than all rows by {gate.worse_by:g}"


def _require_names(gate: SlicesGate, path: str) -> None:
    for key, names in (("columns", gate.columns), ("named", gate.named), ("pairs", gate.pairs)):
        if len(set(names)) < len(names):
            raise refused(f"something stands twice in {list(names)}", f"{path}.{key}")
    for pair in gate.pairs:
        if pair[0] == pair[1]:
            message = f"a pair is of two columns, got {list(pair)}"
            raise refused(message, f"{path}.pairs", hint='[["carrier", "origin"]]')
    for name in gate.named:
        if any("=" not in part or part.startswith("=") for part in name.split(_AND)):
            message = f"expected column=value in a slice's name, got {name!r}"
            raise refused(message, f"{path}.named", hint=f'"carrier=UA{_AND}origin=EWR"')
