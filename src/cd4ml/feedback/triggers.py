"""When to retrain: at most once a window, for the weightiest reason there is."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import datetime
from typing import NamedTuple

import sqlalchemy as sa

from cd4ml.records.alert import Alert
from cd4ml.records.settings import RetrainSettings
from cd4ml.records.trigger import Trigger
from cd4ml.records.window import Window
from cd4ml.store import jobs, ledger, lineage, rows

RETRAIN = "retrain"  # the kind of the jobs

_WEIGHTIEST_FIRST = ("performance", "drift")


class _Reason(NamedTuple):
    """The rule that fires, the number of its alert (0 for none), and why in words."""

    rule: str
    alert: int
    words: str


def fire(
    connection: sa.Connection,
    settings: RetrainSettings,
    window: Window,
    alerts: Sequence[Alert],
    *,
    now: datetime,
    actor: str,
) -> Trigger | None:
    """Ask for a retraining if a rule says so; asking again returns the first trigger.

    Args:
        connection: Of a write transaction.
        settings: Which rules count: an alert of drift or of performance, or that a window
            was measured at all.
        window: A measured window.
        alerts: Those of this window.
        now: The project's time.
        actor: Who asks, for the ledger.

    Returns:
        The trigger, with the number of its job; None if no rule fires.
    """
    reason = _reason(settings, window, alerts)
    if reason is None:
        return None
    key = f"{RETRAIN}/{window.environment}/{window.model}/{window.end.isoformat()}"
    payload = {
        "environment": window.environment,
        "model": window.model,
        "window_start": window.start.isoformat(),
        "window_end": window.end.isoformat(),
        "rule": reason.rule,
        "reason": f"{reason.rule} from {window.start:%Y-%m-%d} to {window.end:%Y-%m-%d}",
    }
    job = jobs.ask(connection, kind=RETRAIN, key=key, payload=payload, at=now, actor=actor)
    for trigger in rows.find(connection, Trigger, job=job.number):
        return trigger
    trigger = Trigger(
        number=rows.next_number(connection, Trigger),
        environment=window.environment,
        model=window.model,
        rule=reason.rule,
        alert=reason.alert,
        job=job.number,
        reason=reason.words,
        fired_at=now,
    )
    rows.insert(connection, trigger)
    cause = f"alert/{trigger.alert}" if trigger.alert else window.ref
    trace(connection, trigger, cause)
    _write_down(connection, trigger, actor)
    return trigger


def trace(connection: sa.Connection, trigger: Trigger, cause: str = "") -> None:
    """A job comes from its trigger, and that from an alert or a window, if not from a person."""
    job = f"job/{trigger.job}"
    lineage.note(
        connection, address=trigger.ref, kind="trigger", name=trigger.ref, at=trigger.fired_at
    )
    lineage.note(connection, address=job, kind="job", name=job, at=trigger.fired_at)
    lineage.link(connection, job, trigger.ref, "asked by")
    if cause:
        lineage.link(connection, trigger.ref, cause, "fired by")


def _reason(settings: RetrainSettings, window: Window, alerts: Sequence[Alert]) -> _Reason | None:
    by_kind = {alert.kind: alert for alert in alerts}
    for kind in _WEIGHTIEST_FIRST:
        if kind in settings.when and kind in by_kind:
            return _Reason(kind, by_kind[kind].number, by_kind[kind].message)
    if "window" in settings.when:
        words = f"{window.start:%Y-%m-%d} to {window.end:%Y-%m-%d} was measured"
        return _Reason("window", 0, words)
    return None


def _write_down(connection: sa.Connection, trigger: Trigger, actor: str) -> None:
    ledger.append(
        connection,
        at=trigger.fired_at,
        actor=actor,
        action="retraining.triggered",
        subject=trigger.ref,
        reason=trigger.reason,
        details={"rule": trigger.rule, "alert": trigger.alert, "job": trigger.job},
    )
