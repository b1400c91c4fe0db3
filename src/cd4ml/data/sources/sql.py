"""The result of a query, frozen at the moment it is read."""

from __future__ import annotations

import os
import re
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Any

import sqlalchemy as sa

from cd4ml.data.sources import adbc
from cd4ml.data.sources.arrival import Arrival, Wanted
from cd4ml.data.sources.parts import PATTERN, write_parts
from cd4ml.data.sources.values import column, declared_types
from cd4ml.errors import ConfigurationError, InvalidInput, NotFound, Unavailable

if TYPE_CHECKING:
    import polars as pl

_FETCHED = 5_000  # rows at a time
_CONNECT_S = 10
_VARIABLE = "env:"
_READING = ("SELECT", "WITH", "VALUES")
_FIRST_WORD = re.compile(r"(?:\s|--[^\n]*(?:\n|$)|/\*.*?\*/)*([A-Za-z]+)", re.DOTALL)


def read(wanted: Wanted) -> Arrival:
    """Read a query's rows, some thousand at a time, in one read-only transaction.

    Two reads give the same version if the query gives the same rows in the same order:
    only ORDER BY promises that.

    Raises:
        InvalidInput: If the query is none, has two columns of one name, or its values
            are no table.
        NotFound: If it gives no rows.
        Unavailable: If the database does not answer.
        ConfigurationError: If the connection is no URL, or its driver is not installed.
    """
    settings = wanted.settings
    url = _url(settings.connection, wanted.root)
    words = f"sql {_shown(url)}"
    _refuse_missing_file(url, words)
    if adbc.backend_of(url) == "sqlite":
        _refuse_unless_reading(settings.query, words)
    if url.drivername.startswith(adbc.PREFIX):
        frames = adbc.frames(url, settings.query, what=words)
    else:
        frames = _frames(url, settings.query, what=words)
    n_rows = write_parts(wanted.folder, frames, contract=wanted.contract)
    if n_rows == 0:
        msg = f"{words}: the query gives no rows"
        raise NotFound(msg, hint="a version without rows teaches nothing; correct the query")
    return Arrival(PATTERN, f"{words}: {' '.join(settings.query.split())}")


def _url(given: str, root: Path) -> sa.URL:
    text = given
    if given.startswith(_VARIABLE):
        name = given.removeprefix(_VARIABLE)
        text = os.environ.get(name, "")
        if not text:
            msg = f"the environment variable {name} is not set, and `connection` names it"
            raise ConfigurationError(msg, hint=f"export {name}=postgresql://USER@HOST/NAME")
    try:
        url = sa.make_url(text)
    except (sa.exc.ArgumentError, ValueError):
        msg = "expected a database URL in `connection`"  # it may hold a password: not shown
        hint = "for example sqlite:///shop.db, or env:NAME"
        raise ConfigurationError(msg, hint=hint) from None
    if adbc.backend_of(url) == "sqlite" and url.database:
        return url.set(database=str(root / url.database))
    if url.drivername == "postgresql":
        return url.set(drivername="postgresql+psycopg")
    return url


def _refuse_missing_file(url: sa.URL, words: str) -> None:
    path = Path(url.database or "")
    if adbc.backend_of(url) == "sqlite" and not path.is_file():  # SQLite would make an empty one
        msg = f"{words}: there is no file {path}"
        raise NotFound(msg, hint="correct `connection`; a relative path begins at the project")


def _refuse_unless_reading(query: str, words: str) -> None:
    """SQLite lets a read-only connection make other files: ATTACH and VACUUM INTO do."""
    found = _FIRST_WORD.match(query)
    if found is None or found[1].upper() not in _READING:
        msg = f"{words}: expected a query that reads rows, got {query.strip()[:60]!r}"
        raise InvalidInput(msg, hint=f"it begins with {', '.join(_READING)}")


def _shown(url: sa.URL) -> str:
    """Which database, without user, password or options."""
    backend = adbc.backend_of(url)
    if backend == "sqlite":
        return f"sqlite {Path(url.database or '').name}"
    port = f":{url.port}" if url.port else ""
    return f"{backend} {url.host or ''}{port}/{url.database or ''}"


def _frames(url: sa.URL, query: str, *, what: str) -> Iterator[pl.DataFrame]:
    import polars as pl

    engine = _engine(url, what)
    # the driver's own text: a colon or percent sign in it is no parameter
    with (
        _explained(url, what),
        _reading(engine) as connection,
        connection.exec_driver_sql(query) as result,
    ):
        if not result.returns_rows:
            msg = f"{what}: expected a query that gives rows"
            raise InvalidInput(msg, hint="for example SELECT * FROM rides ORDER BY id")
        names = _names(list(result.keys()), what)
        types = declared_types(url.get_backend_name(), _description(result))
        columns = list(zip(names, types, strict=True))
        yield pl.DataFrame([column(name, (), type_) for name, type_ in columns])
        for rows in result.partitions(_FETCHED):
            values = zip(*rows, strict=True)
            yield pl.DataFrame([column(n, v, t) for (n, t), v in zip(columns, values, strict=True)])


def _description(result: sa.CursorResult[Any]) -> Sequence[Any]:
    return list(result.cursor.description) if result.cursor is not None else []


def _names(names: list[str], what: str) -> list[str]:
    twice = sorted({name for name in names if names.count(name) > 1})
    if twice:
        msg = f"{what}: the query gives two columns named {twice[0]!r}"
        raise InvalidInput(msg, hint=f"name one of them: AS another_{twice[0]}")
    return names


def _engine(url: sa.URL, what: str) -> sa.Engine:
    backend = url.get_backend_name()
    if backend == "sqlite":
        return _sqlite(url)
    options: dict[str, Any] = {}
    if backend == "postgresql" and "connect_timeout" not in url.query:
        options = {"connect_args": {"connect_timeout": _CONNECT_S}}
    try:
        return sa.create_engine(url, poolclass=sa.NullPool, **options)
    except (ModuleNotFoundError, sa.exc.NoSuchModuleError) as error:
        missing = getattr(error, "name", None) or backend
        msg = f"{what}: the driver {missing!r} is not installed"
        hint = "pip install 'cd4ml[postgres]'" if backend == "postgresql" else "install it"
        raise ConfigurationError(msg, hint=hint) from None


def _sqlite(url: sa.URL) -> sa.Engine:
    read_only = sa.URL.create("sqlite", database=adbc.sqlite_uri(url), query={"uri": "true"})
    return sa.create_engine(read_only, poolclass=sa.NullPool)


@contextmanager
def _reading(engine: sa.Engine) -> Iterator[sa.Connection]:
    """One view of the database, in which nothing can be written where it knows how to refuse."""
    options: dict[str, Any] = {"stream_results": True, "no_parameters": True}
    if engine.dialect.name == "postgresql":
        options |= {"isolation_level": "REPEATABLE READ", "postgresql_readonly": True}
    with engine.connect() as connection:
        connection = connection.execution_options(**options)
        transaction = connection.begin()
        try:
            yield connection
        finally:
            transaction.rollback()


@contextmanager
def _explained(url: sa.URL, what: str) -> Iterator[None]:
    """Say in words what the driver says in exceptions, without the password."""
    try:
        yield
    except sa.exc.DBAPIError as error:
        reason = str(error.orig).strip().splitlines()[0] if str(error.orig).strip() else ""
        if url.password:
            reason = reason.replace(str(url.password), "***")
        if _is_away(error):
            msg = f"{what} does not answer: {reason}"
            raise Unavailable(msg, hint="is it running, and does `connection` name it?") from None
        msg = f"{what}: the query fails"
        hint = "try it in the database's own client"
        raise InvalidInput(f"{msg}: {reason}", hint=hint, discreet=msg) from None


def _is_away(error: sa.exc.DBAPIError) -> bool:
    if error.connection_invalidated:
        return True
    # psycopg has the server's code for what the server said; without one it was not heard
    is_unheard = getattr(error.orig, "sqlstate", "") is None
    code = getattr(error.orig, "sqlite_errorname", "")
    is_busy = code.startswith(("SQLITE_BUSY", "SQLITE_LOCKED", "SQLITE_IOERR", "SQLITE_CANTOPEN"))
    return isinstance(error, sa.exc.OperationalError) and (is_unheard or is_busy)
