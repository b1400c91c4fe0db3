"""A store of files on what a laptop has: for tests of what does not depend on the store."""

from collections.abc import Iterator
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

from tests.conftest import open_file_store

if TYPE_CHECKING:
    from cd4ml.store.database import Database
    from cd4ml.store.file_store import FileStore


@pytest.fixture
def local_database(sqlite_url: str) -> "Iterator[Database]":
    """A migrated, empty SQLite file."""
    from cd4ml.store.database import open_database

    opened = open_database(sqlite_url)
    yield opened
    opened.close()


@pytest.fixture
def local_store(local_database: "Database", files_url: str, tmp_path: Path) -> "FileStore":
    """An empty store of files in a folder."""
    from cd4ml.store.blobs import open_blobs

    return open_file_store(local_database, open_blobs(files_url), files_url, tmp_path / "cache")
