import time
from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from typing import Any

import msgspec
import pytest
import sqlalchemy as sa
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from cd4ml.errors import Corrupted, InvalidInput
from cd4ml.records.ledger_entry import LedgerEntry
from cd4ml.store import ledger
from cd4ml.store.database import Database, open_database
from cd4ml.store.tables import TABLES
from tests.store.processes import at_once
from tests.store.records import NOW
from tests.store.strategies import moment, plain, text

LEDGER = TABLES[LedgerEntry]
HINT = "\n  hint: compare it with a backup; `cd4ml audit verify` checks again"


def append(connection: sa.Connection, subject: str = "release/1", **changes: Any) -> LedgerEntry:
    given = {"at": NOW, "actor": "ann", "action": "release.requested", "reason": "better"}
    return ledger.append(connection, subject=subject, **{**given, **changes})


@pytest.fixture
def written(database: Database) -> list[LedgerEntry]:
    """Five entries."""
    with database.write() as connection:
        return [
            append(connection, f"release/{i}", details={"step": i, "share": i / 10})
            for i in range(1, 6)
        ]


@pytest.fixture
def tamper(database: Database, written: list[LedgerEntry]) -> Callable[..., None]:
    """Runs statements on the ledger once its protection is gone."""

    def run(*statements: sa.Executable) -> None:
        with database.write() as connection:
            if database.dialect == "sqlite":
                for action in ("update", "delete"):
                    connection.execute(sa.text(f"DROP TRIGGER ledger_no_{action}"))
            else:
                connection.execute(sa.text("DROP TRIGGER ledger_append_only ON ledger"))
            for statement in statements:
                connection.execute(statement)

    return run


def broken(database: Database) -> str:
    with database.read() as connection, pytest.raises(Corrupted) as found:
        ledger.verify(connection)
    assert str(found.value).endswith(HINT)
    return found.value.message


def entry(sequence: int) -> Any:
    return LEDGER.c.sequence == sequence


def test_an_entry_says_who_did_what_when_and_why(database: Database) -> None:
    with database.write() as connection:
        first = append(connection, details={"gate": "auc at least 0.58", "passed": True})

        (found,) = ledger.entries(connection)

    assert found == first
    assert (found.sequence, found.at, found.actor) == (1, NOW, "ann")
    assert (found.action, found.subject, found.reason) == (
        "release.requested",
        "release/1",
        "better",
    )
    assert found.details == {"gate": "auc at least 0.58", "passed": True}
    assert found.previous == ledger.GENESIS


def test_each_entry_is_chained_to_the_one_before(
    database: Database, written: list[LedgerEntry]
) -> None:
    assert [entry.sequence for entry in written] == [1, 2, 3, 4, 5]
    assert [entry.previous for entry in written[1:]] == [entry.digest for entry in written[:-1]]
    with database.read() as connection:
        assert ledger.verify(connection) == 5


def test_a_known_entry_has_a_known_digest() -> None:
    """The digest is a promise: ledgers that were written must verify for ever."""
    known = LedgerEntry(
        sequence=1,
        at=datetime(2013, 2, 1, 12, 30, tzinfo=UTC),
        actor="ann",
        action="release.requested",
        subject="release/1",
        reason="better",
        details={"b": [1, 0.5, None], "a": "é"},
        previous=ledger.GENESIS,
        digest="",
    )

    assert ledger.digest_of(known) == (
        "blake3:430d3d87b8d8386e54cd65ba0022748b8e782acf580ca53912fee7860adcd65b"
    )


def test_an_empty_ledger_holds(database: Database) -> None:
    with database.read() as connection:
        assert ledger.verify(connection) == 0
        assert ledger.entries(connection) == []


def test_entries_come_newest_first_and_by_subject(
    database: Database, written: list[LedgerEntry]
) -> None:
    with database.write() as connection:
        again = append(connection, "release/2")

        assert ledger.entries(connection, limit=2) == [again, written[4]]
        assert ledger.entries(connection, "release/2") == [again, written[1]]
        assert ledger.entries(connection, "release/99") == []


@settings(
    max_examples=25, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture]
)
@given(at=moment, words=st.tuples(text, text, text, text), details=st.dictionaries(text, plain))
def test_whatever_was_written_verifies_on_every_database(
    database: Database, at: datetime, words: tuple[str, ...], details: dict[str, Any]
) -> None:
    actor, action, subject, reason = words
    with database.write() as connection:
        written = ledger.append(
            connection,
            at=at,
            actor=actor,
            action=action,
            subject=subject,
            reason=reason,
            details=details,
        )
        assert ledger.verify(connection) == 1
        assert ledger.entries(connection) == [written]
        connection.rollback()


def test_records_and_times_in_details_become_plain_values(database: Database) -> None:
    with database.write() as connection:
        append(connection, details={"until": NOW, "roles": ("a", "b"), "share": {1: 2}})
        (found,) = ledger.entries(connection)

        assert ledger.verify(connection) == 1
    assert found.details == {
        "until": "2013-01-01T00:00:00Z",
        "roles": ["a", "b"],
        "share": {"1": 2},
    }


def test_details_that_cannot_be_stored_are_refused_and_take_no_number(database: Database) -> None:
    with database.write() as connection:
        with pytest.raises(InvalidInput) as refused:
            append(connection, details={"auc": float("nan")})
        append(connection)

        assert ledger.verify(connection) == 1
    assert str(refused.value) == (
        "LedgerEntry 1: expected a finite number, got nan - at `details['auc']`"
    )


@pytest.mark.parametrize("statement", [LEDGER.update().values(reason="worse"), LEDGER.delete()])
def test_the_database_refuses_to_change_an_entry(
    database: Database, written: list[LedgerEntry], statement: sa.Executable
) -> None:
    with (
        pytest.raises(sa.exc.DatabaseError, match="the ledger is append-only"),
        database.write() as connection,
    ):
        connection.execute(statement)

    with database.read() as connection:
        assert ledger.verify(connection) == 5


def test_postgres_refuses_to_empty_the_ledger(postgres_url: str) -> None:
    database = open_database(postgres_url)
    with (
        pytest.raises(sa.exc.DatabaseError, match="the ledger is append-only"),
        database.write() as connection,
    ):
        connection.execute(sa.text("TRUNCATE ledger"))
    database.close()


@pytest.mark.parametrize(
    ("column", "value"),
    [
        ("at", NOW + timedelta(microseconds=1)),
        ("actor", "bob"),
        ("action", "release.approved"),
        ("subject", "release/4"),
        ("reason", ""),
        ("details", {"step": 3, "share": 0.30000000000000004}),
        ("previous", ledger.GENESIS),
        ("digest", ledger.GENESIS),
    ],
)
def test_an_entry_that_was_changed_is_found(
    database: Database, tamper: Callable[..., None], column: str, value: Any
) -> None:
    tamper(LEDGER.update().where(entry(3)).values({column: value}))

    assert broken(database) == (
        "the ledger is broken at entry 3: release.requested release/3 was changed after it was"
        " written"
    ).replace(
        "release.requested release/3",
        {"action": "release.approved release/3", "subject": "release.requested release/4"}.get(
            column, "release.requested release/3"
        ),
    )


def test_an_entry_that_was_changed_with_its_digest_is_found(
    database: Database, tamper: Callable[..., None], written: list[LedgerEntry]
) -> None:
    forged = msgspec.structs.replace(written[2], actor="bob")
    digest = ledger.digest_of(forged)

    tamper(LEDGER.update().where(entry(3)).values(actor="bob", digest=digest))

    assert broken(database) == ("the ledger is broken at entry 4: it does not follow from entry 3")


@pytest.mark.parametrize(
    ("sequence", "message"),
    [
        (1, "at entry 1: it is missing, the next one is 2"),
        (3, "at entry 3: it is missing, the next one is 4"),
        (5, "at entry 5: the last one is 4, and 5 were written"),
    ],
)
def test_an_entry_that_was_removed_is_found(
    database: Database, tamper: Callable[..., None], sequence: int, message: str
) -> None:
    tamper(LEDGER.delete().where(entry(sequence)))

    assert broken(database) == f"the ledger is broken {message}"


def test_nothing_is_appended_after_a_missing_entry(
    database: Database, tamper: Callable[..., None]
) -> None:
    tamper(LEDGER.delete().where(entry(5)))

    with database.write() as connection, pytest.raises(Corrupted) as refused:
        append(connection)

    assert refused.value.message == "the ledger is broken at entry 5: it is missing"


def test_nothing_is_appended_where_the_counter_was_put_back(
    database: Database, written: list[LedgerEntry]
) -> None:
    with database.write() as connection:
        connection.execute(sa.text("UPDATE sequences SET value = 2 WHERE value = 5"))

    with database.write() as connection, pytest.raises(Corrupted) as refused:
        append(connection)

    assert refused.value.message == (
        "the ledger is broken at entry 3: it is there already, though 2 were written"
    )
    assert broken(database) == (
        "the ledger is broken at entry 3: the last one is 5, and 2 were written"
    )


def test_an_emptied_ledger_is_found(database: Database, tamper: Callable[..., None]) -> None:
    tamper(LEDGER.delete())

    assert broken(database) == (
        "the ledger is broken at entry 1: the last one is 0, and 5 were written"
    )


def test_an_entry_that_was_put_in_is_found(
    database: Database, tamper: Callable[..., None], written: list[LedgerEntry]
) -> None:
    forged = msgspec.structs.replace(written[4], sequence=6, previous=written[4].digest)
    forged = msgspec.structs.replace(forged, digest=ledger.digest_of(forged))

    tamper(LEDGER.insert().values(msgspec.structs.asdict(forged)))

    assert broken(database) == (
        "the ledger is broken at entry 6: the last one is 6, and 5 were written"
    )


def test_entries_that_were_swapped_are_found(
    database: Database, tamper: Callable[..., None]
) -> None:
    def move(old: int, new: int) -> sa.Executable:
        return LEDGER.update().where(entry(old)).values(sequence=new)

    tamper(move(2, 99), move(3, 2), move(99, 3))

    assert broken(database) == (
        "the ledger is broken at entry 2: release.requested release/3 was changed after it was"
        " written"
    )


@pytest.mark.parametrize("column", ["at", "details", "sequence"])
def test_an_entry_that_is_not_readable_any_more_is_found(sqlite_url: str, column: str) -> None:
    """SQLite takes any bytes for a column; PostgreSQL refuses them itself."""
    database = open_database(sqlite_url)
    with database.write() as connection:
        for _ in range(700):
            append(connection)
        connection.execute(sa.text("DROP TRIGGER ledger_no_update"))
        connection.execute(sa.text(f"UPDATE ledger SET {column} = 'noise' WHERE sequence = 600"))

    message = broken(database)
    database.close()

    assert message in (
        "the ledger is broken at entry 600: it cannot be read",
        "the ledger is broken at entry 600: it is missing, the next one is 601",
    )


def append_some(url: str, appender: int) -> None:
    database = open_database(url)
    for i in range(25):
        with database.write() as connection:
            append(connection, f"run/{i}", actor=f"person-{appender}")
    database.close()


def test_appenders_at_once_give_one_unbroken_chain(database_url: str) -> None:
    at_once(append_some, [(database_url, appender) for appender in range(4)])

    database = open_database(database_url)
    with database.read() as connection:
        assert ledger.verify(connection) == 100
        assert len(ledger.entries(connection, "run/3")) == 4
    database.close()


@pytest.mark.alone
def test_five_thousand_entries_are_verified_in_seconds_and_not_all_at_once(
    database: Database,
) -> None:
    with database.write() as connection:
        previous, entries = ledger.GENESIS, []
        for sequence in range(1, 5001):
            entry = LedgerEntry(
                sequence=sequence,
                at=NOW + timedelta(minutes=sequence),
                actor="ann",
                action="release.stepped",
                subject=f"release/{sequence}",
                details={"step": sequence, "reason": "enough predictions"},
                previous=previous,
                digest="",
            )
            entry = msgspec.structs.replace(entry, digest=ledger.digest_of(entry))
            entries.append(msgspec.structs.asdict(entry))
            previous = entry.digest
        connection.execute(LEDGER.insert(), entries)
        connection.execute(sa.text("INSERT INTO sequences (name, value) VALUES ('ledger', 5000)"))

    began = time.process_time()
    with database.read() as connection:
        assert ledger.verify(connection) == 5000

    assert time.process_time() - began < 2
