"""What a gate on groups of people cannot ask, whatever it compares them by."""

from __future__ import annotations

from math import isfinite

from cd4ml.gates.refusal import refused
from cd4ml.records.groupings import Grouping, groupings_of


def require_groups(groups: tuple[str | Grouping, ...], path: str) -> None:
    """Refuse groupings that name no column, or one twice.

    Raises:
        ConfigurationError: With what was named.
    """
    groupings = groupings_of(groups)
    hint = 'groups = ["sex", ["sex", "age_band"]] takes each alone, and both crossed'
    if not groupings or any("" in columns or not columns for columns in groupings):
        raise refused("expected columns that tell people apart", f"{path}.groups", hint=hint)
    for columns in groupings:
        if len(set(columns)) < len(columns):
            msg = f"a column stands twice in {list(columns)}"
            raise refused(msg, f"{path}.groups", hint=hint)
    if len({frozenset(columns) for columns in groupings}) < len(groupings):
        raise refused("the same columns stand there twice", f"{path}.groups", hint=hint)


def require_ratio(limit: float | None, path: str) -> None:
    """Refuse a ratio that everything passes, or nothing can.

    Raises:
        ConfigurationError: With the value.
    """
    if limit is not None and not 0 < limit <= 1:
        msg = f"a ratio of the smaller to the larger is above 0 and at most 1, got {limit:g}"
        raise refused(msg, path, hint="0.8 is the four-fifths rule")


def require_difference(limit: float | None, path: str) -> None:
    """Refuse a difference that everything passes, or nothing can.

    Raises:
        ConfigurationError: With the value.
    """
    if limit is not None and not (isfinite(limit) and 0 <= limit < 1):
        msg = f"a difference of shares is at least 0 and below 1, got {limit:g}"
        raise refused(msg, path, hint="for example 0.1")


def require_min_rows(min_rows: int, path: str) -> None:
    """Refuse a group without a row.

    Raises:
        ConfigurationError: With the value.
    """
    if min_rows < 1:
        msg = f"a group has 1 row or more, got {min_rows}"
        raise refused(msg, f"{path}.min_rows", hint="30 is the default")
