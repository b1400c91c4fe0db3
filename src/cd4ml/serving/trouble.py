"""Times in which answers could not be recorded, and the alert about each."""

from __future__ import annotations

import logging
import threading
import time
from datetime import datetime, timedelta

import msgspec
import sqlalchemy as sa

from cd4ml.records.alert import Alert
from cd4ml.records.plan import Plan
from cd4ml.store import ledger, lineage, rows
from cd4ml.store.clock import Clock
from cd4ml.store.people import SYSTEM

_log = logging.getLogger(__name__)

_QUIET_S = 30.0  # without trouble: what comes then is another one
_PATIENCE_S = 5.0  # of nothing but trouble, until a process says that it is not ready


class Incident(msgspec.Struct):
    """One time in which answers could not be recorded."""

    since: datetime
    reason: str
    n_refused: int = 0
    n_missing: int = 0
    is_told: bool = False


class Trouble:
    """What keeps a worker from recording. Safe to use from several threads."""

    def __init__(self, clock: Clock) -> None:
        self._clock = clock
        self._lock = threading.Lock()
        self._incident: Incident | None = None
        self._last = 0.0
        self._refusing_since: float | None = None
        self._reason = ""
        self._untold: list[Incident] = []

    def happens(self, reason: str, *, n: int = 0, is_refused: bool = True) -> None:
        """Note that `n` rows were refused, or answered and not recorded."""
        with self._lock:
            self._last = time.monotonic()
            self._reason = reason
            if is_refused and self._refusing_since is None:
                self._refusing_since = self._last
            if self._incident is None:
                self._incident = Incident(self._clock.now(), reason)
                self._untold.append(self._incident)
                _log.error("answers cannot be recorded: %s", reason)
            if is_refused:
                self._incident.n_refused += n
            else:
                self._incident.n_missing += n

    def is_over(self) -> None:
        """Note that something was recorded, or could be; after a while of that the incident ends."""
        if self._incident is None:
            return
        with self._lock:
            self._refusing_since = None
            incident = self._incident
            if incident is not None and time.monotonic() - self._last > _QUIET_S:
                self._incident = None
                words = "answers are recorded again: %d rows were refused, %d are missing"
                _log.warning(words, incident.n_refused, incident.n_missing)

    @property
    def is_there(self) -> bool:
        """Whether an incident has not ended."""
        return self._incident is not None

    @property
    def obstacle(self) -> str:
        """Why no answer has been given for some seconds; "" if one was, or could be."""
        since = self._refusing_since
        is_long = since is not None and time.monotonic() - since >= _PATIENCE_S
        return self._reason if is_long else ""

    def untold(self) -> list[Incident]:
        """The incidents about which there is no alert yet."""
        with self._lock:
            return [each for each in self._untold if not each.is_told]

    def told(self, incidents: list[Incident]) -> None:
        """Note that there is an alert about each of these."""
        with self._lock:
            for each in incidents:
                each.is_told = True
            self._untold = [each for each in self._untold if not each.is_told]


def raise_alert(
    connection: sa.Connection, incident: Incident, plan: Plan, *, now: datetime
) -> bool:
    """Raise the alert about an incident, with its ledger entry; once, however many workers met it.

    Returns:
        False if there is one already about the same model and moment.
    """
    # workers on one disk meet one trouble; with the minute they agree on which it is
    start = incident.since.replace(second=0, microsecond=0)
    of_model = rows.find(
        connection, Alert, environment=plan.environment, model=plan.model, window_start=start
    )
    if any(alert.kind == "capture" for alert in of_model):
        return False
    number = rows.next_number(connection, Alert)
    counted = f"{incident.n_refused} rows refused, {incident.n_missing} missing so far"
    alert = Alert(
        number=number,
        environment=plan.environment,
        model=plan.model,
        kind="capture",
        window_start=start,
        window_end=max(now, start + timedelta(minutes=1)),
        message=f"answers cannot be recorded: {incident.reason} ({counted})",
        raised_at=now,
    )
    rows.insert(connection, alert)
    lineage.note(connection, address=alert.ref, kind="alert", name=alert.ref, at=now)
    ledger.append(
        connection,
        at=now,
        actor=SYSTEM,
        action="alert.raised",
        subject=alert.ref,
        reason=alert.message,
        details={"kind": alert.kind, "environment": alert.environment, "model": alert.model},
    )
    return True
