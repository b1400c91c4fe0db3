"""How people name a version: by number, tag or date."""

from datetime import datetime, timedelta
from typing import TYPE_CHECKING

import polars as pl
import pytest

from cd4ml.data.catalog import register
from cd4ml.data.refs import find_version, remove_tag, set_tag
from cd4ml.data.snapshot import snapshot_frame
from cd4ml.data.versions import publish
from cd4ml.errors import Cd4mlError, InvalidInput, NotFound
from cd4ml.records.dataset import RemovedVersion, Tag
from cd4ml.store import ledger, rows

if TYPE_CHECKING:
    from cd4ml.store.database import Database
    from cd4ml.store.file_store import FileStore


@pytest.fixture
def three(database: "Database", file_store: "FileStore", now: datetime) -> "Database":
    """fares@1 at noon of 1 January 2013, fares@2 a day and fares@3 two days later."""
    noon = now + timedelta(hours=12)
    for day in range(3):
        snapshot = snapshot_frame(file_store, pl.DataFrame({"x": [day]}), source="x")
        at = noon + timedelta(days=day)
        with database.write() as connection:
            register(connection, name="fares", at=at, actor="ada")
            publish(connection, snapshot, dataset="fares", at=at, actor="ada")
    return database


@pytest.mark.parametrize(
    ("ref", "number"),
    [
        ("fares", 3), ("fares@1", 1), ("fares@v2", 2), ("fares@2013-01-02", 1),
        ("fares@2013-01-03", 2), ("fares@2013-01-02T11:59", 1), ("fares@2013-01-02T12:00", 2),
        ("fares@2013-01-02T13:00+02:00", 1), ("fares@2013-01-02T14:00+02:00", 2),
        ("fares@9999-12-31", 3),
    ],
)  # fmt: skip
def test_a_version_is_named_by_number_or_date(three: "Database", ref: str, number: int) -> None:
    with three.read() as connection:
        assert find_version(connection, ref).number == number


@pytest.mark.parametrize(
    ("ref", "message"),
    [
        ("fares@4", "no dataset version 'fares@4'"),
        ("fares@999999999999999999", "no dataset version 'fares@999999999999999999'"),
        ("fares@good", "no version of 'fares' has the tag 'good'"),
        ("fares@2013-01-01", "the dataset 'fares' had no version on 2013-01-01T00:00:00+00:00"),
        ("fares@", "expected NAME@NUMBER, NAME@TAG or NAME@DATE, got 'fares@'"),
        ("fares@1.5", "expected NAME@NUMBER, NAME@TAG or NAME@DATE, got 'fares@1.5'"),
        (
            "fares@0001-01-01T00:00+14:00",
            "expected NAME@NUMBER, NAME@TAG or NAME@DATE, got 'fares@0001-01-01T00:00+14:00'",
        ),
    ],
)
def test_what_names_none_is_said(three: "Database", ref: str, message: str) -> None:
    with three.read() as connection, pytest.raises(Cd4mlError) as refused:
        find_version(connection, ref)

    assert refused.value.message == message
    assert refused.value.hint


@pytest.mark.parametrize("ref", ["rides", "rides@1", "rides@good", "rides@2013-01-01"])
def test_an_unknown_dataset_has_no_versions(three: "Database", ref: str) -> None:
    with three.read() as connection, pytest.raises(NotFound):
        find_version(connection, ref)


def test_a_tag_moves_and_every_move_is_in_the_ledger(three: "Database", now: datetime) -> None:
    with three.write() as connection:
        for number in (1, 1, 2):
            version = find_version(connection, f"fares@{number}")
            tag = set_tag(connection, version, "good", at=now, actor="ada")

    with three.read() as connection:
        assert find_version(connection, "fares@good").number == 2
        assert rows.find(connection, Tag) == [tag]
        (first,) = ledger.entries(connection, "fares@1")[-1:]
        last = [e for e in ledger.entries(connection, "fares@2") if e.action == "dataset.tagged"]
    assert [e.details for e in last] == [{"tag": "good", "before": 1}]
    assert first.actor == "ada"


def test_a_tag_can_be_taken_away(three: "Database", now: datetime) -> None:
    with three.write() as connection:
        set_tag(connection, find_version(connection, "fares@1"), "good", at=now, actor="ada")
        remove_tag(connection, "fares", "good", at=now, actor="bo")

    with three.read() as connection:
        assert rows.find(connection, Tag) == []
        actions = [entry.action for entry in ledger.entries(connection, "fares@1")]
    assert {"dataset.tagged", "dataset.untagged"} <= set(actions)
    with three.write() as connection, pytest.raises(NotFound):
        remove_tag(connection, "fares", "good", at=now, actor="bo")


@pytest.mark.parametrize("tag", ["3", "v3", "2013-01-01", "", "a b", "a@b", "-x", "a" * 101, "é"])
def test_a_tag_that_could_be_something_else_is_refused(
    three: "Database", now: datetime, tag: str
) -> None:
    with three.write() as connection, pytest.raises(InvalidInput) as refused:
        set_tag(connection, find_version(connection, "fares"), tag, at=now, actor="ada")

    assert str(refused.value) == (
        f"expected a tag of letters, digits, '.', '_' and '-' that is no number, got {tag!r}\n"
        "  hint: it begins with a letter: quarter-1, good"
    )


def test_a_removed_version_is_named_with_who_removed_it(three: "Database", now: datetime) -> None:
    with three.write() as connection:
        removed = RemovedVersion(dataset="fares", number=1, removed_at=now, removed_by="bo")
        rows.insert(connection, removed)

    with three.read() as connection:
        for ref in ("fares@1", "fares@2013-01-02"):
            with pytest.raises(NotFound) as refused:
                find_version(connection, ref)
            assert str(refused.value) == (
                "fares@1 was removed on 2013-01-01 by bo\n"
                "  hint: cd4ml data log fares lists the versions that are kept"
            )
