"""The throwaway services themselves: fresh for each test, gone with the run."""

import subprocess
import sys
from pathlib import Path

import obstore
import psycopg
import pytest

from tests.services import postgres
from tests.services.processes import ServiceUnavailable, ends_with_parent, wait_until


def _query(url: str, statement: str) -> list[tuple[object, ...]]:
    with psycopg.connect(url.replace("+psycopg", ""), autocommit=True) as connection:
        cursor = connection.execute(statement.encode())
        return cursor.fetchall() if cursor.description else []


def test_databases_of_two_tests_share_nothing(postgres_databases: postgres.Databases) -> None:
    first, second = postgres_databases.create(), postgres_databases.create()
    _query(first, "CREATE TABLE fares (fare int)")

    assert _query(first, "SELECT count(*) FROM fares") == [(0,)]
    with pytest.raises(psycopg.errors.UndefinedTable):
        _query(second, "SELECT count(*) FROM fares")

    postgres_databases.drop(first)
    postgres_databases.drop(second)


def test_a_database_made_from_a_template_has_its_rows(
    postgres_databases: postgres.Databases,
) -> None:
    template = postgres_databases.create()
    _query(template, "CREATE TABLE fares AS SELECT 12 AS fare")

    copy = postgres_databases.create(template=template)

    assert _query(copy, "SELECT fare FROM fares") == [(12,)]
    postgres_databases.drop(copy)
    postgres_databases.drop(template)


def test_copies_are_made_ahead_share_nothing_and_are_gone_afterwards(
    postgres_databases: postgres.Databases, postgres_server: str
) -> None:
    template = postgres_databases.create()
    _query(template, "CREATE TABLE fares AS SELECT 12 AS fare")
    copies = postgres.Copies(postgres_server, template)

    first, second = copies.take(), copies.take()

    _query(first, "DELETE FROM fares")
    assert _query(second, "SELECT fare FROM fares") == [(12,)]
    for copy in (first, second):
        copies.drop(copy)
    copies.close()
    for copy in (first, second):
        with pytest.raises(psycopg.OperationalError, match="does not exist"):
            _query(copy, "SELECT 1")
    postgres_databases.drop(template)


def test_a_copy_that_cannot_be_made_is_no_copy(postgres_server: str) -> None:
    copies = postgres.Copies(postgres_server, "no_such_database")

    with pytest.raises(psycopg.OperationalError, match='"no_such_database" does not exist'):
        copies.take()


def test_a_bucket_is_empty_at_first_and_keeps_what_is_put(s3_url: str) -> None:
    store = obstore.store.from_url(s3_url)
    assert list(obstore.list(store)) == []

    obstore.put(store, "ab/cd", b"model")

    assert bytes(obstore.get(store, "ab/cd").bytes()) == b"model"


def test_a_service_that_ends_at_once_says_what_it_printed(tmp_path: Path) -> None:
    log = tmp_path / "log"
    log.write_text("port taken\n")
    process = subprocess.Popen(["false"])
    process.wait()

    with pytest.raises(ServiceUnavailable, match=r"did not answer .* it printed:\nport taken"):
        wait_until(lambda: False, process, log=log)


@pytest.mark.skipif(sys.platform != "linux", reason="the kernel's help is Linux's")
def test_a_service_ends_when_the_run_that_started_it_is_killed() -> None:
    # The child prints only once setpriv has asked the kernel, and holds the pipe while it lives.
    child = ends_with_parent(["sh", "-c", "echo up; exec sleep 60"])
    program = f"import subprocess; subprocess.run({child})"
    parent = subprocess.Popen([sys.executable, "-c", program], stdout=subprocess.PIPE, text=True)
    assert parent.stdout is not None
    assert parent.stdout.readline() == "up\n"

    parent.kill()

    rest, _ = parent.communicate(timeout=10)
    assert rest == ""
