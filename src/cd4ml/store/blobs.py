"""Immutable bytes under their content address, in a folder or in S3.

An object is created once and never changed: two writers of the same bytes write the
same object. Whatever is read is hashed and compared with its address first; bytes that
were damaged where they lie are replaced when somebody puts the right ones again.
Pointers that move live in the database, never here.
"""

from __future__ import annotations

import tempfile
from collections.abc import Iterable, Iterator
from contextlib import suppress
from functools import lru_cache
from pathlib import Path
from typing import Any, TypeVar

import msgspec
from blake3 import blake3

from cd4ml.errors import Corrupted, InvalidInput, NotFound
from cd4ml.store.address import PREFIX, address_of, address_of_file, canonical, key_of
from cd4ml.store.disk import READ_ONLY
from cd4ml.store.named_objects import NamedObjects
from cd4ml.store.object_store import CHUNK, CONNECTIONS, local_folder, made, s3_store

R = TypeVar("R")

_STREAMED = 64 * 2**20  # bytes; a larger file is never in memory as a whole


class Blobs(NamedObjects):
    """A content-addressed store of bytes; what is named otherwise lies beside."""

    def __reduce__(self) -> tuple[object, ...]:
        """Another process opens the same store for itself."""
        return _reopened, (self._url, self._cache)

    def below(self, name: str) -> Blobs:
        """Another store of its own in a folder, or below a prefix, of this one."""
        self._require_root()
        there = open_blobs(f"{self._url.rstrip('/')}/{name}", cache=self._cache / name)
        there._root = self._root
        return there

    def put(self, data: bytes, *, is_settled: bool = True) -> str:
        """Store bytes; returns their address. On disk when this returns, unless `settle` sees to it."""
        address = address_of(data)
        self._create(address, data, is_settled=is_settled)
        return address

    def settle(self, addresses: Iterable[str]) -> None:
        """Bring to the disk what was put without; what is gone meanwhile is left to who asks for it."""
        if self._disk is None:
            return
        paths = [self._disk.folder / key_of(address) for address in addresses]
        with self._reaching(self._url):
            self._disk.settle_all(paths)

    def put_file(self, path: Path) -> str:
        """Store a file's bytes; returns their address. On disk when this returns.

        Raises:
            InvalidInput: If it is no file that can be read.
            Corrupted: If it changed meanwhile; then nothing was stored.
        """
        try:
            address = address_of_file(path)
            is_large = path.stat().st_size > _STREAMED
            content = _chunks(path, address) if is_large else b"".join(_chunks(path, address))
        except OSError as error:
            raise InvalidInput(f"{path} cannot be read: {error.strerror or error}") from None
        self._create(address, content)
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
        data = self._read(address, key_of(address))
        if address_of(data) != address:
            raise _corrupted(address)
        return data

    def get_record(self, address: str, kind: type[R]) -> R:
        """The record at an address, verified.

        Raises:
            NotFound: If nothing is stored there.
            Corrupted: If what is stored has another digest, or is no such record.
        """
        try:
            return msgspec.json.decode(self.get(address), type=kind)
        except msgspec.MsgspecError as error:
            msg = f"the blob at {address} is no {kind.__name__}: {error}"
            raise Corrupted(msg, hint="a newer cd4ml may have written it") from None

    def path(self, address: str) -> Path:
        """A local, verified, read-only file with the bytes at an address.

        Raises:
            NotFound: If nothing is stored there.
            Corrupted: If what is stored has another digest.
        """
        with self._reaching(address):
            if self._folder is None:
                return self._cached(address)
            path = self._folder / key_of(address)
            if address_of_file(path) != address:
                raise _corrupted(address)
            return path

    def has(self, address: str) -> bool:
        """Whether something is stored at an address."""
        import obstore

        try:
            with self._reaching(address):
                obstore.head(self._store, key_of(address))
        except NotFound:
            return False
        return True

    def _create(
        self, address: str, content: bytes | Iterator[bytes], *, is_settled: bool = True
    ) -> None:
        self._require_root()
        with self._reaching(address):
            found = self._found(address)
            if found != address and self._disk is not None and isinstance(content, bytes):
                path = self._disk.folder / key_of(address)
                self._disk.write(path, content, replaces=bool(found))
            elif found != address:
                self._write(address, content, replaces=bool(found))
            if self._disk is not None and is_settled:
                self._disk.settle(self._disk.folder / key_of(address))

    def _write(self, address: str, content: bytes | Iterator[bytes], *, replaces: bool) -> None:
        """Write bytes; those that are there and wrong can only be damage, and are replaced whole."""
        import obstore
        from obstore.exceptions import AlreadyExistsError

        # a stream that must create is gathered in memory by obstore
        mode: Any = "create" if isinstance(content, bytes) and not replaces else "overwrite"
        try:
            with suppress(AlreadyExistsError):  # a writer of the same bytes came first
                obstore.put(
                    self._store,
                    key_of(address),
                    content,
                    mode=mode,
                    chunk_size=CHUNK,
                    max_concurrency=CONNECTIONS,
                )
        except FileNotFoundError as error:  # S3 says so if the bucket is missing
            raise OSError(str(error)) from None

    def _found(self, address: str) -> str:
        """The address of what is stored there now, "" for nothing."""
        try:
            if self._folder is not None:
                return address_of_file(self._folder / key_of(address))
            return self._receive(address, sink=None)
        except FileNotFoundError:
            return ""

    def _receive(self, address: str, sink: Any) -> str:
        import obstore

        hasher = blake3()
        for chunk in obstore.get(self._store, key_of(address)).stream(min_chunk_size=CHUNK):
            hasher.update(chunk)
            if sink is not None:
                sink.write(chunk)
        return PREFIX + hasher.hexdigest()

    def _cached(self, address: str) -> Path:
        path = self._cache / key_of(address)
        if path.exists() and address_of_file(path) == address:
            return path
        path.parent.mkdir(parents=True, exist_ok=True)
        descriptor, name = tempfile.mkstemp(dir=path.parent)
        fresh = Path(name)
        try:
            with open(descriptor, "wb") as file:
                received = self._receive(address, sink=file)
            if received != address:
                raise _corrupted(address)
            fresh.chmod(READ_ONLY)
            fresh.replace(path)
        finally:
            fresh.unlink(missing_ok=True)
        return path


def open_blobs(url: str, *, cache: Path | None = None) -> Blobs:
    """Open the blob store at a folder or at `s3://bucket/prefix`.

    S3 takes its endpoint, region and keys from the AWS_* environment variables.

    Raises:
        ConfigurationError: If the URL names neither.
        Unavailable: If the folder cannot be made.
    """
    folder = local_folder(url)
    if folder is None:
        local = cache or Path(tempfile.gettempdir()) / "cd4ml-blobs"
        return Blobs(s3_store(url), url=url, folder=None, cache=local)
    store = made(folder, what="the blobs' folder")
    return Blobs(store, url=str(folder), folder=folder, cache=folder)


@lru_cache(maxsize=8)  # a worker gets it with each call, and connects once
def _reopened(url: str, cache: Path) -> Blobs:
    return open_blobs(url, cache=cache)


def _chunks(path: Path, address: str) -> Iterator[bytes]:
    """A file's bytes, read once; ends in an error if they are not what was hashed before."""
    hasher = blake3()
    with path.open("rb") as file:
        while chunk := file.read(CHUNK):
            hasher.update(chunk)
            yield chunk
    if PREFIX + hasher.hexdigest() != address:
        msg = f"{path} changed while it was being stored"
        raise Corrupted(msg, hint="add it again when nobody writes to it")


def _corrupted(address: str) -> Corrupted:
    hint = "restore it from a backup, or compute it again"
    return Corrupted(f"the blob at {address} is not what was stored there", hint=hint)
