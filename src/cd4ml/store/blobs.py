"""Immutable bytes under their content address, in a folder or in S3.

An object is created once and never overwritten: two writers of the same bytes
write the same object. Whatever is read is hashed and compared with its address
first. Pointers that move live in the database, never here.
"""

from __future__ import annotations

import os
import tempfile
from pathlib import Path
from typing import Any, TypeVar

import msgspec

from cd4ml.errors import ConfigurationError, Corrupted, NotFound, Unavailable
from cd4ml.store.address import PREFIX, address_of, address_of_file, canonical

R = TypeVar("R")


class Blobs:
    """A content-addressed store of bytes.

    Args:
        store: An obstore store.
        folder: Its folder, where it is local; None for S3.
        cache: Where local copies of remote objects are kept.
    """

    def __init__(self, store: Any, *, folder: Path | None, cache: Path) -> None:
        self._store = store
        self._folder = folder
        self._cache = cache

    def put(self, data: bytes) -> str:
        """Store bytes; returns their address. On disk when this returns."""
        address = address_of(data)
        self._create(address, data)
        return address

    def put_file(self, path: Path) -> str:
        """Store a file's bytes; returns their address.

        Raises:
            Corrupted: If the file changed while it was read.
        """
        address = address_of_file(path)
        data = path.read_bytes()
        if address_of(data) != address:
            msg = f"{path} changed while it was being stored"
            raise Corrupted(msg, hint="add it again when nobody writes to it")
        self._create(address, data)
        return address

    def put_record(self, record: Any) -> str:
        """Store a record as its canonical JSON; returns its address."""
        return self.put(canonical(record))

    def get(self, address: str) -> bytes:
        """The bytes at an address, verified.

        Raises:
            NotFound: If nothing is stored there.
            Corrupted: If what is stored has another digest.
        """
        data = self._read(address)
        if address_of(data) != address:
            raise _corrupted(address)
        return data

    def get_record(self, address: str, kind: type[R]) -> R:
        """The record at an address, verified."""
        return msgspec.json.decode(self.get(address), type=kind)

    def path(self, address: str) -> Path:
        """A local, verified, read-only file with the bytes at an address.

        Raises:
            NotFound: If nothing is stored there.
            Corrupted: If what is stored has another digest.
        """
        if self._folder is None:
            return self._cached(address)
        path = self._folder / _key(address)
        if not path.exists():
            raise _not_found(address)
        if address_of_file(path) != address:
            raise _corrupted(address)
        return path

    def has(self, address: str) -> bool:
        """Whether something is stored at an address."""
        import obstore

        try:
            obstore.head(self._store, _key(address))
        except FileNotFoundError:
            return False
        return True

    def _create(self, address: str, data: bytes) -> None:
        import obstore
        from obstore.exceptions import AlreadyExistsError, BaseError

        key = _key(address)
        try:
            obstore.put(self._store, key, data, mode="create")
        except AlreadyExistsError:
            return
        except (BaseError, OSError) as error:
            msg = f"the blob store refused {address}: {_first_line(error)}"
            raise Unavailable(msg, hint="is there room, and may this user write there?") from None
        if self._folder is not None:
            _flush(self._folder / key)

    def _read(self, address: str) -> bytes:
        import obstore
        from obstore.exceptions import BaseError

        try:
            return obstore.get(self._store, _key(address)).bytes().to_bytes()
        except FileNotFoundError:
            raise _not_found(address) from None
        except (BaseError, OSError) as error:
            msg = f"the blob store did not give {address}: {_first_line(error)}"
            raise Unavailable(msg, hint="is it reachable?") from None

    def _cached(self, address: str) -> Path:
        path = self._cache / _key(address)
        if path.exists() and address_of_file(path) == address:
            return path
        path.parent.mkdir(parents=True, exist_ok=True)
        with tempfile.NamedTemporaryFile(dir=path.parent, delete=False) as file:
            file.write(self.get(address))
        Path(file.name).replace(path)
        return path


def open_blobs(url: str, *, cache: Path | None = None) -> Blobs:
    """Open the blob store at a folder or at `s3://bucket/prefix`.

    S3 takes its endpoint, region and keys from the AWS_* environment variables.

    Raises:
        ConfigurationError: If the URL names neither.
    """
    from obstore.store import LocalStore, S3Store

    if url.startswith("s3://"):
        local = cache or Path(tempfile.gettempdir()) / "cd4ml-blobs"
        return Blobs(S3Store.from_url(url), folder=None, cache=local)
    if "://" in url:
        msg = f"expected a folder or s3://bucket/prefix for the blobs, got {url!r}"
        raise ConfigurationError(msg)
    folder = Path(url).absolute()
    folder.mkdir(parents=True, exist_ok=True)
    return Blobs(LocalStore(prefix=folder), folder=folder, cache=folder)


def _key(address: str) -> str:
    digest = address.removeprefix(PREFIX)
    if len(digest) != 64 or not set(digest) <= set("0123456789abcdef"):
        msg = f"expected a content address blake3:<64 hex digits>, got {address!r}"
        raise NotFound(msg)
    return f"{digest[:2]}/{digest[2:]}"


def _flush(path: Path) -> None:
    # the object store writes and renames but does not sync: without this a power cut
    # could leave a recorded address without its bytes
    for target in (path, path.parent):
        descriptor = os.open(target, os.O_RDONLY)
        try:
            os.fsync(descriptor)
        finally:
            os.close(descriptor)


def _not_found(address: str) -> NotFound:
    return NotFound(f"the blob store has nothing at {address}")


def _corrupted(address: str) -> Corrupted:
    hint = "restore it from a backup, or compute it again"
    return Corrupted(f"the blob at {address} is not what was stored there", hint=hint)


def _first_line(error: Exception) -> str:
    return str(error).strip().splitlines()[0] if str(error).strip() else type(error).__name__
