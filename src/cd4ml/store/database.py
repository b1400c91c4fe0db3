"""The one database: SQLite in a file, or PostgreSQL by URL."""

from __future__ import annotations

import fcntl
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import sqlalchemy as sa
from sqlalchemy import event

from cd4ml.errors import ConfigurationError, Unavailable

HEAD = "0001"  # the newest migration

_BUSY_S = 60
_MIGRATION_LOCK = 0x63D4  # any constant: the key of PostgreSQL's advisory lock


class Database:
    """Short read and write transactions on one engine.

    A write transaction is exclusive in SQLite (BEGIN IMMEDIATE); in PostgreSQL
    rows and counters serialise writers. Keep it short: no training, no HTTP, no
    blob inside. Safe to share between threads; each transaction has a connection
    of its own.
    """

    def __init__(self, engine: sa.Engine) -> None:
        self._engine = engine

    @property
    def dialect(self) -> str:
        """`sqlite` or `postgresql`."""
        return self._engine.dialect.name

    @contextmanager
    def read(self) -> Iterator[sa.Connection]:
        """A consistent view; nothing can be written through it."""
        with self._engine.connect() as connection:
            connection = connection.execution_options(**_reading(self.dialect))
            with connection.begin():
                yield connection

    @contextmanager
    def write(self) -> Iterator[sa.Connection]:
        """A transaction: committed at the end, rolled back by an exception."""
        with self._engine.connect() as connection:
            connection = connection.execution_options(writes=True)
            with connection.begin():
                yield connection

    def close(self) -> None:
        """Let go of all connections."""
        self._engine.dispose()


def open_database(url: str) -> Database:
    """Open the database at a URL, creating and migrating it where needed.

    Any number of processes may do so at once on an empty database: one migrates
    under a lock, the others wait.

    Args:
        url: `sqlite:///path/to/file.db` or `postgresql+psycopg://user@host/name`.

    Raises:
        ConfigurationError: If the URL is neither, or its driver is not installed.
        Unavailable: If the server does not answer.
    """
    parsed = _parse(url)
    engine = _sqlite(parsed) if parsed.get_backend_name() == "sqlite" else _postgres(parsed)
    try:
        if not _is_current(engine):
            _migrate(engine)
    except sa.exc.OperationalError as error:
        reason = str(error.orig).strip().splitlines()[0]
        msg = f"the database {_shown(parsed)} does not answer: {reason}"
        raise Unavailable(
            msg, hint="is the server running, and does CD4ML_DATABASE name it?"
        ) from None
    return Database(engine)


def _parse(url: str) -> sa.URL:
    try:
        parsed = sa.make_url(url)
    except sa.exc.ArgumentError:
        msg = f"expected a database URL, got {url!r}"
        raise ConfigurationError(msg, hint="for example sqlite:///.cd4ml/cd4ml.db") from None
    if parsed.get_backend_name() not in ("sqlite", "postgresql"):
        msg = f"expected a SQLite or PostgreSQL database, got {_shown(parsed)}"
        raise ConfigurationError(msg, hint="use sqlite:///FILE or postgresql+psycopg://...")
    return parsed


def _shown(url: sa.URL) -> str:
    return url.render_as_string(hide_password=True)


def _sqlite(url: sa.URL) -> sa.Engine:
    if not url.database or url.database == ":memory:":
        msg = "a SQLite database needs a file: other processes have to see it"
        raise ConfigurationError(msg, hint="for example sqlite:///.cd4ml/cd4ml.db")
    Path(url.database).parent.mkdir(parents=True, exist_ok=True)
    engine = sa.create_engine(url, connect_args={"timeout": _BUSY_S})
    event.listen(engine, "connect", _prepare_sqlite)
    event.listen(engine, "begin", _begin_sqlite)
    return engine


def _prepare_sqlite(connection: Any, _record: Any) -> None:
    connection.isolation_level = None  # transactions are begun by _begin_sqlite alone
    connection.execute("PRAGMA synchronous=FULL")
    connection.execute("PRAGMA foreign_keys=ON")


def _begin_sqlite(connection: sa.Connection) -> None:
    # IMMEDIATE: a deferred writer can be refused after it has read (SQLite docs, "BEGIN")
    writes = connection.get_execution_options().get("writes", False)
    connection.exec_driver_sql(f"PRAGMA query_only={'OFF' if writes else 'ON'}")
    connection.exec_driver_sql("BEGIN IMMEDIATE" if writes else "BEGIN")


def _postgres(url: sa.URL) -> sa.Engine:
    try:
        return sa.create_engine(url, pool_pre_ping=True)
    except ModuleNotFoundError as error:
        msg = f"PostgreSQL needs the driver {error.name!r}, which is not installed"
        raise ConfigurationError(msg, hint="pip install 'cd4ml[postgres]'") from None


def _reading(dialect: str) -> dict[str, Any]:
    if dialect == "postgresql":
        return {"isolation_level": "REPEATABLE READ", "postgresql_readonly": True}
    return {}


def _is_current(engine: sa.Engine) -> bool:
    with engine.connect() as connection:
        if not sa.inspect(connection).has_table("cd4ml_migrations"):
            return False
        statement = sa.text("SELECT version_num FROM cd4ml_migrations")
        return connection.execute(statement).scalar() == HEAD


def _migrate(engine: sa.Engine) -> None:
    with _migration_lock(engine):
        if not _is_current(engine):
            from cd4ml.store.migrations import upgrade

            upgrade(engine)


@contextmanager
def _migration_lock(engine: sa.Engine) -> Iterator[None]:
    if engine.dialect.name == "postgresql":
        with engine.connect() as connection:
            connection.execute(sa.select(sa.func.pg_advisory_lock(_MIGRATION_LOCK)))
            yield
            connection.execute(sa.select(sa.func.pg_advisory_unlock(_MIGRATION_LOCK)))
        return
    with Path(f"{engine.url.database}.lock").open("w") as file:
        fcntl.flock(file, fcntl.LOCK_EX)
        with engine.connect() as connection:
            connection.connection.dbapi_connection.execute("PRAGMA journal_mode=WAL")  # type: ignore[union-attr]
        yield
