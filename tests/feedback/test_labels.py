from datetime import timedelta
from pathlib import Path
from time import perf_counter
from typing import Any

import polars as pl
import pytest

from cd4ml.errors import InvalidInput
from cd4ml.feedback import labels as module
from cd4ml.feedback.labels import AcceptedLabels, accept
from cd4ml.records.contract import Field
from cd4ml.records.ledger_entry import LedgerEntry
from cd4ml.store import ledger, rows
from cd4ml.store.blobs import open_blobs
from cd4ml.store.database import Database
from cd4ml.store.log import PredictionLog
from tests.store.answers import answer, collected, moment, prediction_id

NOW = moment(48)


@pytest.fixture
def log(database: Database, tmp_path: Path) -> PredictionLog:
    return PredictionLog(database, open_blobs(str(tmp_path / "blobs")), tmp_path / "segments")


def said(sequence: int, value: Any = 1.0, **changes: Any) -> dict[str, Any]:
    return {
        "prediction_id": prediction_id(sequence),
        "value": value,
        "labelled_at": moment(20),
        **changes,
    }


def values(log: PredictionLog) -> dict[str, float]:
    return dict(log.labels().select("prediction_id", "value").collect().iter_rows())


def entries(database: Database) -> list[LedgerEntry]:
    with database.read() as connection:
        return ledger.entries(connection)


def test_labels_are_kept_and_told_in_the_ledger(database: Database, log: PredictionLog) -> None:
    collected(log, answer(1), answer(2))

    accepted = accept(
        database,
        log,
        [said(1), said(2, False, labelled_by="airline"), said(3)],
        now=NOW,
        actor="robot",
    )

    assert accepted == AcceptedLabels(accepted.batch, n_labels=3, n_new=3, n_unknown=1)
    assert log.labels().sort("prediction_id").collect().rows() == [
        (prediction_id(1), 1.0, moment(20), NOW, "robot"),
        (prediction_id(2), 0.0, moment(20), NOW, "airline"),
        (prediction_id(3), 1.0, moment(20), NOW, "robot"),
    ]
    (entry,) = entries(database)
    assert (entry.action, entry.subject, entry.actor, entry.at) == (
        "labels.accepted",
        accepted.batch,
        "robot",
        NOW,
    )
    assert entry.details == {"labels": 3, "unknown": 1}


def test_a_batch_sent_again_later_and_in_another_order_changes_nothing(
    database: Database, log: PredictionLog
) -> None:
    batch = [said(1), said(2, 0)]

    first = accept(database, log, batch, now=NOW, actor="robot")
    second = accept(
        database, log, pl.DataFrame(batch[::-1], strict=False), now=moment(60), actor="robot"
    )

    assert second == first._replace(n_new=0)
    assert len(entries(database)) == 1


def test_a_batch_whose_ledger_entry_was_lost_in_a_crash_is_completed(
    database: Database, log: PredictionLog, monkeypatch: pytest.MonkeyPatch
) -> None:
    def die(*_: Any) -> None:
        raise KeyboardInterrupt

    with monkeypatch.context() as patch:
        patch.setattr(module, "_write_down", die)
        with pytest.raises(KeyboardInterrupt):
            accept(database, log, [said(1)], now=NOW, actor="robot")
    assert entries(database) == []

    accepted = accept(database, log, [said(1)], now=NOW, actor="robot")

    assert accepted.n_new == 0
    assert [entry.subject for entry in entries(database)] == [accepted.batch]
    assert values(log) == {prediction_id(1): 1.0}


def test_a_correction_replaces_the_first_label(database: Database, log: PredictionLog) -> None:
    accept(database, log, [said(1, 0)], now=NOW, actor="robot")
    accept(database, log, [said(1, 1, labelled_at=moment(30))], now=NOW, actor="robot")

    assert values(log) == {prediction_id(1): 1.0}


def test_a_label_without_a_time_is_from_now(database: Database, log: PredictionLog) -> None:
    accept(
        database,
        log,
        [{"prediction_id": prediction_id(1), "value": 1}],
        now=NOW,
        actor="robot",
    )

    assert log.labels().collect()["labelled_at"].to_list() == [NOW]


@pytest.mark.parametrize(
    ("row", "reason"),
    [
        ({}, "Object missing required field `prediction_id`"),
        ({"prediction_id": prediction_id(1)}, "Object missing required field `value`"),
        (said(1, "late"), "Expected `bool | float`, got `str` - at `$.value`"),
        (said(1, None), "Expected `bool | float`, got `null` - at `$.value`"),
        (said(1, float("nan")), "expected a finite value, got nan"),
        (said(1, float("inf")), "expected a finite value, got inf"),
        (said(1, prediction_id="7"), "'7' is not a prediction id"),
        (
            said(1, prediction_id=prediction_id(1, moment(72))),
            f"'{prediction_id(1, moment(72))}' names a time after now, 2013-02-03T00:00:00+00:00",
        ),
        (
            said(1, labelled_at=moment(20).replace(tzinfo=None)),
            "Expected `datetime` with a timezone component - at `$.labelled_at`",
        ),
        (
            said(1, labelled_at="yesterday"),
            "Invalid RFC3339 encoded datetime - at `$.labelled_at`",
        ),
        (
            said(1, labelled_at=moment(49)),
            "labelled_at 2013-02-03T01:00:00+00:00 is after now, 2013-02-03T00:00:00+00:00",
        ),
        (
            said(1, labelled_at="0001-01-01T00:00:00+14:00"),
            "expected a time in the years 1 to 9999 in UTC, got 0001-01-01T00:00:00+14:00",
        ),
        (
            said(1, labelled_at="9999-12-31T23:59:59-14:00"),
            "expected a time in the years 1 to 9999 in UTC, got 9999-12-31T23:59:59-14:00",
        ),
        (
            said(5, 0.0),
            "it says 0, and row 1 says 1 of the same prediction at the same time; a correction has"
            " a later labelled_at",
        ),
        (said(1, labeled_at=moment(1)), "Object contains unknown field `labeled_at`"),
    ],
)
def test_one_bad_row_refuses_the_batch_and_leaves_no_trace(
    database: Database, log: PredictionLog, row: dict[str, Any], reason: str
) -> None:
    with pytest.raises(InvalidInput) as refused:
        accept(database, log, [said(5), row], now=NOW, actor="robot")

    assert str(refused.value) == (
        "no label was kept: 1 of 2 rows are not labels\n"
        f"  - row 2: {reason}\n"
        "  hint: correct these rows and send all again"
    )
    assert values(log) == {}
    assert entries(database) == []


def test_a_batch_of_bad_rows_shows_ten(database: Database, log: PredictionLog) -> None:
    with pytest.raises(InvalidInput) as refused:
        accept(database, log, [said(i, "x") for i in range(31)], now=NOW, actor="robot")

    lines = str(refused.value).splitlines()
    assert lines[0] == "no label was kept: 31 of 31 rows are not labels"
    assert lines[10].startswith("  - row 10: ")
    assert lines[11] == "  - and 21 more"
    assert len(lines) == 13


def test_a_label_beyond_what_the_model_can_answer_is_refused(
    database: Database, log: PredictionLog
) -> None:
    late = Field("late", "number", minimum=0, maximum=1)
    rows_given = [
        {"prediction_id": prediction_id(i), "value": value} for i, value in ((1, 1), (2, 7))
    ]

    with pytest.raises(InvalidInput) as refused:
        accept(database, log, rows_given, now=moment(30), actor="ann", output=late)

    assert "row 2: expected 'late' from 0 to 1, got 7" in str(refused.value)
    assert log.labels().collect().is_empty()


def test_what_came_true_is_no_probability(database: Database, log: PredictionLog) -> None:
    late = Field("late", "number", minimum=0, maximum=1, unit="probability")

    with pytest.raises(InvalidInput) as refused:
        accept(database, log, [said(1), said(2, 0.5)], now=NOW, actor="ann", output=late)

    assert refused.value.message.splitlines()[1:] == [
        "  - row 2: expected 'late' as 0 or 1, since what came true has no probability, got 0.5"
    ]
    assert (
        accept(database, log, [said(1), said(2, False)], now=NOW, actor="ann", output=late).n_labels
        == 2
    )


def test_a_share_is_labelled_with_a_share(database: Database, log: PredictionLog) -> None:
    share = Field("share", "number", minimum=0, maximum=1)

    accept(database, log, [said(1, 0.5)], now=NOW, actor="ann", output=share)

    assert values(log) == {prediction_id(1): 0.5}


def test_a_correction_may_come_in_the_same_batch(database: Database, log: PredictionLog) -> None:
    batch = [said(1, 0), said(1, 0, labelled_by="airline"), said(1, 1, labelled_at=moment(21))]

    accept(database, log, batch, now=NOW, actor="robot")

    assert values(log) == {prediction_id(1): 1.0}


def test_a_batch_without_rows_is_none(database: Database, log: PredictionLog) -> None:
    with pytest.raises(InvalidInput, match="there are no labels in this batch"):
        accept(database, log, [], now=NOW, actor="robot")


def test_the_same_batch_twice_at_once_is_kept_once(
    database: Database, log: PredictionLog, monkeypatch: pytest.MonkeyPatch
) -> None:
    other = PredictionLog(database, log._blobs, log.segments)
    add = log.add_labels
    overtaken: list[bool] = []

    def overtake(labels: pl.DataFrame, batch: str) -> int:
        if not overtaken:
            overtaken.append(True)
            monkeypatch.setattr(log._labels, "marks", dict)  # looked before the other wrote
            other.add_labels(labels, batch)
        else:
            monkeypatch.undo()
        return add(labels, batch)

    monkeypatch.setattr(log, "add_labels", overtake)
    accepted = accept(database, log, [said(1)], now=NOW, actor="robot")

    assert accepted.n_new == 0
    assert values(log) == {prediction_id(1): 1.0}


@pytest.mark.alone
def test_a_month_of_labels_is_accepted_within_three_seconds(
    database: Database, log: PredictionLog
) -> None:
    frame = pl.DataFrame(
        {
            "prediction_id": [prediction_id(i, moment(i / 1_000)) for i in range(24_000)],
            "value": [0.0, 1.0] * 12_000,
            "labelled_at": [moment(25) + timedelta(seconds=i) for i in range(24_000)],
        }
    )

    started = perf_counter()
    accepted = accept(database, log, frame, now=NOW, actor="robot")

    assert accepted.n_unknown == 24_000
    assert perf_counter() - started < 3.0


def test_accepting_labels_uses_one_ledger_entry_a_batch(
    database: Database, log: PredictionLog
) -> None:
    for i in range(3):
        accept(database, log, [said(i)], now=NOW, actor="robot")

    with database.read() as connection:
        assert rows.count(connection, LedgerEntry) == 3
        assert ledger.verify(connection) == 3
