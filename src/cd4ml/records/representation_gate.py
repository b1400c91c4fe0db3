"""`[[gate]] kind = "representation"`: what the training rows may say of groups of people."""

from __future__ import annotations

from typing import Literal

import msgspec

from cd4ml.records.groupings import Grouping


class RepresentationGate(
    msgspec.Struct,
    frozen=True,
    kw_only=True,
    forbid_unknown_fields=True,
    tag_field="kind",
    tag="representation",
):
    """`kind = "representation"`: bias in the training rows, before anything is learned from them.

    - `share_at_least`: each group's share of the rows, as a multiple of the one in `shares`
      ("black=yes" -> 0.14), or, where none is stated, of its share of the holdout
    - `label_ratio_at_least`, `label_difference_at_most`: between the groups' shares of rows with
      the outcome `favourable`
    - `missing_difference_at_most`: between the groups' shares of missing values, in any column

    `groups`, `by`, `min_rows` and `small` as for `kind = "fairness"`; a group's share of the rows is
    judged however few they are.
    """

    groups: tuple[str | Grouping, ...]
    shares: dict[str, float] = {}
    share_at_least: float | None = None
    label_ratio_at_least: float | None = None
    label_difference_at_most: float | None = None
    missing_difference_at_most: float | None = None
    by: Literal["value", "interval"] = "value"
    favourable: Literal[0, 1] = 1
    min_rows: int = 30
    small: Literal["inconclusive", "shown"] = "inconclusive"
