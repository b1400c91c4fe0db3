"""The project's PostgreSQL without SQLAlchemy: the driver alone, speaking as SQLite does.

Statements have `?` for values; JSON and times come, and go, as the text that the server
writes of them. So `bare` asks and adds the same on both.
"""

from __future__ import annotations

import os
from collections.abc import Iterator, Sequence
from contextlib import closing, contextmanager
from typing import Any

WRITERS = 0x63D4  # any constant: the key of the advisory lock behind which writers wait

_PATIENCE_S = 60  # how long a writer waits for the one before
_CONNECT_S = 10


class Failed(Exception):
    """The server, or its driver, does not do what is asked; the message says why."""


class PostgresConnection:
    """A connection in a transaction."""

    def __init__(self, driver: Any) -> None:
        self._driver = driver

    def execute(self, statement: str, values: Sequence[Any] = ()) -> Any:
        """A cursor with what a statement gives."""
        return self._driver.execute(statement.replace("?", "%s"), tuple(values))


@contextmanager
def transaction(url: str, *, writes: bool) -> Iterator[PostgresConnection]:
    """A transaction on a database that is there: committed at the end, else rolled back.

    Args:
        url: As in `[store] database`.
        writes: Whether it is the one writer at a time; else nothing can be written through it.

    Raises:
        Failed: If the driver is not installed, or anything does not work.
    """
    try:
        import psycopg
        from psycopg.types.string import TextLoader
    except ImportError as error:
        raise Failed(str(error)) from error
    limits: dict[str, Any] = {} if "connect_timeout" in url else {"connect_timeout": _CONNECT_S}
    try:
        with closing(psycopg.connect(_plain(url), **limits)) as driver:
            for kind in ("json", "timestamptz"):
                driver.adapters.register_loader(kind, TextLoader)
            driver.execute("SET TIME ZONE 'UTC'")
            driver.execute(f"SET lock_timeout = '{_PATIENCE_S}s'")
            if writes:
                driver.execute(f"SELECT pg_advisory_xact_lock({WRITERS})")
            else:
                driver.execute("SET TRANSACTION READ ONLY")
            yield PostgresConnection(driver)
            driver.commit()
    except psycopg.Error as error:
        raise Failed(str(error)) from error


def url_in(folder: str) -> str:
    """The URL of the database of the project in a folder, as `Project.database` finds it."""
    url = os.environ.get("CD4ML_DATABASE", "")
    if url:
        return url
    import tomllib

    with open(os.path.join(folder, "cd4ml.toml"), "rb") as file:
        store = tomllib.load(file).get("store", {})
    return str(store.get("database", ""))


def _plain(url: str) -> str:
    """Without the name of the driver, which only SQLAlchemy knows."""
    scheme, rest = url.split("://", 1)
    return f"{scheme.partition('+')[0]}://{rest}"
