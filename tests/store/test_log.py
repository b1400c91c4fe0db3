import fcntl
from datetime import UTC, datetime, timedelta
from pathlib import Path
from time import perf_counter
from typing import Any

import msgspec
import polars as pl
import pytest

from cd4ml.errors import Conflict, InvalidInput, NotFound
from cd4ml.records.contract import Contract, Field
from cd4ml.records.log_file import LogFile
from cd4ml.records.prediction import Prediction
from cd4ml.store import growing_table, rows
from cd4ml.store.answer_counts import answered_by
from cd4ml.store.blobs import Blobs
from cd4ml.store.database import Database
from cd4ml.store.lines import seal
from cd4ml.store.log import PredictionLog
from cd4ml.store.seen import beside, remember
from cd4ml.store.segment_files import segments_in
from cd4ml.store.segments import Segment
from tests.store.answers import (
    START,
    answer,
    append,
    collected,
    line,
    log_in,
    moment,
    prediction_id,
)


@pytest.fixture
def log(tmp_path: Path) -> PredictionLog:
    return log_in(tmp_path)


@pytest.fixture
def any_log(database: Database, blobs: Blobs, tmp_path: Path) -> PredictionLog:
    """A log on every database and every blob store."""
    return PredictionLog(database, blobs, tmp_path / "segments")


def again(log: PredictionLog) -> PredictionLog:
    """The same log in another process."""
    return PredictionLog(log.database, log._blobs, log.segments)


def label(sequence: int, value: float, labelled: float, arrived: float, **changes: Any) -> Any:
    row = {
        "prediction_id": prediction_id(sequence),
        "value": value,
        "labelled_at": moment(labelled),
        "arrived_at": moment(arrived),
        "labelled_by": "airline",
    }
    return {**row, **changes}


def ids(rows: pl.LazyFrame) -> list[str]:
    return sorted(rows.collect()["prediction_id"])


def values(labels: pl.LazyFrame) -> dict[str, float]:
    return dict(labels.select("prediction_id", "value").collect().iter_rows())


def test_what_was_answered_is_in_the_log_once_whatever_store_it_is_on(
    any_log: PredictionLog,
) -> None:
    rows = [answer(i, moment(i * 13)) for i in range(6)]
    append(any_log.segments, *rows)

    first, second = any_log.collect(), any_log.collect()

    assert (first, second) == (6, 0)
    assert any_log.prediction(rows[3]["prediction_id"]) == [Prediction(**rows[3])]
    assert ids(any_log.predictions()) == [row["prediction_id"] for row in rows]
    labels = pl.DataFrame([label(1, 1.0, 20, 21), label(2, 0.0, 20, 21)])
    assert [any_log.add_labels(labels, "batch"), any_log.add_labels(labels, "batch")] == [2, 0]
    assert values(any_log.labels()) == {prediction_id(1): 1.0, prediction_id(2): 0.0}


def test_an_empty_log_has_the_columns_of_a_prediction_and_no_rows(log: PredictionLog) -> None:
    empty = log.predictions(moment(), moment(1), "production", 1).collect()

    assert log.collect() == 0
    assert tuple(empty.columns) == Prediction.__struct_fields__
    assert empty.is_empty()
    assert log.labels(moment(), moment(1), moment(2)).collect().is_empty()
    assert log.prediction(prediction_id(1)) == []


def test_lines_of_several_workers_arrive_in_one_file(log: PredictionLog) -> None:
    append(log.segments, answer(1), worker="a")
    append(log.segments, answer(2), worker="b")

    log.collect()

    assert ids(log.predictions()) == [prediction_id(1), prediction_id(2)]
    with log.database.read() as connection:
        assert rows.count(connection, LogFile) == 1


def test_a_late_collector_takes_several_commits_to_bound_its_memory(
    log: PredictionLog, monkeypatch: pytest.MonkeyPatch
) -> None:
    for i in range(3):
        append(log.segments, answer(i), answer(i + 3))
    monkeypatch.setattr("cd4ml.store.segment_pieces._BATCH_BYTES", 1)

    assert log.collect() == 6
    assert ids(log.predictions()) == [prediction_id(i) for i in range(6)]
    assert segments_in(log.segments) == []


def test_a_growing_segment_is_drained_again_and_again_and_kept(log: PredictionLog) -> None:
    segment = Segment(log.segments, "worker")

    counts = []
    for i in range(3):
        segment.append(line(answer(i)))
        counts.append(log.collect())

    assert counts == [1, 1, 1]
    assert len(segments_in(log.segments)) == 1
    segment.close()
    log.collect()
    assert segments_in(log.segments) == []
    assert ids(log.predictions()) == [prediction_id(i) for i in range(3)]


def test_a_torn_line_waits_until_it_is_whole(log: PredictionLog) -> None:
    log.segments.mkdir()
    first, second = line(answer(1)) + b"\n", line(answer(2)) + b"\n"
    with (log.segments / "worker.jsonl").open("ab", buffering=0) as writer:
        fcntl.flock(writer, fcntl.LOCK_EX)

        writer.write(first + second[:40])
        assert log.collect() == 1
        writer.write(second[40:])
        assert log.collect() == 1

    assert ids(log.predictions()) == [prediction_id(1), prediction_id(2)]


@pytest.mark.parametrize(
    "bad",
    [
        b"not JSON",
        b"\xff\xfe",
        line(answer(9))[:-1],
        line(answer(9, score="high")),
        line(answer(9, role="boss")),
        line(answer(9, prediction_id="9")),
        line(answer(9, inputs=[1])),
        line(answer(9)).replace(b'"score":0.5', b'"score":NaN'),
        seal(msgspec.json.encode({**answer(9), "answered_at": 10**18})),
        msgspec.json.encode({**answer(9), "answered_at": 0}),  # without a checksum
        line(answer(9)).replace(b'"score":0.5', b'"score":0.6'),
        bytes(300),  # what some file systems leave of the last block when the power goes
    ],
)
def test_a_line_that_is_no_prediction_is_set_aside_and_stops_nothing(
    log: PredictionLog, bad: bytes, caplog: pytest.LogCaptureFixture
) -> None:
    segment = Segment(log.segments, "worker")
    for text in (line(answer(1)), bad, line(answer(2))):
        segment.append(text)

    assert [log.collect(), log.collect()] == [2, 0]

    assert ids(log.predictions()) == [prediction_id(1), prediction_id(2)]
    (aside,) = log.set_aside()
    assert (aside.path.read_bytes(), aside.n_lines) == (bad + b"\n", 1)
    assert caplog.messages == [f"1 bad log lines set aside: {aside.path}"]
    segment.close()


MICROSECONDS = (START - datetime(1970, 1, 1, tzinfo=UTC)) // timedelta(microseconds=1)


def together(**changes: Any) -> bytes:
    """A line of three answers."""
    one = answer(0)
    several = {
        "prediction_ids": [prediction_id(i) for i in (1, 2, 3)],
        "answered_at": MICROSECONDS,
        **{name: one[name] for name in ("environment", "plan", "role", "model", "number")},
        "artifact": one["artifact"],
        "scores": [0.1, None, 0.3],
        "inputs": [{"distance": i} for i in (1, 2, 3)],
        "key": ["a", "", "c"],
    }
    return seal(msgspec.json.encode({**several, **changes}))


def test_a_line_of_several_answers_is_a_row_for_each(log: PredictionLog) -> None:
    segment = Segment(log.segments, "worker")
    segment.append_all([together(), line(answer(4))])
    segment.close()

    assert log.collect() == 4

    rows = log.predictions().sort("prediction_id").collect()
    assert rows["prediction_id"].to_list() == [prediction_id(i) for i in (1, 2, 3, 4)]
    assert rows["score"].to_list() == [0.1, None, 0.3, 0.5]
    assert rows["key"].to_list() == ["a", "", "c", ""]
    assert rows["inputs"].to_list()[:3] == [f'{{"distance":{i}}}' for i in (1, 2, 3)]
    assert set(rows["answered_at"]) == {START}


@pytest.mark.parametrize(
    "changes",
    [
        {"scores": [0.1]},
        {"inputs": [{}, {}, {}, {}]},
        {"inputs": [{}, 7, {}]},
        {"key": ["a"]},
        {"answered_at": [1, 2]},
        {"prediction_ids": []},
        {"prediction_ids": ["no", "prediction", "ids"]},
    ],
)
def test_a_line_whose_columns_do_not_fit_is_set_aside_whole(
    log: PredictionLog, changes: dict[str, Any]
) -> None:
    if changes == {"prediction_ids": []}:
        changes |= {"scores": [], "inputs": [], "key": []}
    segment = Segment(log.segments, "worker")
    segment.append_all([together(**changes), line(answer(4))])
    segment.close()

    assert log.collect() == 1
    (aside,) = log.set_aside()
    assert aside.path.read_bytes() == together(**changes) + b"\n"


def test_bad_lines_alone_are_drained_too(log: PredictionLog) -> None:
    segment = Segment(log.segments, "worker")
    segment.append(b"nonsense")
    segment.close()

    assert log.collect() == 0
    assert segments_in(log.segments) == []
    assert [aside.n_lines for aside in log.set_aside()] == [1]


def test_two_collectors_at_once_count_nothing_twice(
    log: PredictionLog, monkeypatch: pytest.MonkeyPatch
) -> None:
    append(log.segments, answer(1))
    log.collect()
    append(log.segments, answer(2))
    slow, quick = again(log), log
    original = slow._frame

    def overtaken(lines: Any) -> pl.DataFrame:
        quick.collect()
        return original(lines)

    monkeypatch.setattr(slow, "_frame", overtaken)

    with pytest.raises(
        Conflict, match="another process appended the same rows to predictions first"
    ):
        slow.collect()
    assert ids(log.predictions()) == [prediction_id(1), prediction_id(2)]
    with log.database.read() as connection:
        assert [each.n for each in answered_by(connection, [("delay", 1)])] == [2]


def test_many_small_commits_are_merged_and_still_counted_once(
    log: PredictionLog, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(growing_table, "MERGE_FROM", 10)
    segment = Segment(log.segments, "worker")

    for i in range(25):
        segment.append(line(answer(i)))
        assert log.collect() == 1

    assert ids(log.predictions()) == [prediction_id(i) for i in range(25)]
    with log.database.read() as connection:
        assert rows.count(connection, LogFile) < 10
    assert log.collect() == 0
    segment.close()


def test_predictions_are_chosen_by_time_environment_and_plan(log: PredictionLog) -> None:
    rows = [
        answer(1, moment(0)),
        answer(2, moment(23.9)),
        answer(3, moment(24), environment="staging"),
        answer(4, moment(30), plan=2),
        answer(5, moment(48)),
    ]
    collected(log, *rows)

    def sequences(*choice: Any) -> list[int]:
        return [int(name[-8:], 16) for name in ids(log.predictions(*choice))]

    assert sequences(moment(0), moment(48)) == [1, 2, 3, 4]
    assert sequences(moment(1)) == [2, 3, 4, 5]
    assert sequences(None, moment(24)) == [1, 2]
    assert sequences(None, None, "staging") == [3]
    assert sequences(None, None, "production", 2) == [4]


def test_days_outside_the_question_are_not_read(log: PredictionLog) -> None:
    collected(log, *(answer(i, moment(24 * i)) for i in range(5)))
    with log.database.read() as connection:
        files = rows.find(connection, LogFile)
    for file in files:
        if file.day != "2013-02-02":
            log._blobs.below(f"tables/predictions/day={file.day}").path(file.digest).unlink()

    assert log.predictions(moment(24), moment(47)).collect().height == 1
    with pytest.raises(NotFound):
        log.predictions(moment(24)).collect()


def test_a_prediction_is_found_by_its_id_with_its_shadow_after_it(log: PredictionLog) -> None:
    late = START + timedelta(hours=23, minutes=59, seconds=59, milliseconds=999)
    shadow = answer(1, late, role="shadow", number=2, score=None)
    shadow["answered_at"] = late + timedelta(seconds=5)  # past midnight
    collected(log, shadow, answer(1, late, inputs={"wind": None, "open": True}), answer(2, late))

    found = log.prediction(prediction_id(1, late))

    assert [(row.role, row.score) for row in found] == [("champion", 0.5), ("shadow", None)]
    assert found[0].inputs == {"wind": None, "open": True}


@pytest.mark.parametrize("wrong", ["", "7", "g" * 32, "F" * 32, " " + "0" * 31, "f" * 32])
def test_what_is_no_prediction_id_is_said_to_be_none(log: PredictionLog, wrong: str) -> None:
    with pytest.raises(InvalidInput) as refused:
        log.prediction(wrong)

    assert str(refused.value) == (
        f"{wrong!r} is not a prediction id\n  hint: it has 32 hex digits, of which 12 tell the time"
    )


def test_a_corrected_label_counts_from_when_it_arrived(log: PredictionLog) -> None:
    log.add_labels(pl.DataFrame([label(1, 0.0, 20, 21), label(2, 1.0, 20, 21)]), "first")
    log.add_labels(pl.DataFrame([label(1, 1.0, 22, 50)]), "correction")

    assert values(log.labels()) == {prediction_id(1): 1.0, prediction_id(2): 1.0}
    assert values(log.labels(known_at=moment(49))) == {
        prediction_id(1): 0.0,
        prediction_id(2): 1.0,
    }
    assert values(log.labels(known_at=moment(20))) == {}


def test_a_label_of_an_earlier_moment_that_arrives_late_does_not_count(
    log: PredictionLog,
) -> None:
    log.add_labels(pl.DataFrame([label(1, 1.0, 22, 23)]), "first")
    log.add_labels(pl.DataFrame([label(1, 0.0, 20, 60)]), "straggler")

    assert values(log.labels()) == {prediction_id(1): 1.0}
    found = log.label(prediction_id(1))
    assert found is not None
    assert (found["value"], found["labelled_at"]) == (1.0, moment(22))
    assert log.label(prediction_id(2)) is None


def test_labels_of_other_days_are_not_read(log: PredictionLog) -> None:
    days = [
        label(i, 1.0, 200, 201, prediction_id=prediction_id(i, moment(24 * i))) for i in range(6)
    ]
    log.add_labels(pl.DataFrame(days), "batch")

    found = values(log.labels(moment(24 * 3), moment(24 * 4)))

    # The day before, too: what is answered after midnight may have been asked before it.
    assert sorted(found) == [prediction_id(i, moment(24 * i)) for i in (2, 3, 4)]


def test_two_processes_that_add_one_batch_add_it_once(
    log: PredictionLog, monkeypatch: pytest.MonkeyPatch
) -> None:
    labels = pl.DataFrame([label(1, 1.0, 20, 21)])
    log.add_labels(pl.DataFrame([label(7, 1.0, 20, 21)]), "before")
    slow = again(log)
    append_rows = slow._labels.append

    def overtaken(*arguments: Any, **named: Any) -> None:
        log.add_labels(labels, "batch")
        append_rows(*arguments, **named)

    monkeypatch.setattr(slow._labels, "append", overtaken)

    with pytest.raises(Conflict):
        slow.add_labels(labels, "batch")
    assert slow.labels().collect().height == 2


CONTRACT = Contract(
    name="delay",
    fields=(
        Field("distance", "integer"),
        Field("wind speed", "number", nullable=True),
        Field("class", "string"),
        Field("is_late", "boolean"),
        Field("scheduled_at", "datetime"),
    ),
)


def requests(*inputs: str) -> pl.DataFrame:
    return pl.DataFrame(
        {"prediction_id": [f"{i:032x}" for i in range(len(inputs))], "inputs": inputs}
    )


def test_requests_become_typed_columns(log: PredictionLog) -> None:
    rows = requests(
        '{"distance":1,"wind speed":2,"class":"A","is_late":true,"scheduled_at":"2013-02-01T05:00:00+01:00"}',
        '{"distance":9007199254740993,"wind speed":null,"extra":1,"scheduled_at":"2013-02-01T04:00:00.5"}',
    )

    typed = log.inputs(rows, CONTRACT)

    half_past = datetime.fromisoformat("2013-02-01T04:00:00.5+00:00")
    assert typed.rows() == [
        (1, 2.0, "A", True, datetime.fromisoformat("2013-02-01T04:00:00+00:00")),
        (9007199254740993, None, None, None, half_past),
    ]
    assert typed.columns == list(CONTRACT.names)


@pytest.mark.parametrize(
    ("wrong", "reason"),
    [
        ('{"distance":"far"}', "Expected `int | null`, got `str` - at `$.distance`"),
        ('{"wind speed":"2"}', "Expected `float | null`, got `str` - at `$.wind speed`"),
        ('{"is_late":1}', "Expected `bool | null`, got `int` - at `$.is_late`"),
        ('{"scheduled_at":"noon"}', "Invalid RFC3339 encoded datetime - at `$.scheduled_at`"),
    ],
)
def test_requests_of_another_contract_are_named(
    log: PredictionLog, wrong: str, reason: str
) -> None:
    with pytest.raises(InvalidInput) as refused:
        log.inputs(requests("{}", wrong), CONTRACT)

    assert str(refused.value) == (
        "1 of 2 requests do not fit contract delay 1.0.0\n"
        f"  - {1:032x}: {reason}\n"
        "  hint: read them with the contract of the version that answered"
    )


@pytest.mark.alone
def test_thirty_thousand_lines_are_drained_within_two_seconds(log: PredictionLog) -> None:
    columns = {f"column_{k}": k * 1.5 for k in range(18)}
    append(log.segments, *(answer(i, moment(i / 40), inputs=columns) for i in range(30_000)))

    started = perf_counter()
    assert log.collect() == 30_000
    assert perf_counter() - started < 2.0


def test_a_folder_of_segments_that_is_gone_is_missed_once(
    log: PredictionLog, caplog: pytest.LogCaptureFixture, tmp_path: Path
) -> None:
    append(log.segments, answer(1))
    remember(log.segments, seen=beside(log.segments))
    log.segments.rename(tmp_path / "away")

    assert [log.collect(), log.collect()] == [0, 0]
    (tmp_path / "away").rename(log.segments)

    assert log.collect() == 1
    assert [each.getMessage() for each in caplog.records] == [
        f"{log.segments} is gone: what endpoints answered there is not collected until it is back"
    ]
