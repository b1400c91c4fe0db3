"""`[[gate]] kind = "fairness"`: what a model's answers may do to groups of people."""

from __future__ import annotations

from typing import Literal

import msgspec

from cd4ml.records.groupings import Grouping


class FairnessGate(
    msgspec.Struct,
    frozen=True,
    kw_only=True,
    forbid_unknown_fields=True,
    tag_field="kind",
    tag="fairness",
):
    """`kind = "fairness"`: how far a rate of groups of people may lie apart.

    `groups` names columns of the holdout, whether or not the model is told them; several in one
    entry are crossed. A score of at least `threshold` answers 1, and `favourable` is the answer and
    outcome that is good for a person: 0 for a model of refusals. `by = "interval"` passes only what
    is surely within the limit. A group with fewer than `min_rows` rows (of those that the rate is a
    share of) leaves the gate inconclusive; with `small = "shown"` it decides nothing.
    """

    metric: str
    groups: tuple[str | Grouping, ...]
    ratio_at_least: float | None = None  # of the smaller rate to the larger: 0.8 is four fifths
    difference_at_most: float | None = None
    by: Literal["value", "interval"] = "value"
    threshold: float = 0.5
    favourable: Literal[0, 1] = 1
    min_rows: int = 30
    small: Literal["inconclusive", "shown"] = "inconclusive"
