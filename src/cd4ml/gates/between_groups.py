"""The rates of groups held against each other: one finding a question, and what each group has."""

from __future__ import annotations

from functools import partial
from itertools import combinations
from typing import Literal, NamedTuple

from cd4ml.gates.within import Allowed, Comparison, Decision, decide
from cd4ml.measures.estimate import Estimate, wilson
from cd4ml.measures.fairness import GroupRate
from cd4ml.measures.named_rates import Rate
from cd4ml.measures.proportions import difference, ratio_of_shares
from cd4ml.records.fairness_gate import FairnessGate
from cd4ml.records.finding import Finding, Outcome, worst
from cd4ml.records.groupings import Grouping
from cd4ml.records.representation_gate import RepresentationGate

MOST_GROUPS = 50  # of one grouping; more are a measurement, not groups of people

_NAMED = 3  # groups in a reason


class Asked(NamedTuple):
    """How far a rate may lie apart between the groups of a grouping."""

    rate: Rate
    kind: Literal["ratio", "difference"]
    limit: float
    columns: Grouping
    by: Literal["value", "interval"]
    min_rows: int
    small: Literal["inconclusive", "shown"]

    @property
    def metric(self) -> str:
        """What is held against the limit: "recall ratio"."""
        return f"{self.rate.name} {self.kind}"

    @property
    def words(self) -> str:
        """The question: "recall ratio at least 0.8 across sex x age"."""
        side = "at least" if self.kind == "ratio" else "at most"
        return f"{self.metric} {side} {self.limit:g} across {' x '.join(self.columns)}"

    @property
    def allowed(self) -> Allowed:
        """Where the ratio, or the difference, of any two groups must lie."""
        if self.kind == "ratio":
            return Allowed(self.limit, 1 / self.limit)
        return Allowed(-self.limit, self.limit)


class Known(NamedTuple):
    """A group whose rate is defined."""

    group: str
    counted: int
    rate: Estimate

    @property
    def words(self) -> str:
        """The group, its rate, and of how many rows: "sex=f 0.64 (165 rows)"."""
        return f"{self.group} {self.rate.value:.3g} ({self.rate.n:,} rows)"

    def at(self, confidence: float) -> Estimate:
        """Its rate with the interval at another confidence."""
        share = wilson(self.counted, self.rate.n, confidence=confidence)
        shift = self.rate.value - share.value  # of calibration: less what was expected
        return Estimate(self.rate.value, share.low + shift, share.high + shift, share.n)


def asked_of(
    rate: Rate,
    columns: Grouping,
    gate: FairnessGate | RepresentationGate,
    limits: tuple[float | None, float | None],
) -> list[Asked]:
    """The questions of a gate about one rate: its limits of ratio and difference, as far as set."""
    ratio, gap = limits
    kinds: tuple[tuple[Literal["ratio", "difference"], float | None], ...]
    kinds = (("ratio", ratio), ("difference", gap))
    return [
        Asked(rate, kind, limit, columns, gate.by, gate.min_rows, gate.small)
        for kind, limit in kinds
        if limit is not None
    ]


def answers(asked: list[Asked], found: dict[str, list[GroupRate]]) -> list[Finding]:
    """A finding a question, then what each group has, once a rate.

    Args:
        asked: Questions about one grouping.
        found: Rate -> that of each group.
    """
    first = {each.rate.name: each for each in reversed(asked)}
    return [
        *(across(each, found[each.rate.name]) for each in asked),
        *(one for rate in found if rate in first for one in each_group(first[rate], found[rate])),
    ]


def across(asked: Asked, found: list[GroupRate]) -> Finding:
    """Whether any two groups keep to the limit.

    Args:
        asked: The question.
        found: The rate of each group.
    """
    return concluded(asked, found, pairs_of(asked, found))


def concluded(asked: Asked, found: list[GroupRate], compared: list[Comparison]) -> Finding:
    """What comparisons of the groups that are large enough, and the others, come to.

    Args:
        asked: The question.
        found: The rate of each group; of several rates that share their rows, one.
        compared: Pairs of groups, of one or more rates.
    """
    if reason := _nothing_to_compare(asked, found):
        return unmeasured(asked, reason, found)
    left_out, why = _left_out(asked, found)
    if len(_large(asked, found)) < 2:
        reason = f"fewer than 2 groups have {asked.min_rows} {asked.rate.of}"
        return _finding(asked, found, worst((left_out, "inconclusive")), (reason, why))
    if not compared:
        return unmeasured(asked, "the rate is 0 in every group, so there is no ratio", found)
    decision = decide(compared, asked.allowed, asked.by)
    outcome = worst((left_out, decision.outcome))
    return _finding(asked, found, outcome, (decision.reason, why), decision)


def pairs_of(asked: Asked, found: list[GroupRate]) -> list[Comparison]:
    """Every two groups that are large enough, but for those whose ratio is 0 to 0."""
    if len(found) > MOST_GROUPS:
        return []
    pairs = (_pair(asked, one, other) for one, other in combinations(_large(asked, found), 2))
    return [pair for pair in pairs if pair is not None]


def each_group(asked: Asked, found: list[GroupRate]) -> list[Finding]:
    """The rate of each group, beside that of the best: shown, deciding nothing."""
    if len(found) > MOST_GROUPS:
        return []
    best = max(_large(asked, found), key=partial(_rank, asked.rate), default=None)
    known = {each.group: each for each in _known(found)}
    return [
        _undefined(asked, each)
        if each.group not in known
        else _on_group(asked, known[each.group], best)
        for each in found
    ]


def unmeasured(asked: Asked, reason: str, found: list[GroupRate] | None = None) -> Finding:
    """The finding on a question that could not be answered."""
    n_rows = sum(each.n_rows for each in found or ())
    return Finding(
        gate=asked.words, metric=asked.metric, n_rows=n_rows, outcome="error", reason=reason
    )


def _known(found: list[GroupRate]) -> list[Known]:
    return [
        Known(each.group, each.counted, each.estimate)
        for each in found
        if each.estimate is not None
    ]


def _large(asked: Asked, found: list[GroupRate]) -> list[Known]:
    return [each for each in _known(found) if each.rate.n >= asked.min_rows]


def _nothing_to_compare(asked: Asked, found: list[GroupRate]) -> str:
    if len(found) == 1:
        return f"all rows are {found[0].group}: there is nobody to compare with"
    if len(found) > MOST_GROUPS:
        what = " x ".join(asked.columns)
        return f"{len(found):,} values of {what} are no {MOST_GROUPS} groups or fewer: cut them into bands"
    return ""


def _left_out(asked: Asked, found: list[GroupRate]) -> tuple[Outcome, str]:
    """What groups that are too small to be compared mean for the outcome, and why."""
    undefined = [each.group for each in found if each.estimate is None]
    few = [
        f"{each.group} ({each.rate.n})" for each in _known(found) if each.rate.n < asked.min_rows
    ]
    said = []
    if undefined:
        said.append(f"no {asked.rate.of}, so no {asked.rate.name}: {_listed(undefined)}")
    if few:
        said.append(f"fewer than {asked.min_rows} {asked.rate.of}: {_listed(few)}")
    why = "; ".join(said)
    if asked.small == "shown" or not said:
        return "pass", f"not compared: {why}" if said else ""
    return ("error" if undefined else "inconclusive"), why


def _listed(groups: list[str]) -> str:
    more = len(groups) - _NAMED
    return " and ".join(groups[:_NAMED]) + (f" and {more} more" if more > 0 else "")


def _pair(asked: Asked, one: Known, other: Known) -> Comparison | None:
    """Two groups, the one with the smaller rate first; None where their ratio is 0 to 0."""
    low, high = sorted((one, other), key=lambda each: each.rate.value)
    words = f"{low.words} beside {high.words}"
    if asked.kind == "difference":
        return Comparison(words, high.rate.value - low.rate.value, partial(_gap, low, high))
    if high.counted == 0:
        return None
    return Comparison(words, low.rate.value / high.rate.value, partial(_ratio, low, high))


def _gap(low: Known, high: Known, confidence: float) -> Estimate:
    return difference(high.at(confidence), low.at(confidence))


def _ratio(low: Known, high: Known, confidence: float) -> Estimate:
    counts = (low.counted, low.rate.n, high.counted, high.rate.n)
    return ratio_of_shares(*counts, confidence=confidence)


def _rank(rate: Rate, each: Known) -> float:
    return -each.rate.value if rate.better == "lower" else each.rate.value


def _finding(
    asked: Asked,
    found: list[GroupRate],
    outcome: Outcome,
    reasons: tuple[str, str],
    decision: Decision | None = None,
) -> Finding:
    return Finding(
        gate=asked.words,
        metric=asked.metric,
        value=decision.rests_on.value if decision else None,
        low=decision.estimate.low if decision else None,
        high=decision.estimate.high if decision else None,
        limit=asked.limit,
        n_rows=sum(each.n_rows for each in found),
        outcome=outcome,
        reason="; ".join(reason for reason in reasons if reason),
    )


def _on_group(asked: Asked, each: Known, best: Known | None) -> Finding:
    value, low, high, n = each.rate
    outcome, reason = _beside(asked, each, best)
    return Finding(
        gate=f"{asked.rate.name} of {each.group}",
        metric=asked.rate.name,
        slice=each.group,
        value=value,
        low=low,
        high=high,
        limit=_level(asked, best) if best else None,
        n_rows=n,
        is_gated=False,
        outcome=outcome,
        reason=reason,
    )


def _beside(asked: Asked, each: Known, best: Known | None) -> tuple[Outcome, str]:
    """How the group does beside the one that is best off."""
    if each.rate.n < asked.min_rows or best is None:
        few = f"fewer than {asked.min_rows} say too little"
        return "inconclusive", f"{each.rate.n} {asked.rate.of}; {few}"
    pair = _pair(asked, each, best) if each.group != best.group else None
    if pair is None:
        return "pass", ""
    decision = decide([pair], asked.allowed, asked.by)
    return decision.outcome, decision.reason


def _level(asked: Asked, best: Known) -> float:
    """The rate from which on a group keeps to the limit beside the best."""
    value, is_lower = best.rate.value, asked.rate.better == "lower"
    if asked.kind == "difference":
        return value + asked.limit if is_lower else value - asked.limit
    return value / asked.limit if is_lower else value * asked.limit


def _undefined(asked: Asked, each: GroupRate) -> Finding:
    return Finding(
        gate=f"{asked.rate.name} of {each.group}",
        metric=asked.rate.name,
        slice=each.group,
        n_rows=each.n_rows,
        is_gated=False,
        outcome="error",
        reason=f"none of its {each.n_rows} rows are {asked.rate.of}",
    )
