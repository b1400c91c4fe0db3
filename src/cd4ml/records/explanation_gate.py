"""`kind = "explanation"`: that the candidate's answers can be explained."""

from __future__ import annotations

import msgspec


class ExplanationGate(
    msgspec.Struct,
    frozen=True,
    kw_only=True,
    forbid_unknown_fields=True,
    tag_field="kind",
    tag="explanation",
):
    """`kind = "explanation"`: each answer can be taken apart, and each field's importance is known.

    With `largest_share` no single field carries more than this share of all that is added to
    and taken from an average answer.
    """

    largest_share: float | None = None
    rows: int = 200  # of the holdout whose answers are taken apart
