"""Records to rows and back: the five things one does with a table."""

from __future__ import annotations

from datetime import datetime
from typing import Any, TypeVar

import msgspec
import sqlalchemy as sa
from sqlalchemy.dialects import postgresql, sqlite

from cd4ml.errors import AlreadyExists, NotFound
from cd4ml.store.tables import JSON, TABLES, sequences

R = TypeVar("R", bound=msgspec.Struct)

_HINTED = 10  # names listed when one is not found


def insert(connection: sa.Connection, record: msgspec.Struct) -> None:
    """Add a record as a new row.

    Raises:
        AlreadyExists: If a row with this primary key, or a unique value, exists.
    """
    table = TABLES[type(record)]
    statement = _insert(connection, table).values(_values(record)).on_conflict_do_nothing()
    if connection.execute(statement).rowcount == 0:
        msg = f"{table.name} already has {_key_text(record, table)}"
        raise AlreadyExists(msg)


def replace(connection: sa.Connection, record: msgspec.Struct) -> None:
    """Write a record over the row with its primary key.

    Raises:
        NotFound: If there is no such row.
    """
    table = TABLES[type(record)]
    values = _values(record)
    keys = [column.name for column in table.primary_key]
    statement = table.update().where(*(table.c[key] == values[key] for key in keys))
    if connection.execute(statement.values(values)).rowcount == 0:
        msg = f"{table.name} has no {_key_text(record, table)}"
        raise NotFound(msg)


def put(connection: sa.Connection, record: msgspec.Struct) -> None:
    """Write a record whether or not a row with its primary key exists."""
    table = TABLES[type(record)]
    values = _values(record)
    statement = _insert(connection, table).values(values)
    connection.execute(
        statement.on_conflict_do_update(index_elements=list(table.primary_key), set_=values)
    )


def get(connection: sa.Connection, kind: type[R], *key: object, lock: bool = False) -> R:
    """The record with this primary key.

    Args:
        connection: Of a read or write transaction.
        kind: The record's class.
        key: The primary key, in the order of the table's key columns.
        lock: Keep others from changing the row until this transaction ends.

    Raises:
        NotFound: If there is none; the hint lists the keys there are.
    """
    table = TABLES[kind]
    columns = list(table.primary_key)
    statement = table.select().where(
        *(column == value for column, value in zip(columns, key, strict=True))
    )
    row = connection.execute(statement.with_for_update() if lock else statement).first()
    if row is None:
        name = "/".join(str(value) for value in key)
        msg = f"no {kind.__name__} {name!r}"
        raise NotFound(msg, hint=_known(connection, table))
    return _record(kind, row)


def find(
    connection: sa.Connection,
    kind: type[R],
    *,
    limit: int | None = None,
    newest_first: bool = False,
    **equal: object,
) -> list[R]:
    """The records whose columns equal the given values, in the order of their primary key."""
    table = TABLES[kind]
    order = [column.desc() if newest_first else column.asc() for column in table.primary_key]
    statement = table.select().where(*_conditions(table, equal)).order_by(*order).limit(limit)
    return [_record(kind, row) for row in connection.execute(statement)]


def count(connection: sa.Connection, kind: type[msgspec.Struct], **equal: object) -> int:
    """How many records have these column values."""
    table = TABLES[kind]
    statement = sa.select(sa.func.count()).select_from(table).where(*_conditions(table, equal))
    return connection.execute(statement).scalar_one()


def next_number(connection: sa.Connection, kind: type[msgspec.Struct], scope: str = "") -> int:
    """The next number for a kind of record, from 1, without gaps.

    Two writers are serialised by the counter's row until the first one commits; a
    transaction that rolls back gives its number back. `scope` counts apart, for
    instance for the versions of each model.
    """
    name = f"{TABLES[kind].name}:{scope}" if scope else TABLES[kind].name
    statement = _insert(connection, sequences).values(name=name, value=1)
    upsert = statement.on_conflict_do_update(
        index_elements=[sequences.c.name], set_={"value": sequences.c.value + 1}
    ).returning(sequences.c.value)
    number: int = connection.execute(upsert).scalar_one()
    return number


def _insert(connection: sa.Connection, table: sa.Table) -> sqlite.Insert | postgresql.Insert:
    if connection.dialect.name == "postgresql":
        return postgresql.insert(table)
    return sqlite.insert(table)


def _values(record: msgspec.Struct) -> dict[str, Any]:
    table = TABLES[type(record)]
    values = msgspec.structs.asdict(record)
    for name, value in values.items():
        if table.c[name].type is JSON:
            values[name] = msgspec.to_builtins(value)
    return values


def _record(kind: type[R], row: sa.Row[Any]) -> R:
    values = dict(zip(kind.__struct_fields__, row, strict=True))
    return msgspec.convert(values, kind, builtin_types=(datetime,))


def _conditions(table: sa.Table, equal: dict[str, object]) -> list[sa.ColumnElement[bool]]:
    return [table.c[name] == value for name, value in equal.items()]


def _key_text(record: msgspec.Struct, table: sa.Table) -> str:
    return "/".join(str(getattr(record, column.name)) for column in table.primary_key)


def _known(connection: sa.Connection, table: sa.Table) -> str:
    columns = list(table.primary_key)
    order = [column.desc() for column in columns]
    rows = connection.execute(sa.select(*columns).order_by(*order).limit(_HINTED)).all()
    names = sorted("/".join(str(value) for value in row) for row in rows)
    return f"known: {', '.join(names)}" if names else "there are none yet"
