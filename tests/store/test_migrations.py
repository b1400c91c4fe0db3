from pathlib import Path
from threading import Thread
from typing import Any

import pytest
import sqlalchemy as sa
from alembic.autogenerate import compare_metadata
from alembic.migration import MigrationContext

from cd4ml.store import search
from cd4ml.store.database import Database, open_database
from cd4ml.store.migrations import TABLE
from cd4ml.store.tables import metadata


def test_the_migrations_make_what_the_records_say(database: Database) -> None:
    with database.read() as connection:
        context = MigrationContext.configure(
            connection, opts={"compare_type": True, "include_object": not_alembics_own}
        )

        assert compare_metadata(context, metadata) == []


def not_alembics_own(thing: Any, name: str, kind: str, reflected: bool, other: Any) -> bool:
    return is_of_records(name) if kind == "table" else True


def is_of_records(table: str) -> bool:
    """Alembic's own table, and the words of the full-text search, are no records."""
    return table != TABLE and not table.startswith(search.TABLE)


def shape(connection: sa.Connection) -> dict[str, Any]:
    """Columns, keys, constraints and indexes of every table, with their names."""
    inspector = sa.inspect(connection)
    return {
        table: {
            "columns": [
                (column["name"], str(column["type"]), column["nullable"], column["default"])
                for column in inspector.get_columns(table)
            ],
            "key": inspector.get_pk_constraint(table),
            "unique": inspector.get_unique_constraints(table),
            "indexes": sorted(inspector.get_indexes(table), key=lambda index: str(index["name"])),
        }
        for table in sorted(inspector.get_table_names())
        if is_of_records(table)
    }


@pytest.fixture(params=["sqlite", "postgres"])
def unmigrated(request: pytest.FixtureRequest, tmp_path: Path) -> sa.Engine:
    if request.param == "sqlite":
        return sa.create_engine(f"sqlite:///{tmp_path}/plain.db")
    return sa.create_engine(request.getfixturevalue("empty_postgres_url"))


def test_a_migrated_database_is_the_one_that_the_tables_describe_name_by_name(
    unmigrated: sa.Engine, request: pytest.FixtureRequest
) -> None:
    kind = "sqlite" if unmigrated.dialect.name == "sqlite" else "postgres"
    migrated = open_database(request.getfixturevalue(f"{kind}_url"))
    with unmigrated.begin() as connection:
        metadata.create_all(connection)
        described = shape(connection)
    unmigrated.dispose()

    with migrated.read() as connection:
        assert shape(connection) == described
    migrated.close()


def test_threads_may_migrate_two_databases_at_once(tmp_path: Path) -> None:
    opened: list[Database] = []
    urls = [f"sqlite:///{tmp_path}/{i}.db" for i in range(4)]
    threads = [Thread(target=lambda url=url: opened.append(open_database(url))) for url in urls]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()

    assert len(opened) == 4
    for database in opened:
        with database.read() as connection:
            assert set(metadata.tables) < set(sa.inspect(connection).get_table_names())
        database.close()
