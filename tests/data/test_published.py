"""The version that there was at a moment."""

from datetime import UTC, datetime, timedelta

import polars as pl
import pytest

from cd4ml.data.catalog import register
from cd4ml.data.refs import version_at
from cd4ml.data.snapshot import snapshot_frame
from cd4ml.data.versions import publish
from cd4ml.errors import InvalidInput, NotFound
from cd4ml.store.database import Database
from cd4ml.store.file_store import FileStore


def day(number: int) -> datetime:
    """Midnight in March."""
    return datetime(2013, 3, number, tzinfo=UTC)


def published(database: Database, file_store: FileStore, *days: int) -> None:
    """A version of the dataset `rides` on each of these days."""
    for number in days:
        snapshot = snapshot_frame(file_store, pl.DataFrame({"ride": [number]}), source="a test")
        with database.write() as connection:
            register(connection, name="rides", at=day(1), actor="ann")
            publish(connection, snapshot, dataset="rides", at=day(number), actor="ann")


def test_the_newest_version_by_a_moment_is_found(database: Database, file_store: FileStore) -> None:
    published(database, file_store, 3, 5, 9)

    with database.read() as connection:
        found = [version_at(connection, "rides", day(number)).ref for number in (3, 4, 5, 8, 20)]

    assert found == ["rides@1", "rides@1", "rides@2", "rides@2", "rides@3"]


def test_before_its_first_version_a_dataset_had_none(
    database: Database, file_store: FileStore
) -> None:
    published(database, file_store, 3)

    with database.read() as connection, pytest.raises(NotFound) as refused:
        version_at(connection, "rides", day(3) - timedelta(microseconds=1))

    assert str(refused.value) == (
        "the dataset 'rides' had no version on 2013-03-02T23:59:59.999999+00:00\n"
        "  hint: rides@1 was published on 2013-03-03T00:00:00+00:00; it is read by its number"
    )


def test_an_unknown_dataset_has_no_past(database: Database) -> None:
    with database.read() as connection, pytest.raises(NotFound) as refused:
        version_at(connection, "rides", day(3))

    assert str(refused.value) == "no dataset 'rides'\n  hint: there are none yet"


def test_a_version_is_found_by_its_number_whatever_the_moment(
    database: Database, file_store: FileStore
) -> None:
    published(database, file_store, 3, 5)

    with database.read() as connection:
        assert version_at(connection, "rides@2", day(3)).ref == "rides@2"


def test_a_moment_without_a_zone_is_refused(database: Database) -> None:
    with database.read() as connection, pytest.raises(InvalidInput, match="with a time zone"):
        version_at(connection, "rides", datetime(2013, 3, 3))  # noqa: DTZ001 - that is the mistake
