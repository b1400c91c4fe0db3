"""Bytes under names that are given once, and entries that may be replaced, in a folder or in S3."""

from __future__ import annotations

import os
from contextlib import AbstractContextManager, suppress
from datetime import datetime
from pathlib import Path
from threading import get_ident
from typing import Any, NamedTuple

from cd4ml.errors import NotFound, Unavailable
from cd4ml.store.address import PREFIX, key_of
from cd4ml.store.disk import Disk
from cd4ml.store.object_store import reaching
from cd4ml.store.seen import is_gone

_ENTRIES = "entries"


class Named(NamedTuple):
    """Something in a store."""

    name: str
    size: int  # bytes
    stored_at: datetime  # by the store's own clock


class NamedObjects:
    """Objects under names, in a store.

    Every method raises `Unavailable` if the store does not answer or refuses.

    Args:
        store: An obstore store.
        url: What people know it by.
        folder: Its folder, where it is local; None for S3.
        cache: Where local copies of remote objects are kept.
    """

    def __init__(self, store: Any, *, url: str, folder: Path | None, cache: Path) -> None:
        self._store = store
        self._url = url
        self._folder = folder
        self._cache = cache
        self._disk = Disk(folder) if folder is not None else None
        self._root = folder  # what is never made anew

    @property
    def is_remote(self) -> bool:
        """Whether what is read is a local copy."""
        return self._folder is None

    @property
    def url(self) -> str:
        """Where it is: a folder or `s3://bucket/prefix`."""
        return self._url

    def create(self, name: str, data: bytes) -> bool:
        """Store bytes under a name, unless something has it; returns whether they are there now.

        Of several who create one name, one succeeds. On disk when this returns.
        """
        import obstore
        from obstore.exceptions import AlreadyExistsError

        self._require_root()
        with self._reaching(name):
            try:
                obstore.put(self._store, name, data, mode="create")
            except AlreadyExistsError:
                return False
            if self._disk is not None:
                self._disk.settle(self._disk.folder / name)
        return True

    async def create_soon(self, name: str, data: bytes) -> None:
        """Store bytes under a name that nobody has, without keeping the event loop waiting."""
        import obstore

        self._require_root()
        with self._reaching(name):
            await obstore.put_async(self._store, name, data, mode="create")
            if self._disk is not None:
                self._disk.settle(self._disk.folder / name)

    def names(self, prefix: str = "") -> list[Named]:
        """What is stored below a prefix, whatever it is: names, sizes and times."""
        import obstore

        with self._reaching(prefix):
            listed = obstore.list(self._store, prefix=prefix or None).collect()
        return [Named(each["path"], each["size"], each["last_modified"]) for each in listed]

    def read(self, name: str) -> bytes:
        """What is stored under a name that was created."""
        return self._read(name, name)

    def _read(self, asked: str, key: str) -> bytes:
        with self._reaching(asked):
            if self._folder is not None:  # a fifth of the time that it takes through obstore
                return (self._folder / key).read_bytes()
            import obstore

            return obstore.get(self._store, key).bytes().to_bytes()

    def remove(self, name: str) -> None:
        """Delete what is stored under a name or an address, and its local copy; it may be gone.

        Only for stores whose owner knows who else may need it: see `growing_table`.
        """
        import obstore

        key = key_of(name) if name.startswith(PREFIX) else name
        with suppress(NotFound), self._reaching(name):
            obstore.delete(self._store, key)
        if self._folder is None:
            (self._cache / key).unlink(missing_ok=True)

    def put_entry(self, name: str, data: bytes) -> None:
        """Write a small entry under a name; what was there is replaced, whole.

        Entries are hints that can be made again: nothing that has to last, or to be true,
        stands in one.
        """
        import obstore

        self._require_root()
        with self._reaching(name):
            if self._folder is None:
                obstore.put(self._store, f"{_ENTRIES}/{name}", data)
                return
            path = self._folder / _ENTRIES / name  # ten times as fast as through obstore
            path.parent.mkdir(parents=True, exist_ok=True)
            fresh = path.with_name(f"{path.name}.{os.getpid()}-{get_ident()}")
            fresh.write_bytes(data)
            fresh.replace(path)

    def get_entry(self, name: str) -> bytes | None:
        """The entry of a name; None if there is none."""
        import obstore

        try:
            with self._reaching(name):
                if self._folder is not None:
                    return (self._folder / _ENTRIES / name).read_bytes()
                return obstore.get(self._store, f"{_ENTRIES}/{name}").bytes().to_bytes()
        except NotFound:
            return None

    def _require_root(self) -> None:
        """Writing would make the folder anew, and what was in it would look lost."""
        if self._root is not None and is_gone(self._root):
            msg = f"the folder of the blobs {self._root} is gone, and nothing is made in its place"
            raise Unavailable(msg, hint="bring it back")

    def _reaching(self, name: str) -> AbstractContextManager[None]:
        missing = f"the blob store has nothing at {name}"
        return reaching(f"the blob store {self._url}", missing=missing)
