"""Rules about a field, held against how answers respond to it."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Literal, NamedTuple

from cd4ml.models.behaviour.asking import ROUNDING
from cd4ml.records.behaviour import Response

Kind = Literal["invariant", "increasing", "decreasing"]


class Rule(NamedTuple):
    """`kind` is what the answer is in the field: invariant to it, increasing or decreasing in it."""

    kind: Kind
    field: str

    @property
    def words(self) -> str:
        """The rule as people say it.

        Examples:
            >>> Rule("invariant", "carrier").words
            'invariant to carrier'
        """
        return f"{self.kind} {'to' if self.kind == 'invariant' else 'in'} {self.field}"


class Moved(NamedTuple):
    """By how much answers moved against a rule, in which way, and the worst case in words."""

    amount: float
    way: str  # "change", "fall" or "rise"
    example: str


def rules_of(
    *, invariant: Sequence[str], increasing: Sequence[str], decreasing: Sequence[str]
) -> list[Rule]:
    """The rules that three lists of fields state, in their order."""
    return [
        *(Rule("invariant", field) for field in invariant),
        *(Rule("increasing", field) for field in increasing),
        *(Rule("decreasing", field) for field in decreasing),
    ]


def against(rule: Rule, response: Response) -> Moved:
    """By how much answers move against a rule.

    Examples:
        >>> falls = Response(field="ram", is_ordered=True, largest_rise=9.0, largest_fall=2.0)
        >>> against(Rule("increasing", "ram"), falls)
        Moved(amount=2.0, way='fall', example='')
    """
    if rule.kind == "invariant":
        return Moved(response.largest_change, "change", response.change_example)
    if rule.kind == "increasing":
        return Moved(response.largest_fall, "fall", response.fall_example)
    return Moved(response.largest_rise, "rise", response.rise_example)


def untestable(rule: Rule, response: Response | None) -> str:
    """Why a rule says nothing about a model, or nothing."""
    if response is None:
        return f"requests have no field {rule.field!r}"
    if rule.kind != "invariant" and not response.is_ordered:
        return f"{rule.field!r} holds texts, which have no order"
    return ""


def allowed(tolerance: float, scale: float) -> float:
    """By how much answers may move: the tolerance, at least what single precision rounds.

    Args:
        tolerance: In the answer's unit.
        scale: The largest answer.

    Examples:
        >>> allowed(0.0, 0.7), allowed(0.02, 0.7)
        (1e-05, 0.02)
    """
    return max(tolerance, ROUNDING * max(1.0, scale))
