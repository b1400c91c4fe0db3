from datetime import datetime
from pathlib import Path
from typing import Any

import polars as pl
import pytest

from cd4ml.errors import InvalidInput
from cd4ml.feedback.curation import Curated, curate
from cd4ml.records.contract import Contract, Field
from cd4ml.store.log import PredictionLog
from tests.store.answers import answer, collected, log_in, moment, prediction_id

CONTRACT = Contract(
    name="delay",
    fields=(Field("carrier", "string"), Field("distance", "integer"), Field("wind", "number")),
)


@pytest.fixture
def log(tmp_path: Path) -> PredictionLog:
    return log_in(tmp_path)


def label(log: PredictionLog, sequence: int, value: float, labelled: float, arrived: float) -> None:
    row = {
        "prediction_id": prediction_id(sequence),
        "value": value,
        "labelled_at": moment(labelled),
        "arrived_at": moment(arrived),
        "labelled_by": "airline",
    }
    log.add_labels(pl.DataFrame([row]), f"{sequence} at {arrived}")


def given(sequence: int, hours: float, **changes: Any) -> dict[str, Any]:
    row = answer(sequence, moment(hours), **changes)
    return {**row, "prediction_id": prediction_id(sequence)}


def curated(
    log: PredictionLog, as_of: datetime, contract: Contract = CONTRACT, **changes: Any
) -> Curated:
    return curate(log, contract, environment="production", model="delay", as_of=as_of, **changes)


def test_labelled_answers_become_training_rows_in_order_of_time(log: PredictionLog) -> None:
    collected(
        log,
        given(2, 2, inputs={"carrier": "UA", "distance": 100, "wind": None}),
        given(1, 1, role="canary", number=2),
        given(3, 3),
    )
    label(log, 2, 0.0, 5, 6)
    label(log, 1, 1.0, 5, 6)

    found = curated(log, moment(10))

    assert (found.n_predictions, found.n_labelled, found.n_unlabelled) == (3, 2, 1)
    assert found.rows.columns == ["carrier", "distance", "wind", "event_at", "target"]
    assert found.rows.rows() == [
        ("HA", 4983, None, moment(1), 1.0),
        ("UA", 100, None, moment(2), 0.0),
    ]


def test_what_nobody_was_answered_is_no_training_row(log: PredictionLog) -> None:
    collected(
        log,
        given(1, 1),
        given(1, 1, role="shadow", number=2, score=0.9),
        given(2, 1, score=None),
        given(3, 1, environment="staging"),
        given(4, 1, model="other"),
    )
    for sequence in (1, 2, 3, 4):
        label(log, sequence, 1.0, 5, 6)

    found = curated(log, moment(10))

    assert (found.n_predictions, found.rows.height) == (1, 1)


def test_rows_are_rebuilt_as_they_were_known(log: PredictionLog) -> None:
    collected(log, given(1, 1), given(2, 2), given(3, 9))
    label(log, 1, 0.0, 4, 5)
    label(log, 2, 1.0, 4, 8)
    label(log, 1, 1.0, 6, 9)  # a correction

    def known(hours: float) -> tuple[list[float], int]:
        found = curated(log, moment(hours))
        return found.rows["target"].to_list(), found.n_predictions

    assert known(4) == ([], 2)
    assert known(7) == ([0.0], 2)
    assert known(8) == ([0.0, 1.0], 2)
    assert known(9) == ([1.0, 1.0], 3)


def test_only_the_stretch_that_was_asked_for_counts(log: PredictionLog) -> None:
    collected(log, *(given(i, i) for i in range(5)))
    for i in range(5):
        label(log, i, 1.0, 30, 31)

    found = curated(log, moment(40), start=moment(1), end=moment(3))

    assert found.rows["event_at"].to_list() == [moment(1), moment(2)]


def test_the_columns_may_have_other_names(log: PredictionLog) -> None:
    collected(log, given(1, 1))
    label(log, 1, 1.0, 5, 6)

    found = curated(log, moment(10), event_time="asked_at", target="is_late")

    assert found.rows.columns[-2:] == ["asked_at", "is_late"]


def test_a_time_that_the_request_carries_is_kept(log: PredictionLog) -> None:
    contract = Contract(name="delay", fields=(Field("event_at", "datetime"),))
    collected(log, given(1, 1, inputs={"event_at": "2013-02-01T09:00:00Z"}))
    label(log, 1, 1.0, 5, 6)

    found = curated(log, moment(10), contract=contract)

    assert found.rows.rows() == [(moment(9), 1.0)]


def test_a_request_that_knows_the_target_is_refused(log: PredictionLog) -> None:
    with pytest.raises(InvalidInput) as refused:
        curated(log, moment(10), target="wind")

    assert str(refused.value) == (
        "the requests of contract delay have a field 'wind', as the target\n"
        "  hint: name the target otherwise: `model.target` in cd4ml.toml"
    )


def test_no_labelled_prediction_gives_an_empty_table_with_its_columns(log: PredictionLog) -> None:
    found = curated(log, moment(10))

    assert found.rows.is_empty()
    assert dict(found.rows.schema) == {
        "carrier": pl.String,
        "distance": pl.Int64,
        "wind": pl.Float64,
        "event_at": pl.Datetime("us", "UTC"),
        "target": pl.Float64,
    }
