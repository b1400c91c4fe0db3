from datetime import timedelta
from pathlib import Path

import pytest

from cd4ml.errors import InvalidInput
from cd4ml.monitoring.alerts import raise_alerts
from cd4ml.monitoring.answers import Answers, answers
from cd4ml.monitoring.measured import idle, measured
from cd4ml.monitoring.windows import span_of
from cd4ml.records.alert import Alert
from cd4ml.records.contract import Contract, Field
from cd4ml.records.settings import MonitoringSettings
from cd4ml.records.window import Window
from cd4ml.store import ledger, rows
from cd4ml.store.database import Database
from cd4ml.store.log import PredictionLog
from tests.monitoring.production import CONTRACT, asked, happened, label_all, released
from tests.store.answers import START, answer, collected, log_in, moment

DAY = span_of(START, "day")
NOW = DAY.end + timedelta(days=2)
SETTINGS = MonitoringSettings(window="day")


@pytest.fixture
def log(tmp_path: Path) -> PredictionLog:
    return log_in(tmp_path)


def answers_of_the_day(log: PredictionLog) -> Answers:
    return answers(
        log,
        environment="production",
        model="delay",
        start=DAY.start,
        end=DAY.end,
        known_at=NOW,
    )


def a_day(log: PredictionLog, *, warmer: float = 0.0, skill: float = 1.0) -> Window:
    """1,400 answers, the last 200 of which never come true."""
    truth = happened(7, 1_400, warmer=warmer, skill=skill)
    given = list(asked(truth, START))
    collected(log, *given)
    label_all(log, given[:1_200], truth["target"][:1_200], NOW)
    return measured(
        DAY, answers_of_the_day(log), released(), contract=CONTRACT, settings=SETTINGS, now=NOW
    )


def test_a_good_day_passes(log: PredictionLog) -> None:
    window = a_day(log)

    assert (window.n_predictions, window.n_labels, window.champion) == (1_400, 1_200, 1)
    assert window.coverage == pytest.approx(1_200 / 1_400)
    assert window.outcome in ("pass", "inconclusive")
    assert [(f.metric, f.slice) for f in window.findings] == [
        ("psi", "temp"),
        ("psi", "carrier"),
        ("prediction_psi", ""),
        ("auc", ""),
        ("auc", ""),
        ("brier", ""),
        ("brier", ""),
    ]


def test_a_bad_day_raises_one_alert_of_each_kind_once(
    log: PredictionLog, database: Database
) -> None:
    window = a_day(log, warmer=2.0, skill=0.0)

    with database.write() as connection:
        first = raise_alerts(connection, window, now=NOW, actor="system")
    with database.write() as connection:
        second = raise_alerts(connection, window, now=NOW, actor="system")
        entries = ledger.entries(connection)

    assert window.outcome == "fail"
    assert first == second
    assert [alert.kind for alert in first] == ["drift", "performance"]
    drift, performance = first
    assert drift.message.startswith("temp moved by ")
    assert drift.message.endswith(", more than 0.2")
    assert "auc 0.4" in performance.message or "auc 0.5" in performance.message
    assert "is surely worse than at release (0.7" in performance.message
    assert "is surely worse than trivial (0.1" in performance.message
    assert [entry.subject for entry in entries] == ["alert/2", "alert/1"]
    assert {entry.action for entry in entries} == {"alert.raised"}


def test_a_good_day_raises_no_alert(log: PredictionLog, database: Database) -> None:
    window = a_day(log)

    with database.write() as connection:
        assert raise_alerts(connection, window, now=NOW, actor="system") == []
        assert rows.count(connection, Alert) == 0


def test_many_columns_that_moved_make_one_short_message(database: Database) -> None:
    window = a_window_with(n_failed=8)

    with database.write() as connection:
        (alert,) = raise_alerts(connection, window, now=NOW, actor="system")

    assert alert.message == (
        "column 7 moved; column 6 moved; column 5 moved; column 4 moved; column 3 moved; and 3 more"
    )


def a_window_with(n_failed: int) -> Window:
    from cd4ml.records.finding import Finding

    findings = tuple(
        Finding(
            gate="psi at most 0.2",
            metric="psi",
            slice=f"column {i}",
            value=1.0 + i,
            limit=0.2,
            outcome="fail",
            reason=f"column {i} moved",
        )
        for i in range(n_failed)
    )
    return Window(
        environment="production",
        model="delay",
        start=DAY.start,
        end=DAY.end,
        champion=1,
        n_predictions=1,
        n_labels=1,
        coverage=1.0,
        findings=findings,
        outcome="fail",
        measured_at=NOW,
    )


def test_a_window_is_about_the_version_that_gave_most_answers(log: PredictionLog) -> None:
    old = [answer(i, moment(i / 10), number=1) for i in range(3)]
    new = [answer(i, moment(i / 10), number=2, role="canary") for i in range(3, 8)]
    others = [
        answer(20, moment(1), number=3, role="shadow"),
        answer(21, moment(1), score=None),
        answer(22, moment(1), model="other"),
        answer(23, moment(1), environment="staging"),
        answer(24, moment(24)),
    ]
    collected(log, *old, *new, *others)

    found = answers_of_the_day(log)

    assert (found.champion, found.n_predictions, found.n_labels) == (2, 8, 0)
    assert found.of_champion["prediction_id"].to_list() == [row["prediction_id"] for row in new]


def test_labels_that_arrive_after_the_measurement_do_not_count(log: PredictionLog) -> None:
    given = [answer(i, moment(i)) for i in range(4)]
    collected(log, *given)
    truth = happened(1, 4)["target"]
    label_all(log, given[:1], truth[:1], NOW)
    label_all(log, given[1:], truth[1:], NOW + timedelta(hours=1))

    assert answers_of_the_day(log).n_labels == 1


def test_an_idle_window_could_not_be_measured(log: PredictionLog) -> None:
    window = idle(DAY, answers_of_the_day(log), "delay", SETTINGS, NOW)

    assert (window.outcome, window.n_predictions, window.coverage) == ("error", 0, 0.0)
    assert (window.champion, window.findings) == (0, ())


def test_requests_of_another_contract_are_refused(log: PredictionLog) -> None:
    collected(log, answer(1, inputs={"temp": "cold"}))
    other = Contract(name="delay", fields=(Field("temp", "number"),))

    with pytest.raises(InvalidInput, match="1 of 1 requests do not fit"):
        measured(
            DAY,
            answers_of_the_day(log),
            released(),
            contract=other,
            settings=SETTINGS,
            now=NOW,
        )
