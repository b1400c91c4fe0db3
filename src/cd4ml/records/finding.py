"""One value against one limit."""

from __future__ import annotations

from typing import Literal

import msgspec

Outcome = Literal["pass", "fail", "inconclusive", "error"]


class Finding(msgspec.Struct, frozen=True, kw_only=True):
    """One value against one limit, with its interval and the reason for the outcome.

    `value`, `low` and `high` are None when the measure could not be computed, and
    then the outcome is `error`: what was not measured passes nothing.
    """

    gate: str  # what is asked, in words: "auc at least 0.58"
    kind: str = "metric"  # of the gate that asks it
    metric: str
    slice: str = ""  # "carrier=HA"; "" for all rows
    value: float | None = None
    low: float | None = None
    high: float | None = None
    limit: float | None = None
    n_rows: int = 0
    is_gated: bool = True  # False: shown, decides nothing
    outcome: Outcome
    reason: str = ""
    example: str = ""  # the value of a row with which `reason` ends

    @property
    def without_example(self) -> Finding:
        """The same, without a value of a row: with the rule and the counts.

        Examples:
            >>> shown = "2 of 9 rows, first in row 3: 25"
            >>> finding = Finding(gate="a", metric="b", outcome="fail", reason=shown, example="25")
            >>> finding.without_example.reason
            '2 of 9 rows, first in row 3'
        """
        if not self.example:
            return self
        reason = self.reason.removesuffix(self.example).removesuffix(": ")
        return msgspec.structs.replace(self, reason=reason or "not shown", example="")


def worst(outcomes: tuple[Outcome, ...]) -> Outcome:
    """The outcome of several together: error, then fail, then inconclusive, then pass.

    Nothing measured is an error, not a pass.

    Examples:
        >>> worst(("pass", "inconclusive"))
        'inconclusive'
        >>> worst(())
        'error'
    """
    order: tuple[Outcome, ...] = ("error", "fail", "inconclusive", "pass")
    return next((outcome for outcome in order if outcome in outcomes), "error")
