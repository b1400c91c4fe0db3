from datetime import UTC, datetime, timedelta

import pytest

from cd4ml.feedback.triggers import fire
from cd4ml.records.alert import Alert, AlertKind
from cd4ml.records.job import Job
from cd4ml.records.settings import RetrainSettings
from cd4ml.records.trigger import Trigger
from cd4ml.records.window import Window
from cd4ml.store import ledger, rows
from cd4ml.store.database import Database

START = datetime(2013, 2, 1, tzinfo=UTC)
END = datetime(2013, 3, 1, tzinfo=UTC)
NOW = END + timedelta(days=1)

WINDOW = Window(
    environment="production",
    model="delay",
    start=START,
    end=END,
    champion=1,
    n_predictions=100,
    n_labels=90,
    coverage=0.9,
    findings=(),
    outcome="fail",
    measured_at=NOW,
)


def alert(number: int, kind: AlertKind) -> Alert:
    return Alert(
        number=number,
        environment="production",
        model="delay",
        kind=kind,
        window_start=START,
        window_end=END,
        message=f"there is {kind}",
        raised_at=NOW,
    )


DRIFT, PERFORMANCE = alert(1, "drift"), alert(2, "performance")


def fired(database: Database, *when: str, alerts: tuple[Alert, ...] = ()) -> Trigger | None:
    settings = RetrainSettings(when=when)  # type: ignore[arg-type]
    with database.write() as connection:
        return fire(connection, settings, WINDOW, alerts, now=NOW, actor="system")


@pytest.mark.parametrize(
    ("when", "alerts", "rule", "number", "reason"),
    [
        (("drift",), (DRIFT,), "drift", 1, "there is drift"),
        (("performance",), (DRIFT, PERFORMANCE), "performance", 2, "there is performance"),
        (("drift", "performance"), (DRIFT, PERFORMANCE), "performance", 2, "there is performance"),
        (("drift", "performance", "window"), (DRIFT,), "drift", 1, "there is drift"),
        (("window",), (DRIFT,), "window", 0, "2013-02-01 to 2013-03-01 was measured"),
    ],
)
def test_the_weightiest_reason_asks_for_one_retraining(
    database: Database,
    when: tuple[str, ...],
    alerts: tuple[Alert, ...],
    rule: str,
    number: int,
    reason: str,
) -> None:
    trigger = fired(database, *when, alerts=alerts)

    assert trigger is not None
    assert (trigger.rule, trigger.alert, trigger.reason) == (rule, number, reason)
    with database.read() as connection:
        (job,) = rows.find(connection, Job)
        (entry,) = ledger.entries(connection)
    assert (job.number, job.kind) == (trigger.job, "retrain")
    assert job.key == "retrain/production/delay/2013-03-01T00:00:00+00:00"
    assert job.payload == {
        "environment": "production",
        "model": "delay",
        "window_start": "2013-02-01T00:00:00+00:00",
        "window_end": "2013-03-01T00:00:00+00:00",
        "rule": rule,
        "reason": f"{rule} from 2013-02-01 to 2013-03-01",
    }
    assert (entry.action, entry.subject, entry.reason) == (
        "retraining.triggered",
        "trigger/1",
        reason,
    )


@pytest.mark.parametrize(
    ("when", "alerts"),
    [((), (DRIFT, PERFORMANCE)), (("performance",), (DRIFT,)), (("drift", "performance"), ())],
)
def test_no_rule_no_retraining(
    database: Database, when: tuple[str, ...], alerts: tuple[Alert, ...]
) -> None:
    assert fired(database, *when, alerts=alerts) is None
    with database.read() as connection:
        assert rows.count(connection, Job) == rows.count(connection, Trigger) == 0


def test_a_window_asks_once_whatever_follows(database: Database) -> None:
    first = fired(database, "drift", "performance", alerts=(DRIFT,))
    again = fired(database, "drift", "performance", alerts=(DRIFT, PERFORMANCE))

    assert first == again
    with database.read() as connection:
        assert rows.count(connection, Job) == rows.count(connection, Trigger) == 1
        assert len(ledger.entries(connection)) == 1
