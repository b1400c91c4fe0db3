"""How much worse than the champion a verdict says that a candidate may be."""

from __future__ import annotations

import re
from collections.abc import Sequence

from cd4ml.errors import InvalidInput
from cd4ml.measures.named import NAMED
from cd4ml.records.finding import Finding
from cd4ml.records.gate import Gate
from cd4ml.records.metric_gate import MetricGate

CHAMPION = "champion"

_COMPARED = re.compile(rf"(better|no worse) than {CHAMPION}(?: by (\S+))?$")


def require_compared(margins: dict[str, float], gates: Sequence[Gate]) -> None:
    """Refuse margins in metrics that no gate compares with the champion: nothing would keep them.

    Raises:
        InvalidInput: Naming the metric, and those that are compared; or if a margin is below 0.
    """
    compared = sorted(set(filter(None, map(_compared, gates))))
    for metric, margin in margins.items():
        if metric not in compared:
            msg = f"no gate of cd4ml.toml compares {metric} with the champion"
            raise InvalidInput(msg, hint=f"those that are: {', '.join(compared) or 'none'}")
        if not 0 <= margin < float("inf"):
            raise InvalidInput(f"a margin is a number from 0 on, got {metric}={margin:g}")


def beyond(margins: dict[str, float], findings: Sequence[Finding]) -> str:
    """Why a candidate is not surely within the margins, in words; "" if it is.

    Args:
        margins: By metric, in its unit: how much worse than the champion it may be.
        findings: Of its verdict; those that compare it with the champion count, on all rows.

    Examples:
        >>> asked = "auc no worse than champion by 0.1"
        >>> found = Finding(
        ...     gate=asked, metric="auc", value=0.8, low=0.78, high=0.82, limit=0.7, outcome="pass"
        ... )
        >>> beyond({"auc": 0.05}, [found])
        ''
        >>> beyond({"auc": 0.01}, [found])
        'its auc may be worse than the champion by 0.02, more than the margin of 0.01'
    """
    return next(filter(None, (_beyond(*each, findings) for each in margins.items())), "")


def _beyond(metric: str, margin: float, findings: Sequence[Finding]) -> str:
    worse = [_worse_by(each) for each in findings if _is_of(each, metric)]
    known = [each for each in worse if each is not None]
    if not known or len(known) < len(worse):
        return f"its verdict does not compare its {metric} with a champion"
    # what a finding says of its limit has six digits
    if max(known) > margin + 1e-6 * max(1.0, margin):
        return (
            f"its {metric} may be worse than the champion by {max(known):.4g}, more than the"
            f" margin of {margin:g}"
        )
    return ""


def _compared(gate: Gate) -> str:
    """The metric in which a gate compares with the champion; "" if it does not."""
    if not isinstance(gate, MetricGate):
        return ""
    is_compared = gate.better_than == CHAMPION or CHAMPION in gate.no_worse_than
    return gate.metric if is_compared else ""


def _is_of(finding: Finding, metric: str) -> bool:
    is_whole = finding.kind == "metric" and not finding.slice
    return is_whole and finding.metric == metric and _COMPARED.search(finding.gate) is not None


def _worse_by(finding: Finding) -> float | None:
    """The worse end of the interval of the difference; None if there was nothing to compare."""
    asked = _COMPARED.search(finding.gate)
    if asked is None or finding.limit is None or finding.low is None or finding.high is None:
        return None
    allowed = float(asked[2]) if asked[2] else 0.0
    if NAMED[finding.metric].direction == "higher":
        return finding.limit + allowed - finding.low
    return finding.high - (finding.limit - allowed)
