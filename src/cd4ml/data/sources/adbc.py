"""A query through ADBC: rows come as Arrow, without a Python object a value."""

from __future__ import annotations

from collections.abc import Iterator
from importlib import import_module
from typing import TYPE_CHECKING, Any
from urllib.parse import quote

from cd4ml.errors import ConfigurationError, InvalidInput

if TYPE_CHECKING:
    import polars as pl
    import sqlalchemy as sa

PREFIX = "adbc+"  # adbc+sqlite:///shop.db


def backend_of(url: sa.URL) -> str:
    """Which kind of database a URL names, through ADBC or not."""
    return url.drivername.removeprefix(PREFIX).partition("+")[0]


def sqlite_uri(url: sa.URL) -> str:
    """A SQLite file, to be read only."""
    return f"file:{quote(str(url.database))}?mode=ro"


def frames(url: sa.URL, query: str, *, what: str) -> Iterator[pl.DataFrame]:
    """The rows of a query, a record batch at a time; at least one, even without rows.

    Raises:
        ConfigurationError: If the driver is not installed.
        InvalidInput: If the query fails, or has two columns of one name.
    """
    import polars as pl

    driver = _driver(url, what)
    try:
        with driver.connect(_uri(url)) as connection, connection.cursor() as cursor:
            cursor.execute(query)
            reader = cursor.fetch_record_batch()
            _refuse_twice(reader.schema.names, what)
            yield _frame(reader.schema.empty_table())
            for batch in reader:
                yield _frame(batch)
            connection.rollback()
    except driver.Error as error:
        reason = str(error).strip().splitlines()[0]
        if url.password:
            reason = reason.replace(str(url.password), "***")
        msg = f"{what}: the query fails"
        hint = "try it in the database's own client"
        raise InvalidInput(f"{msg}: {reason}", hint=hint, discreet=msg) from None
    except pl.exceptions.PolarsError as error:
        msg = f"{what}: its rows cannot be read"
        hint = "cast the columns in the query"
        raise InvalidInput(f"{what}: {error}", hint=hint, discreet=msg) from None


def _driver(url: sa.URL, what: str) -> Any:
    name = f"adbc_driver_{backend_of(url)}"
    try:
        import_module("pyarrow")
        return import_module(f"{name}.dbapi")
    except ModuleNotFoundError as error:
        missing = (error.name or name).partition(".")[0]
        msg = f"{what}: ADBC needs {missing!r}, which is not installed"
        hint = f"pip install 'cd4ml[adbc]' {name.replace('_', '-')}"
        raise ConfigurationError(msg, hint=hint) from None


def _uri(url: sa.URL) -> str:
    if backend_of(url) == "sqlite":
        return sqlite_uri(url)
    return url.set(drivername=backend_of(url)).render_as_string(hide_password=False)


def _refuse_twice(names: list[str], what: str) -> None:
    twice = sorted({name for name in names if names.count(name) > 1})
    if twice:
        msg = f"{what}: the query gives two columns named {twice[0]!r}"
        raise InvalidInput(msg, hint=f"name one of them: AS another_{twice[0]}")


def _frame(batch: Any) -> pl.DataFrame:
    import polars as pl

    frame = pl.from_arrow(batch)
    if isinstance(frame, pl.Series):
        return frame.struct.unnest()
    return frame
