"""Records to rows and back: what one does with a table.

A record that is written may hold only what both databases keep (see `storable`);
anything else is an `InvalidInput`, and nothing is written.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Generator, Sequence
from datetime import datetime
from functools import cache, lru_cache
from typing import TYPE_CHECKING, Any, TypeVar

import msgspec
import sqlalchemy as sa

from cd4ml.errors import AlreadyExists, InvalidInput, NotFound
from cd4ml.records.dataset import DatasetVersion
from cd4ml.store.storable import printable, problem
from cd4ml.store.tables import JSON, TABLES, sequences

if TYPE_CHECKING:
    from sqlalchemy.dialects import postgresql, sqlite

R = TypeVar("R", bound=msgspec.Struct)

_CAPITAL = re.compile(r"(?<!^)(?=[A-Z])")
_INFINITE = (float("inf"), float("-inf"))
_HINTED = 10  # names listed when one is not found
_FETCHED = 500  # rows at a time
_REMEMBERED = 200  # selections
_ASKED_BEFORE: dict[tuple[object, ...], tuple[str, Sequence[Any]]] = {}  # key -> SQL, values


def insert(connection: sa.Connection, record: msgspec.Struct) -> None:
    """Add a record as a new row.

    Raises:
        AlreadyExists: If a row with this primary key, or a unique value, exists.
    """
    table = TABLES[type(record)]
    statement = _inserting(table, connection.dialect.name)
    # not the count of rows: psycopg does not report one for an INSERT
    if connection.execute(statement, _values(record)).first() is None:
        raise AlreadyExists(_taken(record, table))


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
        key = [getattr(record, name) for name in keys]
        raise _not_found(connection, type(record), key)


def put(connection: sa.Connection, record: msgspec.Struct) -> None:
    """Write a record whether or not a row with its primary key exists."""
    statement = _putting(TABLES[type(record)], connection.dialect.name)
    connection.execute(statement, _values(record))


def put_all(connection: sa.Connection, records: Sequence[msgspec.Struct]) -> None:
    """Write many records of one kind, each over the row with its primary key if there is one.

    Unlike elsewhere, a number may be infinite where it has a column of its own.
    """
    if not records:
        return
    table = TABLES[type(records[0])]
    statement = inserting(connection, table)
    keys = list(table.primary_key)
    changed = {c.name: statement.excluded[c.name] for c in table.columns if not c.primary_key}
    upsert = statement.on_conflict_do_update(index_elements=keys, set_=changed)
    connection.execute(upsert, [_values(record, takes_infinity=True) for record in records])


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
    matches = [column == part for column, part in zip(table.primary_key, key, strict=True)]
    statement = table.select().where(*matches)
    if any(problem(part) for part in key):  # no database can be asked for it, so none has it
        raise _not_found(connection, kind, key)
    row = connection.execute(statement.with_for_update() if lock else statement).first()
    if row is None:
        raise _not_found(connection, kind, key)
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
    _refuse_unaskable(table, equal)
    columns = tuple((name, value is None) for name, value in equal.items())
    values = {name: value for name, value in equal.items() if value is not None}
    statement = _finding(table, columns, limit, newest_first)
    return [_record(kind, row) for row in connection.execute(statement, values)]


def fetch(
    connection: sa.Connection,
    kind: type[R],
    statement: sa.Select[Any],
    values: dict[str, Any] | None = None,
) -> list[R]:
    """The records that a selection of all columns of their table gives, in its order."""
    if connection.dialect.name == "postgresql":
        return [_record(kind, row) for row in connection.execute(statement, values or {}).all()]
    return _as_they_come(kind, plain(connection, statement, values))


def fetch_again(
    connection: sa.Connection,
    kind: type[R],
    key: tuple[object, ...] | None,
    selection: Callable[[], sa.Select[Any]],
) -> list[R]:
    """What `fetch` gives, of a selection that may have been asked for before.

    Making a selection, and finding out that it was made before, takes SQLAlchemy longer than
    SQLite takes for a small answer.

    Args:
        connection: Of a read or write transaction.
        kind: The record's class.
        key: What the selection depends on, all of it; None where that is not known.
        selection: Makes it.
    """
    if key is None or connection.dialect.name == "postgresql":
        return fetch(connection, kind, selection())
    asked = _ASKED_BEFORE.get(key)
    if asked is not None:
        return _as_they_come(kind, in_sqlite(connection, *asked))
    result = connection.execute(selection())
    context: Any = result.context
    found = list(context.cursor.fetchall())
    result.close()
    if len(_ASKED_BEFORE) >= _REMEMBERED:
        _ASKED_BEFORE.pop(next(iter(_ASKED_BEFORE)), None)
    _ASKED_BEFORE[key] = (context.statement, context.parameters[0])
    return _as_they_come(kind, found)


def plain(
    connection: sa.Connection, statement: sa.Select[Any], values: dict[str, Any] | None = None
) -> list[tuple[Any, ...]]:
    """The rows of a selection as the driver gives them.

    What SQLAlchemy does with them takes as long as all the rest. Use it for many rows, and only
    for what every driver gives alike: numbers and texts.
    """
    result = connection.execute(statement, values or {})
    cursor: Any = result.cursor
    found: list[tuple[Any, ...]] = cursor.fetchall()
    result.close()
    return found


def in_sqlite(
    connection: sa.Connection, statement: str, values: Sequence[Any]
) -> list[tuple[Any, ...]]:
    """The rows of a statement in SQLite's own words, past SQLAlchemy: for what is asked most."""
    cursor = connection.connection.cursor()
    cursor.execute(statement, tuple(values))
    return list(cursor.fetchall())


def _as_they_come(kind: type[R], found: list[tuple[Any, ...]]) -> list[R]:
    """Records from SQLite's own values: JSON and times are texts there, and booleans numbers."""
    names, decoded, flags = _as_sqlite_keeps(kind)
    decode, convert = msgspec.json.decode, msgspec.convert
    records = []
    for row in found:
        values = dict(zip(names, row, strict=True))
        for name in decoded:
            if (text := values[name]) is not None:
                values[name] = {} if text == "{}" else decode(text)
        for name in flags:
            values[name] = bool(values[name])
        records.append(convert(values, kind, builtin_types=(bytes,)))
    return records


@cache
def _as_sqlite_keeps(kind: type[msgspec.Struct]) -> tuple[Sequence[str], list[str], list[str]]:
    """The fields of a record, those that are JSON, and those that are numbers for a boolean."""
    names, columns = kind.__struct_fields__, TABLES[kind].c
    decoded = [name for name in names if columns[name].type is JSON]
    flags = [name for name in names if isinstance(columns[name].type, sa.Boolean)]
    return names, decoded, flags


def fetch_with(
    connection: sa.Connection, kind: type[R], statement: sa.Select[Any]
) -> list[tuple[R, tuple[Any, ...]]]:
    """The same, each record with what the selection gives beside its columns."""
    width = len(kind.__struct_fields__)
    return [
        (_record(kind, row[:width]), tuple(row[width:]))
        for row in connection.execute(statement).all()
    ]


def each(connection: sa.Connection, kind: type[R], **equal: object) -> Generator[R, None, None]:
    """What `find` finds, a few hundred at a time: for more than belongs in memory.

    Close it if it is not read to its end: PostgreSQL keeps the rest ready.
    """
    table = TABLES[kind]
    statement = table.select().where(*_conditions(table, equal)).order_by(*_order(table, False))
    with connection.execute(statement, execution_options={"yield_per": _FETCHED}) as fetched:
        for row in fetched:
            yield _record(kind, row)


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
    name = _counter(kind, scope)
    statement = inserting(connection, sequences).values(name=name, value=1)
    upsert = statement.on_conflict_do_update(
        index_elements=[sequences.c.name], set_={"value": sequences.c.value + 1}
    ).returning(sequences.c.value)
    number: int = connection.execute(upsert).scalar_one()
    return number


def last_number(connection: sa.Connection, kind: type[msgspec.Struct], scope: str = "") -> int:
    """The number that `next_number` gave last, 0 if it never was asked."""
    statement = sa.select(sequences.c.value).where(sequences.c.name == _counter(kind, scope))
    return connection.execute(statement).scalar() or 0


def _counter(kind: type[msgspec.Struct], scope: str) -> str:
    return f"{TABLES[kind].name}:{scope}" if scope else TABLES[kind].name


# statements are made once: making one takes ten times as long as running it


@cache
def _inserting(table: sa.Table, dialect: str) -> sa.Executable:
    return _insert_into(table, dialect).on_conflict_do_nothing().returning(*table.primary_key)


@cache
def _putting(table: sa.Table, dialect: str) -> sa.Executable:
    statement = _insert_into(table, dialect)
    return statement.on_conflict_do_update(
        index_elements=list(table.primary_key), set_=dict(statement.excluded)
    )


@lru_cache(maxsize=500)
def _finding(
    table: sa.Table,
    columns: tuple[tuple[str, bool], ...],  # name, whether it is to be NULL
    limit: int | None,
    newest_first: bool,
) -> sa.Select[Any]:
    conditions = [
        table.c[name].is_(None) if is_null else table.c[name] == sa.bindparam(name)
        for name, is_null in columns
    ]
    return table.select().where(*conditions).order_by(*_order(table, newest_first)).limit(limit)


def inserting(connection: sa.Connection, table: sa.Table) -> sqlite.Insert | postgresql.Insert:
    """An INSERT that can say what happens where a row is there already."""
    return _insert_into(table, connection.dialect.name)


def _insert_into(table: sa.Table, dialect: str) -> sqlite.Insert | postgresql.Insert:
    if dialect == "postgresql":
        from sqlalchemy.dialects import postgresql

        return postgresql.insert(table)
    from sqlalchemy.dialects import sqlite

    return sqlite.insert(table)


def _values(record: msgspec.Struct, *, takes_infinity: bool = False) -> dict[str, Any]:
    kind = type(record)
    table = TABLES[kind]
    values = msgspec.structs.asdict(record)
    for name, value in values.items():
        if table.c[name].type is JSON:
            values[name] = msgspec.to_builtins(value, str_keys=True)
        found = problem(values[name], name)
        if found and not (takes_infinity and value in _INFINITE):
            raise InvalidInput(f"{kind.__name__} {_key_text(record, table)}: {found}")
    return values


def _record(kind: type[R], row: Sequence[Any]) -> R:
    values = dict(zip(kind.__struct_fields__, row, strict=True))
    return msgspec.convert(values, kind, builtin_types=(bytes, datetime))


def _order(table: sa.Table, newest_first: bool) -> list[sa.ColumnElement[Any]]:
    return [column.desc() if newest_first else column.asc() for column in table.primary_key]


def _conditions(table: sa.Table, equal: dict[str, object]) -> list[sa.ColumnElement[bool]]:
    _refuse_unaskable(table, equal)
    return [table.c[name] == value for name, value in equal.items()]


def _refuse_unaskable(table: sa.Table, equal: dict[str, object]) -> None:
    for name, value in equal.items():
        if found := problem(value, name):
            raise InvalidInput(f"{table.name} cannot be asked for this: {found}")


def _taken(record: msgspec.Struct, table: sa.Table) -> str:
    thing = f"{type(record).__name__} {_key_text(record, table)}"
    for constraint in table.constraints:
        if isinstance(constraint, sa.UniqueConstraint):
            values = [str(getattr(record, column.name)) for column in constraint.columns]
            return f"{thing}, or another one of {'/'.join(values)!r}, exists already"
    return f"{thing} exists already"


def _key_text(record: msgspec.Struct, table: sa.Table) -> str:
    return printable("/".join(str(getattr(record, column.name)) for column in table.primary_key))


def _not_found(
    connection: sa.Connection, kind: type[msgspec.Struct], key: Sequence[object]
) -> NotFound:
    name = _between(kind).join(str(part) for part in key)
    what = _CAPITAL.sub(" ", kind.__name__).lower()
    hint = _known(connection, TABLES[kind], key, between=_between(kind))
    return NotFound(f"no {what} {name!r}", hint=hint)


def _between(kind: type[msgspec.Struct]) -> str:
    return "@" if kind is DatasetVersion else "/"  # as people type them


def _known(
    connection: sa.Connection, table: sa.Table, key: Sequence[object], *, between: str
) -> str:
    """The keys there are: those that begin alike if there are any, of numbers the newest."""
    columns = list(table.primary_key)
    is_numbered = isinstance(columns[-1].type, sa.BigInteger)
    order = [column.desc() if is_numbered else column.asc() for column in columns]
    every = sa.select(*columns).order_by(*order).limit(_HINTED + 1)
    alike = every.where(columns[0] == key[0] if len(columns) > 1 else sa.false())
    rows: Sequence[sa.Row[Any]] = () if problem(key[0]) else connection.execute(alike).all()
    rows = rows or connection.execute(every).all()
    names = [between.join(str(value) for value in row) for row in rows[:_HINTED]]
    if not names:
        return "there are none yet"
    shown = ", ".join(reversed(names) if is_numbered else names)
    if len(rows) <= _HINTED:
        return f"known: {shown}"
    return f"known: ..., {shown}" if is_numbered else f"known: {shown}, ..."
