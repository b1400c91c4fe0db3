"""The database's schema, migration by migration (Alembic)."""

from __future__ import annotations

import logging
import threading
from pathlib import Path

import sqlalchemy as sa
from alembic import command
from alembic.config import Config

from cd4ml.errors import ConfigurationError
from cd4ml.store.tables import metadata

TABLE = "cd4ml_migrations"

_ONE_AT_A_TIME = threading.Lock()  # Alembic keeps what it is doing in module globals


def upgrade(engine: sa.Engine) -> None:
    """Bring the schema to the newest migration, in one write transaction.

    Raises:
        ConfigurationError: If the database has tables that are not cd4ml's own.
    """
    logging.getLogger("alembic").setLevel(logging.WARNING)  # else it tells each start of itself
    config = Config()
    folder = str(Path(__file__).parent)
    config.set_main_option("script_location", folder.replace("%", "%%"))
    with (
        _ONE_AT_A_TIME,
        engine.connect().execution_options(writes=True) as connection,
        connection.begin(),
    ):
        _refuse_others_tables(connection)
        config.attributes["connection"] = connection
        command.upgrade(config, "head")


def _refuse_others_tables(connection: sa.Connection) -> None:
    there = set(sa.inspect(connection).get_table_names())
    taken = sorted(there & set(metadata.tables))
    if TABLE not in there and taken:
        msg = f"the database has tables of something else: {', '.join(taken)}"
        raise ConfigurationError(msg, hint="give cd4ml a database of its own")
