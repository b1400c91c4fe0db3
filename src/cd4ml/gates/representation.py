"""`kind = "representation"`: bias in the training rows, before anything is learned from them."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING

from cd4ml.gates.group_limits import (
    require_difference,
    require_groups,
    require_min_rows,
    require_ratio,
)
from cd4ml.gates.refusal import refused
from cd4ml.measures.named_rates import AND
from cd4ml.records.groupings import Grouping, groupings_of
from cd4ml.records.representation_gate import RepresentationGate

if TYPE_CHECKING:
    from cd4ml.gates.evidence import Evidence
    from cd4ml.records.finding import Finding

KIND = "representation"
_LIMITS = (
    "share_at_least",
    "label_ratio_at_least",
    "label_difference_at_most",
    "missing_difference_at_most",
)
_ROUNDING = 1e-9


def require_possible(gate: RepresentationGate, path: str) -> None:
    """Refuse a gate that cannot be meant.

    Args:
        gate: What is asked.
        path: Where it stands in `cd4ml.toml`: "gate[0]".

    Raises:
        ConfigurationError: If it names no groups, sets no limit or one that everything or nothing
            passes, or states shares that cannot be; the message says which.
    """
    require_groups(gate.groups, path)
    if all(getattr(gate, limit) is None for limit in _LIMITS):
        hint = f"{', '.join(_LIMITS[:-1])} or {_LIMITS[-1]}"
        raise refused("a gate on the training rows of groups needs a limit", path, hint=hint)
    require_ratio(gate.share_at_least, f"{path}.share_at_least")
    require_ratio(gate.label_ratio_at_least, f"{path}.label_ratio_at_least")
    require_difference(gate.label_difference_at_most, f"{path}.label_difference_at_most")
    require_difference(gate.missing_difference_at_most, f"{path}.missing_difference_at_most")
    require_min_rows(gate.min_rows, path)
    _require_shares(gate, f"{path}.shares")


def stated_of(gate: RepresentationGate, columns: Grouping) -> dict[str, float]:
    """The shares that a gate states of a grouping's groups.

    Examples:
        >>> gate = RepresentationGate(groups=("sex",), shares={"sex=f": 0.5})
        >>> stated_of(gate, ("sex",)), stated_of(gate, ("sex", "age"))
        ({'sex=f': 0.5}, {})
    """
    return {group: share for group, share in gate.shares.items() if _of(gate, group) == columns}


def _of(gate: RepresentationGate, group: str) -> Grouping:
    """The grouping that a group is of, by its name; () if of none."""
    fitting = [columns for columns in groupings_of(gate.groups) if _is_named_by(columns, group)]
    return max(fitting, key=len, default=())


def _is_named_by(columns: Grouping, group: str) -> bool:
    pattern = AND.join(f"{re.escape(column)}=.*" for column in columns)
    return re.fullmatch(pattern, group) is not None


def _require_shares(gate: RepresentationGate, path: str) -> None:
    if gate.shares and gate.share_at_least is None:
        msg = "shares are stated, and nothing is asked of them"
        raise refused(msg, path, hint="share_at_least = 0.8")
    groupings = groupings_of(gate.groups)
    for group, share in gate.shares.items():
        if not _of(gate, group):
            msg = f"{group!r} is a group of none of {[' x '.join(each) for each in groupings]}"
            example = AND.join(f"{column}=..." for column in groupings[0])
            raise refused(msg, path, hint=f'written "{example}"')
        if not 0 < share <= 1:
            msg = f"a share of people is above 0 and at most 1, got {share:g}"
            raise refused(msg, f"{path}.{group}", hint="0.14 is 14 %")
    for columns in groupings:
        whole = sum(stated_of(gate, columns).values())
        if whole > 1 + _ROUNDING:
            msg = f"the shares by {' x '.join(columns)} are {whole:g} together, more than all"
            raise refused(msg, path, hint="they are shares of one whole")


def judge(gate: RepresentationGate, evidence: Evidence) -> list[Finding]:
    """A finding for each limit and grouping, then what each group has, which is shown.

    `by` as for `kind = "fairness"`. Of missing values the column decides in which groups differ
    most; of the shares the group that is rarest beside what it should be.

    Args:
        gate: What is asked.
        evidence: With the training rows, counted, and the holdout's table.
    """
    findings: list[Finding] = []
    for columns in groupings_of(gate.groups):
        findings += _on_grouping(gate, columns, evidence)
    return findings


def _on_grouping(gate: RepresentationGate, columns: Grouping, evidence: Evidence) -> list[Finding]:
    from cd4ml.gates.represented import on_grouping
    from cd4ml.records.finding import Finding

    try:
        return on_grouping(gate, columns, stated_of(gate, columns), evidence)
    except ValueError as error:  # what these rows do not define
        asked = f"{KIND} across {' x '.join(columns)}"
        return [Finding(gate=asked, metric=KIND, outcome="error", reason=str(error))]
