"""Whether each group has the share of the training rows that it should have."""

from __future__ import annotations

from functools import partial
from math import inf
from typing import Literal, NamedTuple

from cd4ml.gates.within import Allowed, Comparison, Decision, decide
from cd4ml.measures.estimate import Estimate, wilson
from cd4ml.measures.proportions import ratio_of_shares
from cd4ml.records.finding import Finding
from cd4ml.records.groupings import Grouping

METRIC = "training share"


class Expected(NamedTuple):
    """What a share is held against: one that was stated, or that of other rows."""

    share: float
    counted: int = 0  # of the other rows those of the group
    n: int = 0  # the other rows; 0: it was stated


class AskedShare(NamedTuple):
    """How rare a group may be among the training rows, beside what is expected."""

    at_least: float
    columns: Grouping
    by: Literal["value", "interval"]
    is_stated: bool

    @property
    def words(self) -> str:
        """The question: "training share at least 0.8 of the stated one across sex"."""
        beside = "the stated one" if self.is_stated else "the holdout's"
        return f"{METRIC} at least {self.at_least:g} of {beside} across {' x '.join(self.columns)}"


def on_shares(
    asked: AskedShare, seen: dict[str, int], expected: dict[str, Expected]
) -> list[Finding]:
    """A finding on the group that is rarest beside what it should be, then each group's share.

    Args:
        asked: The question.
        seen: Group -> its training rows; a group that is not there has none.
        expected: Group -> what its share is held against, one group at least.
    """
    n_rows = sum(seen.values())
    allowed = Allowed(asked.at_least, inf)
    compared = {
        group: _beside(group, seen.get(group, 0), n_rows, beside)
        for group, beside in expected.items()
    }
    decision = decide(list(compared.values()), allowed, asked.by)
    alone = {group: decide([one], allowed, asked.by) for group, one in compared.items()}
    shown = [
        _on_group(asked, group, wilson(seen.get(group, 0), n_rows), expected.get(group), alone)
        for group in sorted({*seen, *expected})
    ]
    return [_finding(asked, n_rows, decision), *shown]


def _beside(group: str, counted: int, n: int, expected: Expected) -> Comparison:
    words = f"{group} {counted / n:.3g} of {n:,} rows, expected {expected.share:.3g}"
    interval = partial(_multiple, counted, n, expected)
    return Comparison(words, counted / n / expected.share, interval)


def _multiple(counted: int, n: int, expected: Expected, confidence: float) -> Estimate:
    """The share as a multiple of the expected one."""
    if expected.n:
        return ratio_of_shares(counted, n, expected.counted, expected.n, confidence=confidence)
    value, low, high, _ = wilson(counted, n, confidence=confidence)
    return Estimate(value / expected.share, low / expected.share, high / expected.share, n)


def _finding(asked: AskedShare, n_rows: int, decision: Decision) -> Finding:
    return Finding(
        gate=asked.words,
        metric=METRIC,
        value=decision.rests_on.value,
        low=decision.estimate.low,
        high=decision.estimate.high,
        limit=asked.at_least,
        n_rows=n_rows,
        outcome=decision.outcome,
        reason=decision.reason,
    )


def _on_group(
    asked: AskedShare,
    group: str,
    share: Estimate,
    expected: Expected | None,
    decisions: dict[str, Decision],
) -> Finding:
    decision = decisions.get(group)
    return Finding(
        gate=f"{METRIC} of {group}",
        metric=METRIC,
        slice=group,
        value=share.value,
        low=share.low,
        high=share.high,
        limit=asked.at_least * expected.share if expected else None,
        n_rows=share.n,
        is_gated=False,
        outcome=decision.outcome if decision else "pass",
        reason=decision.reason if decision else "nothing is expected of it",
    )
