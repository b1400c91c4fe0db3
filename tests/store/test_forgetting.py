"""A person's rows are gone wherever they were."""

from pathlib import Path
from typing import Any

import msgspec
import polars as pl
import pytest
import sqlalchemy as sa
from deltalake import DeltaTable

from cd4ml.store import growing_table
from cd4ml.store.blobs import Blobs
from cd4ml.store.database import Database
from cd4ml.store.forgetting import Forgotten, as_written, forget
from cd4ml.store.lines import seal
from cd4ml.store.log import PredictionLog
from cd4ml.store.masking import KEY, Mask
from cd4ml.store.segments import Segment
from tests.store.answers import answer, append, line, log_in, moment, prediction_id


@pytest.fixture
def any_log(database: Database, blobs: Blobs, tmp_path: Path) -> PredictionLog:
    return PredictionLog(database, blobs, tmp_path / "segments")


def about(sequence: int, patient: str, **changes: Any) -> dict[str, Any]:
    inputs = {"patient id": patient, "age": 36}
    return answer(sequence, moment(sequence * 24), inputs=inputs, key=f"k-{patient}", **changes)


def label(row: dict[str, Any]) -> dict[str, Any]:
    return {
        "prediction_id": row["prediction_id"],
        "value": 1.0,
        "labelled_at": moment(99),
        "arrived_at": moment(99),
        "labelled_by": "clinic",
    }


def forgotten(log: PredictionLog, field: str, *values: str) -> Forgotten:
    noted: list[Forgotten] = []

    def note(connection: sa.Connection, much: Forgotten) -> None:
        noted.append(much)

    assert [forget(log, field=field, values=values, note=note)] == noted
    return noted[0]


def bytes_below(*folders: Path) -> bytes:
    files = [path for folder in folders for path in folder.rglob("*") if path.is_file()]
    return b"".join(path.read_bytes() for path in files)


def everything(log: PredictionLog) -> bytes:
    """All that lies in the stores of the tables, unpacked where it is a table."""
    texts = [bytes_below(log.segments)]
    for table in log.tables:
        store = log._blobs.below(f"tables/{table.name}")
        for each in store.names():
            data = store.read(each.name)
            is_rows = data[:4] == b"PAR1" and "_delta_log" not in each.name
            texts.append(pl.read_parquet(data).write_json().encode() if is_rows else data)
    return b"".join(texts)


def test_rows_labels_and_bytes_of_one_person_are_gone_from_every_place(
    any_log: PredictionLog, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(growing_table, "MERGE_FROM", 2)
    log, rows = any_log, [about(1, "Ada"), about(2, "Bo"), about(2, "Ada", role="shadow")]
    living = Segment(log.segments, "worker")
    for row in rows:
        living.append(line(row))
    living.append(seal(msgspec.json.encode({"broken": "Ada"})))
    log.collect()
    append(log.segments, answer(9, moment(48), inputs={"patient id": "Cy"}))
    log.collect()  # merges the files of one day
    log.add_labels(pl.DataFrame([label(rows[0]), label(answer(9, moment(48)))]), "batch")
    assert b"Ada" in everything(log)

    much = forgotten(log, "patient id", "Ada")

    assert much == Forgotten(predictions=2, labels=1, files=3, set_aside=1)
    assert b"Ada" not in everything(log)
    assert b"Bo" in everything(log)
    left = log.predictions().collect().sort("prediction_id")
    assert left["prediction_id"].to_list() == [
        prediction_id(2, moment(48)),
        prediction_id(9, moment(48)),
    ]
    assert log.labels().collect()["prediction_id"].to_list() == [prediction_id(9, moment(48))]
    assert DeltaTable(log.tables[0].delta.url).to_pyarrow_table().num_rows == 2
    living.append(line(about(3, "Di")))
    assert log.collect() == 1
    living.close()
    again = forgotten(log, "patient id", "Ada")
    assert again == Forgotten(predictions=0, labels=0, files=0, set_aside=0)


def test_rows_are_found_by_key_by_number_and_by_hash(tmp_path: Path) -> None:
    log, mask = log_in(tmp_path), Mask(hashed=["name", KEY], secret=b"secret")
    hashed = answer(4, inputs={"name": mask.hash("Ada"), "n": mask.hash(7)}, key=mask.key("Ada"))
    append(log.segments, about(1, "Ada"), about(2, "36"), answer(3, inputs={"n": 7}), hashed)
    log.collect()

    assert forgotten(log, KEY, *as_written(mask, KEY, "k-36")).predictions == 1
    assert forgotten(log, "age", "36").predictions == 1
    assert forgotten(log, "no such field", "36").predictions == 0
    assert forgotten(log, "n", *as_written(mask, "n", "7")).predictions == 2
    assert log.predictions().collect().is_empty()


def test_a_rewrite_that_somebody_elses_merge_overtook_changes_nothing(tmp_path: Path) -> None:
    log = log_in(tmp_path)
    append(log.segments, about(1, "Ada"))
    log.collect()
    table = log.tables[0]
    found = [(old, new) for old, new, _ in table.rewritten(pl.lit(value=False))]
    assert [new for _, new in found] == [None]

    assert forgotten(log, "patient id", "Ada").predictions == 1

    with (
        log.database.write() as connection,
        pytest.raises(
            Exception, match="the files of predictions were changed by another process meanwhile"
        ),
    ):
        table.replace(connection, found)
