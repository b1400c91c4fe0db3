"""Builders of folders of files, and what is in a folder."""

import os
from datetime import datetime
from pathlib import Path
from typing import TYPE_CHECKING, Any

from cd4ml.data.catalog import register
from cd4ml.data.snapshot import look, snapshot_files
from cd4ml.data.versions import publish
from cd4ml.records.dataset import DatasetVersion

if TYPE_CHECKING:
    from cd4ml.store.database import Database
    from cd4ml.store.file_store import FileStore


def lay_out(folder: Path, **files: bytes) -> Path:
    """Write files into a folder; a name with `__` lies in a folder of its own."""
    for name, data in files.items():
        path = folder / name.replace("__", "/")
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(data)
    return folder


def content(folder: Path) -> dict[bytes, bytes | None]:
    """Every file below a folder with its bytes, and every empty folder with None."""
    root = os.fsencode(folder)
    found: dict[bytes, bytes | None] = {}
    for place, folders, names in os.walk(root):
        for name in names:
            path = os.path.join(place, name)
            with open(path, "rb") as file:
                found[os.path.relpath(path, root)] = file.read()
        if not folders and not names and place != root:
            found[os.path.relpath(place, root)] = None
    return found


def add(
    database: "Database",
    store: "FileStore",
    root: Path,
    pattern: str = ".",
    *,
    at: datetime,
    dataset: str = "pictures",
    **options: Any,
) -> DatasetVersion:
    """Make a version of what a pattern names now."""
    snapshot = snapshot_files(store, look(store, root, pattern), **options)
    with database.write() as connection:
        register(connection, name=dataset, at=at, actor="ada")
        return publish(connection, snapshot, dataset=dataset, at=at, actor="ada")


def objects(store: "FileStore") -> dict[str, int]:
    """Name -> size of every object in a store."""
    return {entry.name: entry.size for entry in store.objects.list()}
