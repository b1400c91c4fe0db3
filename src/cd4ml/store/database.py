"""The one database: SQLite in a file, or PostgreSQL by URL."""

from __future__ import annotations

import fcntl
import os
import sqlite3
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import Any

import msgspec
import sqlalchemy as sa
from sqlalchemy import event

from cd4ml.errors import ConfigurationError, Corrupted, Unavailable
from cd4ml.store.bare_postgres import WRITERS
from cd4ml.store.seen import remember, require

REVISIONS = ("0001",)  # the migrations there are, oldest first
HEAD = REVISIONS[-1]

_PATIENCE_S = 60  # how long a writer waits for the one before
_CONNECT_S = 10
_DRIVERS = {"sqlite": "pysqlite", "postgresql": "psycopg"}
_HINTS = {
    "sqlite": "may this user write there, and is there room?",
    "postgresql": "is the server running, and does CD4ML_DATABASE name it?",
}


class Database:
    """Short read and write transactions on one engine.

    There is one writer at a time, in PostgreSQL as in SQLite: what a write
    transaction reads stays true until it commits, and two never wait for each other
    in a circle. Keep it short: no training, no HTTP, no blob inside. Safe to share
    between threads; each transaction has a connection of its own.

    `read` and `write` raise `Unavailable` if the database does not answer, is full, or
    if another writer takes a minute.
    """

    def __init__(self, engine: sa.Engine) -> None:
        self._engine = engine

    @property
    def dialect(self) -> str:
        """`sqlite` or `postgresql`."""
        return self._engine.dialect.name

    @property
    def file(self) -> Path | None:
        """The file, if it is one."""
        return Path(str(self._engine.url.database)) if self.dialect == "sqlite" else None

    @contextmanager
    def read(self) -> Iterator[sa.Connection]:
        """A consistent view; nothing can be written through it."""
        with _explained(self._engine.url, is_read=True), self._engine.connect() as connection:
            connection = connection.execution_options(**_reading(self.dialect))
            with connection.begin():
                yield connection

    @contextmanager
    def write(self, *, is_settled: bool = True) -> Iterator[sa.Connection]:
        """A transaction: committed at the end, rolled back by an exception.

        Args:
            is_settled: Whether it is on disk then. Else it outlives this process, whatever ends
                it, and a power cut may take it back until `settle`, or a later transaction that
                is settled, has brought it there; only SQLite makes use of that.
        """
        with _explained(self._engine.url), self._engine.connect() as connection:
            connection = connection.execution_options(writes=True, is_settled=is_settled)
            with connection.begin():
                yield connection

    def settle(self) -> None:
        """Bring to the disk what was written without being settled.

        Raises:
            Unavailable: If the disk does not take it.
        """
        if self.file is None:
            return
        try:  # what SQLite does itself in a transaction that is settled
            descriptor = os.open(f"{self.file}-wal", os.O_RDONLY)
        except FileNotFoundError:
            return  # it was taken into the file, which is synced before
        try:
            os.fsync(descriptor)
        except OSError as error:
            msg = f"the database {shown(self._engine.url)} does not work: {error.strerror}"
            raise Unavailable(msg, hint=_HINTS["sqlite"]) from None
        finally:
            os.close(descriptor)

    def close(self) -> None:
        """Let go of all connections."""
        self._engine.dispose()


def open_database(url: str, *, folder: Path | None = None, seen: Path | None = None) -> Database:
    """Open the database at a URL, creating and migrating it where needed.

    Any number of processes may do so at once on an empty database: one migrates
    under a lock, the others wait.

    Args:
        url: `sqlite:///path/to/file.db` or `postgresql://user@host/name`.
        folder: Where a relative path begins; the working directory by default.
        seen: Where it is noted that there is one: one that is gone is not made anew.

    Raises:
        ConfigurationError: If the URL is neither, its driver is not installed, or a
            newer cd4ml has migrated the database.
        Unavailable: If the server does not answer, the file cannot be written, or is gone.
        Corrupted: If the file is no database.
    """
    parsed = _parse(url)
    is_file = parsed.get_backend_name() == "sqlite"
    engine = _sqlite(parsed, folder or Path()) if is_file else _postgres(parsed)
    try:
        with _explained(engine.url):
            if is_file:
                path = Path(str(engine.url.database))
                if seen is not None:
                    require(path, f"the database {shown(engine.url)}", seen=seen)
                _make_file(path)
            if _revision(engine) != HEAD:
                _migrate(engine)
            if is_file and seen is not None:
                remember(path, seen=seen)
    except BaseException:
        engine.dispose()
        raise
    return Database(engine)


def _parse(url: str) -> sa.URL:
    try:
        parsed = sa.make_url(url)
    except sa.exc.ArgumentError:
        msg = f"expected a database URL, got {url!r}"
        raise ConfigurationError(msg, hint="for example sqlite:///.cd4ml/cd4ml.db") from None
    backend, _, driver = parsed.drivername.partition("+")
    known = _DRIVERS.get(backend)
    if known is None or driver not in ("", known):
        msg = f"expected a SQLite or PostgreSQL database, got {shown(parsed)}"
        raise ConfigurationError(msg, hint="use sqlite:///FILE or postgresql://USER@HOST/NAME")
    return parsed.set(drivername=f"{backend}+{known}")


def shown(url: sa.URL) -> str:
    """A database's URL as people write it, without its password."""
    if url.get_backend_name() == "sqlite" and not url.query:
        return f"sqlite:///{url.database or ''}"
    plain = url.set(drivername=url.drivername.partition("+")[0])
    return plain.render_as_string(hide_password=True)


def _sqlite(url: sa.URL, folder: Path) -> sa.Engine:
    if not url.database or url.database == ":memory:" or url.query:
        msg = f"a SQLite database is a file that other processes see too, got {shown(url)}"
        raise ConfigurationError(msg, hint="for example sqlite:///.cd4ml/cd4ml.db")
    url = url.set(database=str(folder.absolute() / url.database))
    engine = sa.create_engine(
        url, connect_args={"timeout": _PATIENCE_S}, json_deserializer=msgspec.json.decode
    )
    event.listen(engine, "do_connect", _only_what_is_there)
    event.listen(engine, "connect", _prepare_sqlite)
    event.listen(engine, "begin", _begin_sqlite)
    return engine


def _make_file(path: Path) -> None:
    """An empty file is an empty database."""
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        msg = f"the database's folder {path.parent} cannot be made: {error.strerror}"
        raise Unavailable(msg, hint="choose another with CD4ML_DATABASE") from None
    if not path.exists():
        with suppress(OSError):  # SQLite says why it cannot be opened
            path.touch()


def _only_what_is_there(_dialect: Any, _record: Any, words: list[Any], named: Any) -> None:
    """Open the file as SQLite does, but for making one: it would be a database without tables."""
    words[0] = f"{Path(words[0]).as_uri()}?mode=rw"
    named["uri"] = True


def _prepare_sqlite(connection: Any, _record: Any) -> None:
    connection.isolation_level = None  # transactions are begun by _begin_sqlite alone
    connection.execute("PRAGMA synchronous=FULL")
    connection.execute("PRAGMA foreign_keys=ON")
    connection.execute("PRAGMA recursive_triggers=ON")  # REPLACE fires those of DELETE, too


def _begin_sqlite(connection: sa.Connection) -> None:
    # IMMEDIATE: a deferred writer can be refused after it has read (SQLite docs, "BEGIN")
    options = connection.get_execution_options()
    writes = options.get("writes", False)
    begin = "BEGIN IMMEDIATE" if writes else "BEGIN"
    driver: Any = connection.connection.dbapi_connection
    try:  # past SQLAlchemy, which takes longer for these two than SQLite for a small transaction
        driver.execute(f"PRAGMA query_only={'OFF' if writes else 'ON'}")
        if writes:
            is_settled = options.get("is_settled", True)
            driver.execute(f"PRAGMA synchronous={'FULL' if is_settled else 'NORMAL'}")
        driver.execute(begin)
    except sqlite3.Error as error:
        raise sa.exc.DBAPIError.instance(begin, None, error, sqlite3.Error) from error


def _postgres(url: sa.URL) -> sa.Engine:
    limits = {} if "connect_timeout" in url.query else {"connect_timeout": _CONNECT_S}
    try:
        engine = sa.create_engine(
            url, pool_pre_ping=True, connect_args=limits, json_deserializer=msgspec.json.decode
        )
    except ModuleNotFoundError as error:
        msg = f"PostgreSQL needs the driver {error.name!r}, which is not installed"
        raise ConfigurationError(msg, hint="pip install 'cd4ml[postgres]'") from None
    event.listen(engine, "connect", _prepare_postgres)
    event.listen(engine, "begin", _begin_postgres)
    return engine


def _prepare_postgres(connection: Any, _record: Any) -> None:
    connection.execute("SET TIME ZONE 'UTC'")  # in others the year 9999 may not be readable
    connection.execute(f"SET lock_timeout = '{_PATIENCE_S}s'")
    connection.commit()


def _begin_postgres(connection: sa.Connection) -> None:
    # writers that take counters in different orders deadlock: 4 of them made 7 commits in
    # 4 s, and 395 behind this lock; in one order 374 without it and 504 with it
    if connection.get_execution_options().get("writes", False):
        connection.exec_driver_sql(f"SELECT pg_advisory_xact_lock({WRITERS})")


def _reading(dialect: str) -> dict[str, Any]:
    if dialect == "postgresql":
        return {"isolation_level": "REPEATABLE READ", "postgresql_readonly": True}
    return {}


def _revision(engine: sa.Engine) -> str:
    """The newest migration that the database has, "" if it has none."""
    with engine.connect() as connection, connection.begin():
        if not sa.inspect(connection).has_table("cd4ml_migrations"):
            return ""
        statement = sa.text("SELECT version_num FROM cd4ml_migrations")
        revision: str = connection.execute(statement).scalar() or ""
    if revision and revision not in REVISIONS:
        msg = f"the database {shown(engine.url)} has migration {revision!r}, unknown here"
        raise ConfigurationError(
            msg, hint=f"this cd4ml knows up to {HEAD!r}: install the newer one that wrote it"
        )
    return revision


def _migrate(engine: sa.Engine) -> None:
    from cd4ml.store.migrations import upgrade

    if engine.dialect.name == "postgresql":
        upgrade(engine)  # as a writer, so alone
        return
    # no transaction can change the journal's mode, so a file's lock has to serialise it
    with Path(f"{engine.url.database}.lock").open("w") as file:
        fcntl.flock(file, fcntl.LOCK_EX)
        with engine.connect() as connection:
            connection.connection.dbapi_connection.execute("PRAGMA journal_mode=WAL")  # type: ignore[union-attr]
        upgrade(engine)


@contextmanager
def _explained(url: sa.URL, *, is_read: bool = False) -> Iterator[None]:
    """Say in words what the driver says in exceptions."""
    try:
        yield
    except sa.exc.TimeoutError:
        msg = f"the database {shown(url)} has no free connection for this process"
        raise Unavailable(msg, hint="too many threads use it at once") from None
    except sa.exc.DatabaseError as error:
        if is_read and _is_write(error):
            raise  # a bug of the caller, not of the database
        if isinstance(error, sa.exc.OperationalError):
            msg = f"the database {shown(url)} does not work: {_reason(error)}"
            raise Unavailable(msg, hint=_HINTS[url.get_backend_name()]) from None
        if type(error) is sa.exc.DatabaseError:  # what SQLite says of a damaged file
            msg = f"the database {shown(url)} is damaged: {_reason(error)}"
            raise Corrupted(msg, hint="restore it from a backup") from None
        raise


def _is_write(error: sa.exc.DatabaseError) -> bool:
    code = getattr(error.orig, "sqlite_errorcode", None)
    return code == sqlite3.SQLITE_READONLY


def _reason(error: sa.exc.DatabaseError) -> str:
    return str(error.orig).strip().splitlines()[0]
