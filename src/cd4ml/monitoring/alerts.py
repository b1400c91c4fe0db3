"""What somebody, or a trigger, should act on: at most one alert a window and kind."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import datetime
from typing import get_args

import sqlalchemy as sa

from cd4ml.monitoring import drift
from cd4ml.records.alert import Alert, AlertKind
from cd4ml.records.finding import Finding
from cd4ml.records.window import Window
from cd4ml.store import ledger, lineage, rows

_MOST_NAMED = 5


def raise_alerts(
    connection: sa.Connection, window: Window, *, now: datetime, actor: str
) -> list[Alert]:
    """Raise an alert for each kind of finding that failed, with its ledger entry.

    Returns:
        The alerts of the window, those that had been raised before included.
    """
    failed = {kind: _failed(window, kind) for kind in get_args(AlertKind)}
    before = _of_window(connection, window)
    known = {alert.kind for alert in before}
    raised = [
        Alert(
            number=rows.next_number(connection, Alert),
            environment=window.environment,
            model=window.model,
            kind=kind,
            window_start=window.start,
            window_end=window.end,
            message=_message(findings),
            raised_at=now,
        )
        for kind, findings in failed.items()
        if findings and kind not in known
    ]
    for alert in raised:
        rows.insert(connection, alert)
        lineage.note(connection, address=alert.ref, kind="alert", name=alert.ref, at=now)
        lineage.link(connection, alert.ref, window.ref, "raised from")
        ledger.append(
            connection,
            at=now,
            actor=actor,
            action="alert.raised",
            subject=alert.ref,
            reason=alert.message,
            details={"kind": alert.kind, "environment": alert.environment, "model": alert.model},
        )
    return before + raised


def kind_of(finding: Finding) -> AlertKind:
    """What a finding that fails is about."""
    return "drift" if finding.metric in (drift.INPUTS, drift.PREDICTIONS) else "performance"


def _failed(window: Window, kind: AlertKind) -> list[Finding]:
    return [
        finding
        for finding in window.findings
        if finding.outcome == "fail" and finding.is_gated and kind_of(finding) == kind
    ]


def _of_window(connection: sa.Connection, window: Window) -> list[Alert]:
    return rows.find(
        connection,
        Alert,
        environment=window.environment,
        model=window.model,
        window_start=window.start,
    )


def _message(failed: Sequence[Finding]) -> str:
    """The reasons, farthest beyond their limit first."""
    ordered = sorted(failed, key=lambda finding: -_excess(finding))
    named = [finding.reason for finding in ordered[:_MOST_NAMED]]
    n_more = len(ordered) - len(named)
    return "; ".join([*named, f"and {n_more} more"] if n_more else named)


def _excess(finding: Finding) -> float:
    if finding.value is None or not finding.limit:
        return 0.0
    return abs(finding.value / finding.limit - 1)
