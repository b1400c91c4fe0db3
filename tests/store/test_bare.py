"""Rows written without SQLAlchemy are those that are written with it."""

import json
import sqlite3
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from cd4ml.records.ledger_entry import LedgerEntry
from cd4ml.records.run import Run
from cd4ml.store import bare, ledger, rows
from cd4ml.store.address import canonical
from cd4ml.store.database import Database, open_database

AT = datetime(2013, 2, 1, 9, 5, tzinfo=UTC)
STORED_AT = "2013-02-01T09:05:00.000000Z"
WORDS: dict[str, Any] = {
    "actor": "ann",
    "action": "run.finished",
    "subject": "run/1",
    "reason": "",
    "details": {"code": "\u00e9\u2028", "outputs": {"b": "2", "a": "1"}},
}

texts = st.text(st.characters(exclude_categories=["Cs"]))


@pytest.fixture
def place(tmp_path: Path) -> Path:
    return tmp_path / "a # place" / "cd4ml.db"


@pytest.fixture
def database(place: Path) -> Database:
    return open_database(f"sqlite:///{place}")


@given(st.dictionaries(texts, texts | st.dictionaries(texts, texts) | st.integers(0, 2**53)))
def test_its_canonical_text_is_that_of_every_record(thing: dict[str, Any]) -> None:
    assert bare._canonical(thing) == canonical(thing)


def test_entries_of_both_kinds_make_one_chain(database: Database, place: Path) -> None:
    with bare.writing(str(place)) as connection:
        bare.append(connection, {"at": STORED_AT, **WORDS})
    with database.write() as other:
        ledger.append(other, at=AT, **WORDS)
    with bare.writing(str(place)) as connection:
        bare.append(connection, {"at": STORED_AT, **WORDS})

    with database.read() as other:
        assert ledger.verify(other) == 3
        first, second, third = rows.find(other, LedgerEntry)
    assert (first.at, first.details) == (second.at, second.details) == (third.at, third.details)


def test_numbers_are_counted_together(database: Database, place: Path) -> None:
    with database.write() as other:
        rows.next_number(other, Run)
    with bare.writing(str(place)) as connection:
        assert bare.next_number(connection, "runs") == 2
    with database.write() as other:
        assert rows.next_number(other, Run) == 3


def test_what_fails_leaves_nothing(database: Database, place: Path) -> None:
    half = {"at": STORED_AT, **WORDS, "details": {"a": object()}}
    with pytest.raises(TypeError), bare.writing(str(place)) as connection:
        bare.append(connection, half)

    with database.read() as other:
        assert rows.count(other, LedgerEntry) == 0


def test_a_ledger_that_lost_its_last_entry_is_not_continued(
    database: Database, place: Path
) -> None:
    with database.write() as other:
        rows.next_number(other, LedgerEntry)

    missing = pytest.raises(sqlite3.DatabaseError, match="the ledger has no entry 1")
    with missing, bare.writing(str(place)) as connection:
        bare.append(connection, {"at": STORED_AT, **WORDS})


def test_a_database_that_is_not_there_is_not_made(tmp_path: Path) -> None:
    with pytest.raises(sqlite3.OperationalError), bare.writing(str(tmp_path / "none.db")):
        pass

    assert list(tmp_path.iterdir()) == []


def test_an_answer_is_another_where_a_row_is(database: Database, place: Path) -> None:
    asked = ("SELECT * FROM sequences WHERE name = ?", ("runs",))
    with bare.writing(str(place)) as connection:
        before = bare.answer_of(connection, *asked)
        same = bare.answer_of(connection, *asked)
        bare.next_number(connection, "runs")
        after = bare.answer_of(connection, *asked)

    assert before == same != after


def test_with_postgres_entries_of_both_kinds_make_one_chain_too(postgres_url: str) -> None:
    database = open_database(postgres_url)
    for _ in range(2):
        with bare.writing(postgres_url) as connection:
            bare.append(connection, {"at": STORED_AT, **WORDS})
        with database.write() as other:
            ledger.append(other, at=AT, **WORDS)

    with database.read() as other:
        assert ledger.verify(other) == 4
        first, second, *_ = rows.find(other, LedgerEntry)
    assert (first.at, first.details) == (second.at, second.details)
    database.close()


def test_with_postgres_rows_go_back_as_they_came(postgres_url: str) -> None:
    database = open_database(postgres_url)
    with bare.writing(postgres_url) as connection:
        bare.append(connection, {"at": STORED_AT, **WORDS})
        (row,) = bare.rows_of(connection, "ledger", "sequence", 1)
        bare.insert(connection, "ledger", {**row, "sequence": 2})
        (copy,) = bare.rows_of(connection, "ledger", "sequence", 2)

    assert copy == {**row, "sequence": 2}
    assert json.loads(row["details"]) == WORDS["details"]
    with database.read() as other:
        assert rows.find(other, LedgerEntry)[1].at == AT
    database.close()


def test_with_postgres_what_fails_leaves_nothing(postgres_url: str) -> None:
    half = {"at": STORED_AT, **WORDS, "details": {"a": object()}}

    with pytest.raises(TypeError), bare.writing(postgres_url) as connection:
        bare.append(connection, half)
    with pytest.raises(bare.Failed, match="read-only"), bare.reading(postgres_url) as connection:
        bare.next_number(connection, "runs")
    with (
        pytest.raises(bare.Failed, match="connection failed"),
        bare.writing("postgresql://nobody@127.0.0.1:1/none"),
    ):
        pass

    with bare.reading(postgres_url) as connection:
        assert bare.rows_of(connection, "sequences", "name", "ledger") == []
