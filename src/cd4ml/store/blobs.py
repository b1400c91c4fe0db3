"""Immutable bytes under their content address, in a folder or in S3.

An object is created once and never changed: two writers of the same bytes write the
same object. Whatever is read is hashed and compared with its address first; bytes that
were damaged where they lie are replaced when somebody puts the right ones again.
Pointers that move live in the database, never here.
"""

from __future__ import annotations

import os
import tempfile
from collections.abc import Iterable, Iterator
from contextlib import AbstractContextManager, contextmanager, suppress
from datetime import datetime, timedelta
from functools import lru_cache
from pathlib import Path
from threading import get_ident
from typing import Any, NamedTuple, TypeVar

import msgspec
from blake3 import blake3

from cd4ml.errors import ConfigurationError, Corrupted, InvalidInput, NotFound, Unavailable
from cd4ml.store.address import PREFIX, address_of, address_of_file, canonical
from cd4ml.store.seen import is_gone

R = TypeVar("R")

_STREAMED = 64 * 2**20  # bytes; a larger file is never in memory as a whole
_CHUNK = 8 * 2**20  # bytes; S3 wants parts of at least 5 MiB
_CONNECTIONS = 4  # parts of one large file on their way at once
_READ_ONLY, _WRITABLE = 0o444, 0o644
_ENTRIES = "entries"
# a store that is away is noticed within seconds, not after obstore's own three minutes
S3_RETRIES: Any = {"max_retries": 4, "retry_timeout": timedelta(seconds=30)}


class Named(NamedTuple):
    """Something in a store."""

    name: str
    size: int  # bytes
    stored_at: datetime  # by the store's own clock


class Blobs:
    """A content-addressed store of bytes.

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
        self._settled: set[Path] = set()  # folders whose own names are on disk
        self._root = folder  # what is never made anew

    @property
    def is_remote(self) -> bool:
        """Whether what is read is a local copy."""
        return self._folder is None

    def __reduce__(self) -> tuple[object, ...]:
        """Another process opens the same store for itself."""
        return _reopened, (self._url, self._cache)

    @property
    def url(self) -> str:
        """Where it is: a folder or `s3://bucket/prefix`."""
        return self._url

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
        if self._folder is None:
            return
        paths = [self._folder / key_of(address) for address in addresses]
        with self._reaching(self._url):
            for path in (*paths, *{path.parent for path in paths}):
                with suppress(FileNotFoundError):
                    _sync(path)
            if any(path.parent not in self._settled for path in paths):
                _sync(self._folder)
                self._settled.update(path.parent for path in paths)

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
            if self._folder is not None:
                self._settle(self._folder / name)
        return True

    async def create_soon(self, name: str, data: bytes) -> None:
        """Store bytes under a name that nobody has, without keeping the event loop waiting."""
        import obstore

        self._require_root()
        with self._reaching(name):
            await obstore.put_async(self._store, name, data, mode="create")
            if self._folder is not None:
                self._settle(self._folder / name)

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

    def _create(
        self, address: str, content: bytes | Iterator[bytes], *, is_settled: bool = True
    ) -> None:
        self._require_root()
        with self._reaching(address):
            found = self._found(address)
            if found != address and self._folder is not None and isinstance(content, bytes):
                self._write_here(self._folder / key_of(address), content, replaces=bool(found))
            elif found != address:
                self._write(address, content, replaces=bool(found))
            if self._folder is not None and is_settled:
                self._settle(self._folder / key_of(address))

    def _write_here(self, path: Path, content: bytes, *, replaces: bool) -> None:
        """As `_write`: without obstore's threads a small blob takes a third of the time."""
        # a name that listings leave out, as they do those of obstore's own unfinished files
        fresh = path.with_name(f"{path.name}#{int.from_bytes(os.urandom(7), 'big')}")
        flags = os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_CLOEXEC
        try:
            descriptor = os.open(fresh, flags, _WRITABLE)
        except FileNotFoundError:
            path.parent.mkdir(parents=True, exist_ok=True)
            self._settled.discard(path.parent)
            descriptor = os.open(fresh, flags, _WRITABLE)
        try:
            with open(descriptor, "wb") as file:
                file.write(content)
                os.fchmod(descriptor, _READ_ONLY)
            if replaces:
                fresh.replace(path)
            else:
                with suppress(FileExistsError):  # a writer of the same bytes came first
                    os.link(fresh, path)
        finally:
            fresh.unlink(missing_ok=True)

    def _settle(self, path: Path) -> None:
        # the object store writes and renames but does not sync: without this a power cut
        # could leave a recorded address without its bytes
        _sync(path)
        self._settle_name(path)
        if path.stat().st_uid == os.geteuid():
            path.chmod(_READ_ONLY)

    def _settle_name(self, path: Path) -> None:
        _sync(path.parent)
        if path.parent not in self._settled:
            _sync(path.parent.parent)
            self._settled.add(path.parent)

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
                    chunk_size=_CHUNK,
                    max_concurrency=_CONNECTIONS,
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
        for chunk in obstore.get(self._store, key_of(address)).stream(min_chunk_size=_CHUNK):
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
            fresh.chmod(_READ_ONLY)
            fresh.replace(path)
        finally:
            fresh.unlink(missing_ok=True)
        return path

    def _require_root(self) -> None:
        """Writing would make the folder anew, and what was in it would look lost."""
        if self._root is not None and is_gone(self._root):
            msg = f"the folder of the blobs {self._root} is gone, and nothing is made in its place"
            raise Unavailable(msg, hint="bring it back")

    def _reaching(self, address: str) -> AbstractContextManager[None]:
        missing = f"the blob store has nothing at {address}"
        return reaching(f"the blob store {self._url}", missing=missing)


def open_blobs(url: str, *, cache: Path | None = None) -> Blobs:
    """Open the blob store at a folder or at `s3://bucket/prefix`.

    S3 takes its endpoint, region and keys from the AWS_* environment variables.

    Raises:
        ConfigurationError: If the URL names neither.
        Unavailable: If the folder cannot be made.
    """
    from obstore.exceptions import BaseError
    from obstore.store import LocalStore, S3Store

    if url.startswith("s3://"):
        local = cache or Path(tempfile.gettempdir()) / "cd4ml-blobs"
        try:
            store = S3Store.from_url(url, retry_config=S3_RETRIES)
        except BaseError as error:
            raise no_store_at(url, first_line(error)) from None
        return Blobs(store, url=url, folder=None, cache=local)
    if "://" in url:
        raise no_store_at(url)
    folder = Path(url).absolute()
    try:
        folder.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        msg = f"the blobs' folder {folder} cannot be made: {error.strerror}"
        raise Unavailable(msg, hint="choose another with CD4ML_BLOBS or `[store] blobs`") from None
    return Blobs(LocalStore(prefix=folder), url=str(folder), folder=folder, cache=folder)


@lru_cache(maxsize=8)  # a worker gets it with each call, and connects once
def _reopened(url: str, cache: Path) -> Blobs:
    return open_blobs(url, cache=cache)


def _chunks(path: Path, address: str) -> Iterator[bytes]:
    """A file's bytes, read once; ends in an error if they are not what was hashed before."""
    hasher = blake3()
    with path.open("rb") as file:
        while chunk := file.read(_CHUNK):
            hasher.update(chunk)
            yield chunk
    if PREFIX + hasher.hexdigest() != address:
        msg = f"{path} changed while it was being stored"
        raise Corrupted(msg, hint="add it again when nobody writes to it")


def key_of(address: str) -> str:
    """The name under which the bytes of an address lie in their store.

    Raises:
        NotFound: If it is no address.
    """
    digest = address.removeprefix(PREFIX)
    if len(digest) != 64 or not set(digest) <= set("0123456789abcdef"):
        msg = f"expected a content address blake3:<64 hex digits>, got {address!r}"
        raise NotFound(msg)
    return f"{digest[:2]}/{digest[2:]}"


def _sync(path: Path) -> None:
    descriptor = os.open(path, os.O_RDONLY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)


def _corrupted(address: str) -> Corrupted:
    hint = "restore it from a backup, or compute it again"
    return Corrupted(f"the blob at {address} is not what was stored there", hint=hint)


def no_store_at(url: str, reason: str = "") -> ConfigurationError:
    """The refusal of a URL at which nothing can be kept."""
    msg = f"expected a folder or s3://bucket/prefix for the blobs, got {url!r}"
    return ConfigurationError(msg, hint=reason or "for example s3://models/cd4ml")


@contextmanager
def reaching(store: str, *, missing: str) -> Iterator[None]:
    """What goes wrong with a store, in its name.

    Raises:
        NotFound: If what is asked for is not there.
        Unavailable: If the store does not work.
    """
    from obstore.exceptions import BaseError

    try:
        yield
    except FileNotFoundError:
        raise NotFound(missing) from None
    except (BaseError, OSError) as error:
        msg = f"{store} does not work: {first_line(error)}"
        hint = "is it reachable, is there room, and may this user write there?"
        raise Unavailable(msg, hint=hint) from None


def first_line(error: Exception) -> str:
    """What an error says first, or what it is."""
    return str(error).strip().splitlines()[0] if str(error).strip() else type(error).__name__
