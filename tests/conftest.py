"""What every test may ask for: a clean environment, a clock, and each kind of store.

`database` and `blobs` run a test once on what a laptop has (SQLite, files) and once on what a
server has (PostgreSQL, S3). The servers come from CD4ML_TEST_POSTGRES and CD4ML_TEST_S3, else
they are started for the session; where that is impossible the variant is skipped and says why.
"""

import os

# Two cores: threads of OpenMP and Polars in parallel test processes only wait for each other.
os.environ.setdefault("OMP_NUM_THREADS", "1")
os.environ.setdefault("POLARS_MAX_THREADS", "2")

import shutil
from collections.abc import Callable, Iterator
from contextlib import ExitStack, closing
from datetime import UTC, datetime
from pathlib import Path
from typing import TYPE_CHECKING

import pytest
from hypothesis import HealthCheck, settings

from tests.environ import change_safely
from tests.services import postgres, s3
from tests.services.processes import ServiceUnavailable

if TYPE_CHECKING:
    from cd4ml.store.blobs import Blobs
    from cd4ml.store.clock import SimulatedClock
    from cd4ml.store.database import Database
    from cd4ml.store.file_store import FileStore


change_safely()  # before any library has threads

# how long one example took says how busy the machine is, and a test has a timeout
settings.register_profile("cd4ml", deadline=None, suppress_health_check=[HealthCheck.too_slow])
settings.load_profile("cd4ml")


@pytest.fixture(autouse=True)
def clean_environment(monkeypatch: pytest.MonkeyPatch) -> None:
    """No setting of the developer's shell, Git or cloud decides a test."""
    for name in os.environ:
        if name.startswith(("AWS_", "CD4ML_", "OPENLINEAGE_")) and not name.startswith(
            "CD4ML_TEST_"
        ):
            monkeypatch.delenv(name)
    # a worker process a run would import scikit-learn a thousand times
    monkeypatch.setenv("CD4ML_EXECUTOR", "in-process")
    for name in ("COLUMNS", "LINES"):  # of a terminal, or of readline, which pytest imports
        monkeypatch.delenv(name, raising=False)
    monkeypatch.setenv("GIT_CONFIG_GLOBAL", os.devnull)
    monkeypatch.setenv("GIT_CONFIG_NOSYSTEM", "1")
    for role in ("AUTHOR", "COMMITTER"):
        monkeypatch.setenv(f"GIT_{role}_NAME", "Tester")
        monkeypatch.setenv(f"GIT_{role}_EMAIL", "tester@example.org")


@pytest.fixture
def now() -> datetime:
    """The first moment of the simulated year."""
    return datetime(2013, 1, 1, tzinfo=UTC)


@pytest.fixture
def clock(now: datetime) -> "SimulatedClock":
    """A clock that stands at `now` until the test moves it."""
    from cd4ml.store.clock import SimulatedClock

    return SimulatedClock(now)


@pytest.fixture(scope="session")
def postgres_server() -> Iterator[str]:
    """URL of a PostgreSQL server on which tests may create databases."""
    given = os.environ.get("CD4ML_TEST_POSTGRES")
    if given:
        yield given
        return
    try:
        with postgres.server() as url:
            yield url
    except ServiceUnavailable as reason:
        pytest.skip(f"no PostgreSQL: {reason}")


@pytest.fixture(scope="session")
def postgres_databases(postgres_server: str) -> Iterator[postgres.Databases]:
    """Creates and drops databases of the session's server."""
    databases = postgres.Databases(postgres_server)
    yield databases
    databases.close()


@pytest.fixture(scope="session")
def postgres_template(postgres_databases: postgres.Databases) -> Iterator[str]:
    """URL of a migrated, empty database: tests copy it, for migrating takes far longer."""
    url = postgres_databases.create()
    _migrate(url)
    yield url
    postgres_databases.drop(url)


@pytest.fixture(scope="session")
def postgres_copies(postgres_server: str, postgres_template: str) -> Iterator[postgres.Copies]:
    """Copies of that database, the next one always made already."""
    copies = postgres.Copies(postgres_server, postgres_template)
    yield copies
    copies.close()


@pytest.fixture
def postgres_url(postgres_copies: postgres.Copies) -> Iterator[str]:
    """URL of a migrated PostgreSQL database of this test alone."""
    url = postgres_copies.take()
    yield url
    postgres_copies.drop(url)


@pytest.fixture
def empty_postgres_url(postgres_databases: postgres.Databases) -> Iterator[str]:
    """URL of a PostgreSQL database of this test alone, without a single table."""
    url = postgres_databases.create()
    yield url
    postgres_databases.drop(url)


@pytest.fixture(scope="session")
def sqlite_template(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A migrated, empty SQLite file."""
    path = tmp_path_factory.mktemp("template") / "cd4ml.db"
    _migrate(f"sqlite:///{path}")
    return path


@pytest.fixture
def sqlite_url(sqlite_template: Path, tmp_path: Path) -> str:
    """URL of a migrated SQLite file of this test alone."""
    path = tmp_path / "cd4ml.db"
    shutil.copyfile(sqlite_template, path)
    return f"sqlite:///{path}"


@pytest.fixture(params=["sqlite", "postgres"])
def database_url(request: pytest.FixtureRequest) -> str:
    """URL of a migrated, empty database; the test runs once on each kind."""
    url: str = request.getfixturevalue(f"{request.param}_url")
    return url


@pytest.fixture
def database(database_url: str) -> "Iterator[Database]":
    """A migrated, empty database; the test runs once on each kind."""
    from cd4ml.store.database import open_database

    opened = open_database(database_url)
    yield opened
    opened.close()


@pytest.fixture(scope="module", params=["sqlite", "postgres"])
def shared_databases(
    request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory
) -> "Iterator[Callable[[], Database]]":
    """Makes migrated databases that a module fills and its tests only read; each kind in turn."""
    from cd4ml.store.database import open_database

    with ExitStack() as stack:

        def make() -> "Database":
            if request.param == "postgres":
                copies: postgres.Copies = request.getfixturevalue("postgres_copies")
                url = copies.take()
                stack.callback(copies.drop, url)
            else:
                path = tmp_path_factory.mktemp("shared") / "cd4ml.db"
                shutil.copyfile(request.getfixturevalue("sqlite_template"), path)
                url = f"sqlite:///{path}"
            return stack.enter_context(closing(open_database(url)))

        yield make


@pytest.fixture(scope="session")
def s3_server() -> Iterator[str]:
    """Address of an S3 server on which tests may create buckets."""
    given = os.environ.get("CD4ML_TEST_S3")
    if given:
        yield given
        return
    try:
        with s3.server() as endpoint:
            yield endpoint
    except ServiceUnavailable as reason:
        pytest.skip(f"no S3 server: {reason}")


@pytest.fixture
def s3_url(s3_server: str, monkeypatch: pytest.MonkeyPatch) -> str:
    """URL of an empty bucket of this test alone; the environment carries address and keys."""
    for name, value in s3.environment(s3_server).items():
        monkeypatch.setenv(name, value)
    return f"s3://{s3.create_bucket(s3_server)}/cd4ml"


@pytest.fixture
def files_url(tmp_path: Path) -> str:
    """A folder of this test alone, as `open_blobs` takes it."""
    return str(tmp_path / "blobs")


@pytest.fixture(params=["files", "s3"])
def blobs_url(request: pytest.FixtureRequest) -> str:
    """URL of an empty blob store; the test runs once on each kind."""
    url: str = request.getfixturevalue(f"{request.param}_url")
    return url


@pytest.fixture
def blobs(blobs_url: str, tmp_path: Path) -> "Blobs":
    """An empty blob store; the test runs once on each kind."""
    from cd4ml.store.blobs import open_blobs

    return open_blobs(blobs_url, cache=tmp_path / "cache")


@pytest.fixture
def file_store(database: "Database", blobs: "Blobs", blobs_url: str, tmp_path: Path) -> "FileStore":
    """An empty store of datasets' files; the test runs on each database and kind of store."""
    return open_file_store(database, blobs, blobs_url, tmp_path / "cache")


def open_file_store(
    database: "Database", blobs: "Blobs", blobs_url: str, cache: Path
) -> "FileStore":
    """The store of datasets' files below a blob store."""
    from cd4ml.store.file_store import FileStore
    from cd4ml.store.objects import open_objects

    return FileStore(database, blobs, open_objects(f"{blobs_url}/files"), cache=cache)


def _migrate(url: str) -> None:
    from cd4ml.store.database import open_database

    open_database(url).close()
