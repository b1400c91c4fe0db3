"""The project's database without SQLAlchemy, whose import takes longer than some commands may.

Only what a run needs in which nothing has changed: ask, and add rows, in one transaction
of the same kind as `database.write`. The ledger's entries are the same to the byte.
"""

from __future__ import annotations

import json
import sqlite3
from collections.abc import Iterator, Sequence
from contextlib import closing, contextmanager
from typing import Any

from cd4ml.store.bare_postgres import Failed, PostgresConnection, transaction
from cd4ml.store.digest import PREFIX, address_of

Connection = sqlite3.Connection | PostgresConnection

ERRORS = (sqlite3.Error, Failed)

_PATIENCE_S = 60  # how long a writer waits for the one before

GENESIS = PREFIX + "0" * 64


@contextmanager
def reading(where: str) -> Iterator[Connection]:
    """A connection that only asks.

    Args:
        where: A path of SQLite's file, or a URL of PostgreSQL.

    Raises:
        sqlite3.Error, Failed: If it does not work.
    """
    if "://" in where:
        with transaction(where, writes=False) as connection:
            yield connection
        return
    with closing(sqlite3.connect(where)) as file:
        yield file


@contextmanager
def writing(where: str) -> Iterator[Connection]:
    """A write transaction on a database that is there: committed at the end, else rolled back.

    Args:
        where: A path of SQLite's file, or a URL of PostgreSQL.

    Raises:
        sqlite3.Error, Failed: If it does not work.
    """
    is_url = "://" in where
    with transaction(where, writes=True) if is_url else _writing(where) as connection:
        yield connection


@contextmanager
def _writing(path: str) -> Iterator[sqlite3.Connection]:
    with closing(
        sqlite3.connect(f"file:{_quoted(path)}?mode=rw", uri=True, timeout=_PATIENCE_S)
    ) as it:
        it.isolation_level = None
        it.execute("PRAGMA synchronous=FULL")
        it.execute("PRAGMA foreign_keys=ON")
        it.execute("BEGIN IMMEDIATE")
        try:
            yield it
        except BaseException:
            it.rollback()
            raise
        it.commit()


def answer_of(connection: Connection, statement: str, values: Sequence[Any]) -> str:
    """The digest of all that the database answers."""
    found = connection.execute(statement, tuple(values)).fetchall()
    return address_of(json.dumps(found, default=repr).encode())


def rows_of(connection: Connection, table: str, column: str, value: Any) -> list[dict[str, Any]]:
    """The rows of a table with a value in a column, as they are stored."""
    cursor = connection.execute(f'SELECT * FROM "{table}" WHERE "{column}" = ?', (value,))
    names = [description[0] for description in cursor.description]
    return [dict(zip(names, row, strict=True)) for row in cursor]


def insert(connection: Connection, table: str, row: dict[str, Any]) -> None:
    """Add a row; its values are as they are stored."""
    names = ", ".join(f'"{name}"' for name in row)
    marks = ", ".join("?" for _ in row)
    connection.execute(f'INSERT INTO "{table}" ({names}) VALUES ({marks})', tuple(row.values()))


def next_number(connection: Connection, table: str) -> int:
    """The next number for rows of a table, from 1, without gaps."""
    number: int = connection.execute(
        "INSERT INTO sequences (name, value) VALUES (?, 1)"
        " ON CONFLICT (name) DO UPDATE SET value = sequences.value + 1 RETURNING value",
        (table,),
    ).fetchone()[0]
    return number


def append(connection: Connection, words: dict[str, Any]) -> None:
    """Write down a state change in the ledger, as `ledger.append` does.

    Args:
        connection: Of the write transaction that makes the change.
        words: `at` (as it is stored, UTC), `actor`, `action`, `subject`, `reason` and `details`.

    Raises:
        sqlite3.Error, Failed: If it does not work, or the entry before is missing.
    """
    sequence = next_number(connection, "ledger")
    found = connection.execute(
        "SELECT digest FROM ledger WHERE sequence = ?", (sequence - 1,)
    ).fetchone()
    if found is None and sequence > 1:
        msg = f"the ledger has no entry {sequence - 1}"
        raise sqlite3.DatabaseError(msg)
    entry = {"sequence": sequence, **words, "previous": found[0] if found else GENESIS}
    digest = address_of(_canonical({**entry, "at": words["at"].removesuffix("Z") + "+00:00"}))
    insert(
        connection, "ledger", {**entry, "details": json.dumps(words["details"]), "digest": digest}
    )


def _canonical(thing: dict[str, Any]) -> bytes:
    """What `address.canonical` gives for text and whole numbers."""
    return json.dumps(thing, sort_keys=True, separators=(",", ":"), ensure_ascii=False).encode()


def _quoted(path: str) -> str:
    return path.replace("%", "%25").replace("?", "%3f").replace("#", "%23")
