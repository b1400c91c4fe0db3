import logging
import os
import resource
import shutil
import signal
import socket
import sqlite3
import subprocess
import sys
import threading
from pathlib import Path

import pytest
import sqlalchemy as sa
from alembic.config import Config
from alembic.script import ScriptDirectory

from cd4ml.errors import ConfigurationError, Corrupted, Unavailable
from cd4ml.records.actor import Actor
from cd4ml.records.run import Run
from cd4ml.store import database as module
from cd4ml.store import ledger, migrations, rows
from cd4ml.store.database import HEAD, REVISIONS, Database, open_database
from tests.services.postgres import Databases
from tests.store.processes import at_once
from tests.store.records import NOW, actor, run


@pytest.fixture(params=["sqlite", "postgres"])
def empty_url(request: pytest.FixtureRequest, tmp_path: Path) -> str:
    """URL of a database in which nothing is."""
    if request.param == "postgres":
        url: str = request.getfixturevalue("empty_postgres_url")
        return url
    return f"sqlite:///{tmp_path}/new/cd4ml.db"


def names(database: Database) -> list[str]:
    with database.read() as connection:
        return [person.name for person in rows.find(connection, Actor)]


def open_and_add(url: str, name: str) -> None:
    database = open_database(url)
    with database.write() as connection:
        rows.insert(connection, actor(name))
    database.close()


def test_any_number_of_processes_may_open_an_empty_database_at_once(empty_url: str) -> None:
    at_once(open_and_add, [(empty_url, f"person-{i}") for i in range(8)])

    database = open_database(empty_url)
    assert names(database) == [f"person-{i}" for i in range(8)]
    database.close()


def write_many(url: str, writer: int) -> None:
    database = open_database(url)
    for i in range(20):
        with database.write() as connection:
            rows.insert(connection, run(rows.next_number(connection, Run), experiment=f"{writer}"))
            ledger.append(connection, at=NOW, actor="ann", action="run.finished", subject=f"{i}")
    database.close()


def test_writers_at_once_wait_for_one_another_and_lose_nothing(database_url: str) -> None:
    at_once(write_many, [(database_url, writer) for writer in range(6)])

    database = open_database(database_url)
    with database.read() as connection:
        runs = rows.find(connection, Run)
        assert [found.number for found in runs] == list(range(1, 121))
        assert ledger.verify(connection) == 120
    database.close()


def write_in_either_order(url: str, is_first: bool) -> None:
    database = open_database(url)
    for _ in range(20):
        with database.write() as connection:
            if is_first:
                rows.next_number(connection, Run)
            ledger.append(connection, at=NOW, actor="ann", action="run.finished", subject="run/1")
            if not is_first:
                rows.next_number(connection, Run)
    database.close()


def test_writers_that_take_things_in_another_order_do_not_block_one_another(
    database_url: str,
) -> None:
    at_once(write_in_either_order, [(database_url, i % 2 == 0) for i in range(4)])


def test_threads_share_a_database(database: Database) -> None:
    def add(i: int) -> None:
        with database.write() as connection:
            rows.insert(connection, actor(f"person-{i}"))

    threads = [threading.Thread(target=add, args=(i,)) for i in range(8)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()

    assert names(database) == [f"person-{i}" for i in range(8)]


def test_an_exception_takes_back_all_that_was_written(database: Database) -> None:
    def add_and_fail() -> None:
        with database.write() as connection:
            rows.insert(connection, actor("ann"))
            rows.next_number(connection, Run)
            raise ZeroDivisionError

    with pytest.raises(ZeroDivisionError):
        add_and_fail()

    with database.write() as connection:
        assert rows.count(connection, Actor) == 0
        assert rows.next_number(connection, Run) == 1


def test_nothing_can_be_written_through_a_read(database: Database) -> None:
    """It is a bug to try, so it is not explained as trouble with the database."""
    with pytest.raises(sa.exc.DatabaseError, match=r"read-?only"), database.read() as connection:
        rows.insert(connection, actor("ann"))

    assert names(database) == []


def test_a_connection_that_read_can_write_afterwards(database: Database) -> None:
    for name in ("ann", "bob"):
        names(database)
        with database.write() as connection:
            rows.insert(connection, actor(name))

    assert names(database) == ["ann", "bob"]


def test_a_reader_sees_one_moment_while_others_write(database: Database) -> None:
    with database.read() as connection:
        before = rows.count(connection, Actor)
        with database.write() as other:
            rows.insert(other, actor("ann"))
        assert rows.count(connection, Actor) == before == 0

    assert names(database) == ["ann"]


def test_sqlite_syncs_every_commit_and_keeps_readers_going(sqlite_url: str) -> None:
    database = open_database(sqlite_url)
    with database.read() as connection:
        pragmas = [
            connection.exec_driver_sql(f"PRAGMA {name}").scalar()
            for name in ("journal_mode", "synchronous", "foreign_keys")
        ]
    database.close()

    assert pragmas == ["wal", 2, 1]


def test_what_was_migrated_is_not_migrated_again(database: Database, database_url: str) -> None:
    with database.write() as connection:
        rows.insert(connection, actor("ann"))

    again = open_database(database_url)

    assert names(again) == ["ann"]
    again.close()


def test_who_logs_is_told_nothing_of_how_tables_are_made(
    empty_url: str, caplog: pytest.LogCaptureFixture
) -> None:
    with caplog.at_level(logging.INFO):
        open_database(empty_url).close()

    assert [record for record in caplog.records if record.name.startswith("alembic")] == []


def test_every_migration_is_known_by_name() -> None:
    config = Config()
    config.set_main_option("script_location", str(Path(migrations.__file__).parent))
    scripts = ScriptDirectory.from_config(config)

    revisions = [script.revision for script in scripts.walk_revisions()]

    assert tuple(reversed(revisions)) == REVISIONS
    assert scripts.get_current_head() == HEAD


def test_a_database_of_a_newer_cd4ml_is_left_alone(database: Database, database_url: str) -> None:
    with database.write() as connection:
        connection.execute(sa.text("UPDATE cd4ml_migrations SET version_num = '0999'"))

    with pytest.raises(ConfigurationError) as refused:
        open_database(database_url)

    shown = database_url.replace("+psycopg", "")
    assert str(refused.value) == (
        f"the database {shown} has migration '0999', unknown here\n"
        f"  hint: this cd4ml knows up to {HEAD!r}: install the newer one that wrote it"
    )


def execute(url: str, statement: str) -> None:
    """Run one statement on a database that cd4ml has not opened."""
    engine = sa.create_engine(url)
    with engine.begin() as connection:
        connection.execute(sa.text(statement))
    engine.dispose()


def test_a_database_in_which_something_else_lives_is_left_alone(empty_url: str) -> None:
    if empty_url.startswith("sqlite"):
        Path(empty_url.removeprefix("sqlite:///")).parent.mkdir()
    execute(empty_url, "CREATE TABLE runs (laps int)")

    with pytest.raises(ConfigurationError) as refused:
        open_database(empty_url)

    assert str(refused.value) == (
        "the database has tables of something else: runs\n  hint: give cd4ml a database of its own"
    )


def test_a_migration_that_fails_on_its_way_leaves_nothing_behind(empty_url: str) -> None:
    if empty_url.startswith("sqlite"):
        Path(empty_url.removeprefix("sqlite:///")).parent.mkdir()
    execute(
        empty_url, "CREATE VIEW workers AS SELECT 1 AS name"
    )  # the migration's last table but two

    with pytest.raises((Unavailable, sa.exc.DatabaseError), match="already exists"):
        open_database(empty_url)

    execute(empty_url, "DROP VIEW workers")
    database = open_database(empty_url)
    assert names(database) == []
    database.close()


@pytest.mark.parametrize(
    ("url", "message"),
    [
        ("", "expected a database URL, got ''"),
        ("cd4ml.db", "expected a database URL, got 'cd4ml.db'"),
        (
            "mysql://ann:secret@host/runs",
            "expected a SQLite or PostgreSQL database, got mysql://ann:***@host/runs",
        ),
        (
            "postgresql+asyncpg://host/runs",
            "expected a SQLite or PostgreSQL database, got postgresql://host/runs",
        ),
        ("sqlite://", "a SQLite database is a file that other processes see too, got sqlite:///"),
        (
            "sqlite:///:memory:",
            "a SQLite database is a file that other processes see too, got sqlite:///:memory:",
        ),
        (
            "sqlite:///x.db?mode=memory",
            "a SQLite database is a file that other processes see too, "
            "got sqlite:///x.db?mode=memory",
        ),
    ],
)
def test_a_url_that_names_no_usable_database_is_refused(url: str, message: str) -> None:
    with pytest.raises(ConfigurationError) as refused:
        open_database(url)

    assert refused.value.message == message


def test_a_relative_path_begins_in_the_given_folder(tmp_path: Path) -> None:
    open_database("sqlite:///state/cd4ml.db", folder=tmp_path / "50% of #1?").close()

    assert (tmp_path / "50% of #1?" / "state" / "cd4ml.db").is_file()


def test_a_server_that_is_not_there_is_unavailable() -> None:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port = probe.getsockname()[1]

    with pytest.raises(Unavailable) as away:
        open_database(f"postgresql://ann:secret@127.0.0.1:{port}/runs")

    assert away.value.message.startswith(
        f"the database postgresql://ann:***@127.0.0.1:{port}/runs does not work: connection failed"
    )
    assert "Connection refused" in away.value.message
    assert away.value.hint == "is the server running, and does CD4ML_DATABASE name it?"


def test_a_database_that_does_not_exist_is_unavailable(postgres_url: str) -> None:
    with pytest.raises(Unavailable, match='database "nobody_made_this" does not exist'):
        open_database(postgres_url.rsplit("/", 1)[0] + "/nobody_made_this")


def test_a_server_that_goes_away_is_unavailable(
    postgres_url: str, postgres_databases: Databases
) -> None:
    database = open_database(postgres_url)

    def lose_it() -> None:
        with database.write() as connection:
            postgres_databases.drop(postgres_url)
            rows.count(connection, Actor)

    with pytest.raises(Unavailable, match="does not work: "):
        lose_it()
    for transaction in (database.read, database.write):
        with pytest.raises(Unavailable, match="does not work: "), transaction():
            pass
    database.close()


def test_a_file_that_is_no_database_is_said_to_be_damaged(tmp_path: Path) -> None:
    (tmp_path / "cd4ml.db").write_text("these are the flights of January " * 100)

    with pytest.raises(Corrupted) as refused:
        open_database(f"sqlite:///{tmp_path}/cd4ml.db")

    assert str(refused.value) == (
        f"the database sqlite:///{tmp_path}/cd4ml.db is damaged: file is not a database\n"
        "  hint: restore it from a backup"
    )


def test_a_damaged_page_is_said_to_be_damage(sqlite_url: str) -> None:
    open_database(sqlite_url).close()
    path = Path(sqlite_url.removeprefix("sqlite:///"))
    data = bytearray(path.read_bytes())
    data[4096:] = os.urandom(len(data) - 4096)
    path.write_bytes(data)

    with pytest.raises(Corrupted, match="is damaged: database disk image is malformed"):
        names(open_database(sqlite_url))


def test_a_folder_that_cannot_be_made_is_unavailable(tmp_path: Path) -> None:
    (tmp_path / "state").touch()

    with pytest.raises(Unavailable) as refused:
        open_database(f"sqlite:///{tmp_path}/state/cd4ml.db")

    assert str(refused.value) == (
        f"the database's folder {tmp_path}/state cannot be made: File exists\n"
        "  hint: choose another with CD4ML_DATABASE"
    )


def test_a_full_disk_is_unavailable_and_takes_the_transaction_back(sqlite_url: str) -> None:
    database = open_database(sqlite_url)
    soft, hard = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (1_000_000, hard))
    try:
        with pytest.raises(Unavailable) as full, database.write() as connection:
            rows.insert(connection, actor("ann", added_by="x" * 2_000_000))
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, (soft, hard))

    assert full.value.hint == "may this user write there, and is there room?"
    assert names(database) == []
    with database.write() as connection:
        rows.insert(connection, actor("bob"))
    assert names(database) == ["bob"]
    database.close()


def test_a_writer_that_never_ends_makes_the_next_one_give_up(
    database_url: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(module, "_PATIENCE_S", 0.2)
    database = open_database(database_url)

    with database.write(), pytest.raises(Unavailable), database.write():
        pass
    database.close()


def test_a_copied_file_is_a_database_of_its_own(sqlite_url: str, tmp_path: Path) -> None:
    database = open_database(sqlite_url)
    with database.write() as connection:
        rows.insert(connection, actor("ann"))
    database.close()  # the last one to leave takes what is beside the file into it

    shutil.copyfile(sqlite_url.removeprefix("sqlite:///"), tmp_path / "copy.db")

    copy = open_database(f"sqlite:///{tmp_path}/copy.db")
    assert names(copy) == ["ann"]
    copy.close()
    assert sqlite3.connect(tmp_path / "copy.db").execute("PRAGMA integrity_check").fetchone() == (
        "ok",
    )


def write_unsettled_and_die(url: str) -> None:
    database = open_database(url)
    with database.write(is_settled=False) as connection:
        rows.insert(connection, actor("ann"))
    os.kill(os.getpid(), signal.SIGKILL)


def test_what_was_written_without_being_settled_outlives_its_process(empty_url: str) -> None:
    code = (
        "import sys; from tests.store.test_database import write_unsettled_and_die;"
        "write_unsettled_and_die(sys.argv[1])"
    )
    env = {**os.environ, "PYTHONPATH": os.pathsep.join(sys.path)}

    died = subprocess.run([sys.executable, "-c", code, empty_url], env=env, check=False)

    assert died.returncode == -signal.SIGKILL
    database = open_database(empty_url)
    assert names(database) == ["ann"]
    database.close()


def test_only_a_write_that_says_so_does_not_wait_for_the_disk(tmp_path: Path) -> None:
    database = open_database(f"sqlite:///{tmp_path}/cd4ml.db")
    waits = []
    for is_settled in (True, False, True):
        with database.write(is_settled=is_settled) as connection:
            waits.append(connection.exec_driver_sql("PRAGMA synchronous").scalar() == 2)

    assert waits == [True, False, True]
    database.settle()
    database.close()
    database.settle()  # its journal is gone: everything is in the file


def test_a_writer_that_waits_too_long_is_told_so(tmp_path: Path) -> None:
    url = f"sqlite:///{tmp_path}/cd4ml.db"
    open_database(url).close()
    database = open_database(url)
    with database.read() as connection:
        connection.connection.dbapi_connection.execute("PRAGMA busy_timeout=10")  # type: ignore[union-attr]
    other = sqlite3.connect(tmp_path / "cd4ml.db", isolation_level=None)
    other.execute("BEGIN IMMEDIATE")

    with (
        pytest.raises(Unavailable, match="does not work: database is locked"),
        database.write(),
    ):
        pass

    other.close()
    database.close()
