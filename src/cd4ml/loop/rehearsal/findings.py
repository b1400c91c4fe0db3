"""Findings as tables."""

from __future__ import annotations

from cd4ml.loop.rehearsal.tell import Teller
from cd4ml.records.finding import Finding
from cd4ml.records.verdict import Verdict
from cd4ml.records.window import Window


def show(tell: Teller, verdict: Verdict) -> None:
    """What the gates asked, and what they found."""
    beside = f", beside {verdict.champion}" if verdict.champion else ""
    tell.table(
        f"{verdict.ref} on run/{verdict.run}{beside}: {verdict.outcome}",
        ("asked", "value", "interval", "limit", "rows", "outcome"),
        [_row(finding.gate, finding) for finding in verdict.findings if not finding.slice],
    )


def show_slices(tell: Teller, verdict: Verdict, metric: str) -> None:
    """One measure on the slices, the largest first: shown, deciding nothing."""
    sliced = [f for f in verdict.findings if f.slice and f.gate == f"{metric} on {f.slice}"]
    if sliced:
        sliced.sort(key=lambda finding: -finding.n_rows)
        tell.table(
            f"{metric} by slice, not gated: some are small",
            ("slice", "value", "interval", "rows"),
            [
                (finding.slice, number(finding.value), interval(finding), f"{finding.n_rows:,}")
                for finding in sliced
            ],
        )


def show_window(tell: Teller, window: Window) -> None:
    """What monitoring found in a window: what moved, and how good the answers were."""
    notable = [finding for finding in window.findings if finding.outcome != "pass" or finding.low]
    tell.table(
        f"{window.model}/{window.champion} from {window.start:%d %b} to {window.end:%d %b}",
        ("asked", "value", "interval", "limit", "rows", "outcome"),
        [_row(f"{finding.gate} {finding.slice}".strip(), finding) for finding in notable],
    )


def number(value: float | None) -> str:
    """A value for people; "-" for none."""
    return "-" if value is None else f"{value:.3f}"


def interval(finding: Finding) -> str:
    """A finding's interval for people."""
    if finding.low is None and finding.high is None:
        return "-"
    return f"{number(finding.low)} to {number(finding.high)}"


def _row(asked: str, finding: Finding) -> tuple[str, ...]:
    return (
        asked,
        number(finding.value),
        interval(finding),
        number(finding.limit),
        f"{finding.n_rows:,}",
        finding.outcome if finding.is_gated else f"({finding.outcome})",
    )
