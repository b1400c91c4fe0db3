"""The prediction log is a Delta table that other engines read as it lies."""

import re
from datetime import timedelta
from pathlib import Path
from typing import Any

import duckdb
import polars as pl
import pytest
from deltalake import DeltaTable

from cd4ml.errors import NotFound
from cd4ml.records.log_file import LogFile, LogMark, LogRemoval
from cd4ml.store import delta_log, growing_table, rows
from cd4ml.store.blobs import Blobs
from cd4ml.store.database import Database
from cd4ml.store.growing_table import PUBLISHED
from cd4ml.store.log import PredictionLog
from tests.store.answers import START, answer, append, collected, log_in, moment, prediction_id


@pytest.fixture
def any_log(database: Database, blobs: Blobs, tmp_path: Path) -> PredictionLog:
    """A log on every database and every blob store."""
    return PredictionLog(database, blobs, tmp_path / "segments")


@pytest.fixture
def log(tmp_path: Path) -> PredictionLog:
    return log_in(tmp_path)


def table_of(log: PredictionLog) -> DeltaTable:
    return DeltaTable(log.tables[0].delta.url)


def ids_in(log: PredictionLog) -> list[str]:
    return sorted(table_of(log).to_pyarrow_table()["prediction_id"].to_pylist())


def commits(log: PredictionLog) -> list[str]:
    return [each.name for each in log._blobs.below("tables/predictions").names("_delta_log")]


def test_polars_duckdb_and_deltalake_read_it_on_files_and_s3(any_log: PredictionLog) -> None:
    collected(any_log, answer(1), answer(2, moment(30), score=None))
    url = any_log.tables[0].delta.url

    by_polars = pl.scan_delta(url).sort("prediction_id").collect()
    dataset = table_of(any_log).to_pyarrow_dataset()  # DuckDB finds it by its name
    by_duckdb = duckdb.sql("select day, score from dataset where day = '2013-02-02'").fetchall()
    rows_of_reader = table_of(any_log).to_pyarrow_table()

    ids = [prediction_id(1), prediction_id(2, moment(30))]
    assert by_polars["prediction_id"].to_list() == ids
    assert by_polars["answered_at"].to_list() == [moment(), moment(30)]
    assert by_polars["day"].to_list() == [moment().date(), moment(30).date()]
    assert by_duckdb == [(moment(30).date(), None)]
    assert dataset.schema.names == rows_of_reader.column_names
    assert table_of(any_log).metadata().partition_columns == ["day"]


def test_what_is_in_the_log_is_in_the_delta_table_after_merges_too(
    log: PredictionLog, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(growing_table, "MERGE_FROM", 4)
    monkeypatch.setattr(delta_log, "CHECKPOINT_EVERY", 3)

    for i in range(9):
        collected(log, answer(i))

    assert ids_in(log) == [prediction_id(i) for i in range(9)]
    assert len(table_of(log).file_uris()) < 4
    assert log.collect() == 0
    assert len([name for name in commits(log) if name.endswith(".json")]) == 9  # none without rows
    assert any(name.endswith(".checkpoint.parquet") for name in commits(log))


def test_a_commit_that_was_made_and_not_noted_is_not_made_again(log: PredictionLog) -> None:
    collected(log, answer(1))
    before = commits(log)
    with log.database.write() as connection:  # as a collector killed in between leaves it
        rows.put(connection, LogMark(log="predictions", name=PUBLISHED, position=0))

    assert log.collect() == 0

    assert commits(log) == before
    assert table_of(log).transaction_version("predictions") == 1
    assert ids_in(log) == [prediction_id(1)]


def test_rows_whose_commit_was_not_made_are_in_the_next_one(
    log: PredictionLog, monkeypatch: pytest.MonkeyPatch
) -> None:
    with monkeypatch.context() as patch:
        patch.setattr(growing_table.GrowingTable, "publish", lambda table: None)
        collected(log, answer(1))
        assert log.tables[0].delta.version() is None

    collected(log, answer(2))

    assert ids_in(log) == [prediction_id(1), prediction_id(2)]
    assert len(commits(log)) == 1


def test_of_two_committers_one_is_first_and_the_other_looks_again(log: PredictionLog) -> None:
    collected(log, answer(1))
    append(log.segments, answer(2))
    other = PredictionLog(log.database, log._blobs, log.segments)
    slow = log.tables[0].delta
    state = slow._state

    def overtaken() -> object:
        seen = state()
        slow._state = state  # type: ignore[method-assign]
        other.collect()
        return seen

    slow._state = overtaken  # type: ignore[method-assign]
    with log.database.read() as connection:
        files = rows.find(connection, LogFile, log="predictions")
    slow.publish(files, change=2, at=START)

    assert ids_in(log) == [prediction_id(1), prediction_id(2)]
    assert len(commits(log)) == 2


def test_files_that_were_merged_are_there_until_nobody_can_read_them(
    log: PredictionLog, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(growing_table, "MERGE_FROM", 2)
    collected(log, answer(1))
    old = table_of(log)
    collected(log, answer(2))
    table = log.tables[0]

    assert table.purge(timedelta(hours=1)) == 0
    assert old.to_pyarrow_table().num_rows == 1
    assert table.purge(timedelta()) == 2
    with log.database.read() as connection:
        assert rows.find(connection, LogRemoval) == []
    assert ids_in(log) == [prediction_id(1), prediction_id(2)]
    assert [uri.rpartition("/")[2] for uri in old.file_uris()] != [
        uri.rpartition("/")[2] for uri in table_of(log).file_uris()
    ]


def test_a_file_that_nobody_listed_is_swept(log: PredictionLog) -> None:
    collected(log, answer(1))
    store = log._blobs.below("tables/predictions/day=2013-02-01")
    orphan = store.put(b"of a killed collector")
    table = log.tables[0]

    assert table.sweep(timedelta(hours=1)) == 0
    assert store.has(orphan)
    assert table.sweep(-timedelta(seconds=1)) == 1
    with pytest.raises(NotFound):
        store.get(orphan)
    assert ids_in(log) == [prediction_id(1)]


def test_a_delta_log_that_cannot_be_read_keeps_no_row_out_of_the_log(
    log: PredictionLog, caplog: pytest.LogCaptureFixture
) -> None:
    collected(log, answer(1))
    store = log._blobs.below("tables/predictions")
    path = Path(store.url) / "_delta_log" / f"{0:020}.json"
    whole = path.read_bytes()
    path.chmod(0o644)
    path.write_text("{")

    append(log.segments, answer(2))
    again = PredictionLog(log.database, log._blobs, log.segments)

    assert again.collect() == 1
    assert caplog.messages[0].startswith("other engines do not see all of predictions yet: ")
    path.write_bytes(whole)
    again.collect()
    assert ids_in(log) == [prediction_id(1), prediction_id(2)]


def test_the_manuals_way_to_read_it_works(log: PredictionLog) -> None:
    collected(log, answer(1), answer(2))
    text = (Path(__file__).parents[2] / "docs" / "capture.md").read_text()
    (code,) = (each for each in re.findall(r"```python\n(.*?)```", text, re.S) if "duckdb" in each)
    lines = code.replace(".cd4ml/blobs/tables/predictions", log.tables[0].delta.url).splitlines()
    found: dict[str, Any] = {}

    exec("\n".join([*lines[:-1], f"days = {lines[-1]}.fetchall()"]), found)  # noqa: S102  # the manual is ours

    assert [n for _, n in found["days"]] == [2]
