from datetime import UTC, datetime, timedelta
from typing import Any

import pytest

from cd4ml.data.freshness import freshness_of
from cd4ml.records.dataset import Column, Dataset, DatasetVersion

NOW = datetime(2013, 1, 10, tzinfo=UTC)


def version(hours_ago: float, latest: str = "") -> DatasetVersion:
    return DatasetVersion(
        dataset="rides",
        number=1,
        content="",
        n_files=0,
        digest="blake3:0",
        columns=(Column(name="at", type="Datetime(us, UTC)", latest=latest),),
        n_rows=1,
        n_bytes=1,
        source="x",
        created_at=NOW - timedelta(hours=hours_ago),
        created_by="ann",
    )


def dataset(within: float | None) -> Dataset:
    return Dataset(name="rides", fresh_within_hours=within, created_at=NOW, created_by="ann")


@pytest.mark.parametrize(
    ("within", "newest", "event_time", "state", "age"),
    [
        (24.0, version(24), "", "fresh", 24.0),
        (24.0, version(24.01), "", "stale", 24.01),
        (None, version(1000), "", "", 1000.0),
        (24.0, None, "", "stale", None),
        (None, None, "", "", None),
        (24.0, version(1, "2013-01-01T00:00:00+00:00"), "at", "stale", 216.0),
        (24.0, version(1, "2013-01-01T00:00:00+00:00"), "other", "fresh", 1.0),
        (24.0, version(1, ""), "at", "fresh", 1.0),
        (24.0, version(1, "2014-01-01T00:00:00+00:00"), "at", "fresh", 0.0),  # is to come
    ],
)
def test_what_happened_last_decides_else_when_it_was_brought(
    within: float | None, newest: Any, event_time: str, state: str, age: float | None
) -> None:
    found = freshness_of(dataset(within), newest, event_time=event_time, now=NOW)

    assert found.state == state
    assert found.age_hours == (None if age is None else pytest.approx(age))
