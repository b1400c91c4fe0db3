"""The record of what was done is whole, and says so."""

import sqlite3

import pytest
import sqlalchemy as sa

from cd4ml.errors import Corrupted, NotFound
from cd4ml.loop import Project
from cd4ml.loop.audit import ledger, listed_entries, verify
from cd4ml.store.ledger import GENESIS


def test_a_ledger_that_holds_says_how_long_it_is(released: Project) -> None:
    report = verify(released)

    newest, *_ = ledger(released)
    assert (report.entries, report.head) == (17, newest.digest)
    assert newest.sequence == 17


def test_entries_come_newest_first_and_of_one_subject_if_asked(released: Project) -> None:
    assert [entry.sequence for entry in ledger(released, limit=3)] == [17, 16, 15]
    of_release = ledger(released, subject="release/2")
    assert [entry.action for entry in of_release] == [
        "release.released",
        "release.begun",
        "approval.given",
        "release.requested",
    ]
    assert ledger(released, subject="release/9") == []


def test_what_no_entry_is_about_is_said(released: Project) -> None:
    with pytest.raises(NotFound) as refused:
        listed_entries(released, subject="nope/9")

    assert str(refused.value) == (
        "no entry of the ledger is about 'nope/9'\n"
        "  hint: a subject is a name such as release/2, delay/1 or flights@1"
    )


@pytest.mark.parametrize(
    "statement",
    [
        "UPDATE ledger SET reason = 'fine' WHERE sequence = 8",
        "DELETE FROM ledger WHERE sequence = 8",
    ],
)
def test_whoever_changes_an_entry_is_found_out(released: Project, statement: str) -> None:
    with released.database.write() as connection:
        for (name,) in connection.execute(
            sa.text("SELECT name FROM sqlite_master WHERE type = 'trigger'")
        ).all():
            connection.execute(sa.text(f"DROP TRIGGER {name}"))
        table = connection.execute(
            sa.text("SELECT name FROM sqlite_master WHERE type = 'table' AND name LIKE 'ledger%'")
        ).scalar_one()
        connection.execute(sa.text(statement.replace("ledger", table)))

    with pytest.raises(Corrupted, match="entry 8"):
        verify(released)


def test_an_empty_ledger_holds(project: Project) -> None:
    assert GENESIS.startswith("blake3:")
    assert verify(project).entries == 3


def test_an_entry_is_not_replaced_either(released: Project) -> None:
    """SQLite's REPLACE deletes the row that is in the way, and fires no trigger of DELETE."""
    columns = "rowid, sequence, at, actor, action, subject, reason, details, previous, digest"
    with sqlite3.connect(released.folder / ".cd4ml" / "cd4ml.db") as file:
        for sequence, rowid in (("8", "rowid + 100"), ("800", "rowid")):
            values = f"{rowid}, {sequence}, at, 'mallory', action, subject, reason, details"
            with pytest.raises(sqlite3.IntegrityError, match=r"^the ledger is append-only$"):
                file.execute(
                    f"INSERT OR REPLACE INTO ledger ({columns}) SELECT {values}, previous, digest"
                    " FROM ledger WHERE sequence = 8"
                )
    file.close()

    assert verify(released).entries == 17
