"""Immutable objects under names that are given once, in a folder or in S3.

Unlike `blobs`, which name their bytes, an object's name says nothing about what is in it:
storing the same bytes twice gives two objects. That makes removing safe, as nobody can come
to need an object that is being removed.
"""

from __future__ import annotations

import errno
import os
import re
import secrets
from collections.abc import Iterable, Iterator, Sequence
from contextlib import AbstractContextManager, contextmanager, suppress
from datetime import UTC, datetime
from pathlib import Path
from typing import IO, Any, Literal, NamedTuple

from blake3 import blake3

from cd4ml.errors import InvalidInput, NotFound
from cd4ml.store.address import PREFIX, address_of_file, digest_of
from cd4ml.store.copying import copied, write
from cd4ml.store.disk import READ_ONLY, sync
from cd4ml.store.object_store import CHUNK, CONNECTIONS, local_folder, made, reaching, s3_store

Way = Literal["copy", "hardlink"]

_FICLONE = 0x40049409  # linux/fs.h: share the blocks of another file (btrfs, xfs, ...)
_PART = ".part"  # what is being written
_NAME = re.compile(r"[0-9a-f]{2}/[0-9a-f]{30}(\.part)?")


class Listed(NamedTuple):
    """An object as the store lists it."""

    name: str
    size: int  # bytes
    stored_at: datetime  # by the store's own clock


class Put(NamedTuple):
    """A file's bytes as they were stored."""

    name: str
    digest: str
    size: int  # bytes


class Objects:
    """Immutable objects in one folder or below one prefix of S3.

    Every method raises `Unavailable` if the store does not answer or refuses, and `NotFound`
    if an object is not there. What a method has stored is on disk when it returns.

    Args:
        store: An obstore store.
        url: What people know it by.
        folder: Its folder, where it is local; None for S3.
    """

    def __init__(self, store: Any, *, url: str, folder: Path | None) -> None:
        self._store = store
        self.url = url
        self.folder = folder

    def put(self, parts: Iterable[bytes]) -> str:
        """Store bytes, given in parts; returns the object's name."""
        name = _fresh_name()
        with self._reaching(name):
            if self.folder is None:
                self._send(name, iter(parts))
            else:
                with _written(self.folder / name) as descriptor:
                    for part in parts:
                        write(descriptor, part)
        return name

    def put_file(self, path: Path | str, *, way: Way = "copy") -> Put:
        """Store a file's bytes as they are now.

        Blocks are shared where the file system can (reflink), else copied. A hard link is
        the file itself under a second name: it costs nothing, and is read-only from then on,
        because writing to one would change the other.

        Raises:
            OSError: If the file itself cannot be opened.
            InvalidInput: If it cannot have a second name in the store.
        """
        name = _fresh_name()
        with open(path, "rb", buffering=0) as source, self._reaching(name):
            if self.folder is None:
                passing = _Passing(source)
                self._send(name, iter(passing))
                return Put(name, passing.digest, passing.size)
            if way == "hardlink":
                _link(path, self.folder / name)
            else:
                with _written(self.folder / name) as descriptor:
                    if not _cloned(source.fileno(), descriptor):
                        return Put(name, *copied(source.fileno(), descriptor))
            # what lies in the store is hashed, not what may have changed since it was shared
            return Put(name, self.digest(name), self.size(name))

    def path(self, name: str) -> Path | None:
        """The local file that an object is; None where objects are not files."""
        return None if self.folder is None else self.folder / _checked(name)

    def read(self, name: str, stretches: Sequence[tuple[int, int]]) -> list[bytes]:
        """Some stretches (offset, size) of an object, in the order they are asked for.

        Of a stretch that ends behind the object's end, less or nothing is there.
        """
        with self._reaching(name):
            if self.folder is not None:
                return _read(self.folder / _checked(name), stretches)
            length = self.size(name)  # obstore panics if it is asked for what is behind the end
            there = [(at, size) for at, size in stretches if size and at + size <= length]
            found = dict(zip(there, self._ranges(name, there), strict=True))
            return [found.get(stretch, b"") for stretch in stretches]

    def _ranges(self, name: str, stretches: Sequence[tuple[int, int]]) -> list[bytes]:
        import obstore

        if not stretches:
            return []
        starts, lengths = zip(*stretches, strict=True)
        found = obstore.get_ranges(self._store, _checked(name), starts=starts, lengths=lengths)
        return [part.to_bytes() for part in found]

    def chunks(self, name: str) -> Iterator[bytes]:
        """A whole object, some megabytes at a time."""
        import obstore

        with self._reaching(name):
            for chunk in obstore.get(self._store, _checked(name)).stream(min_chunk_size=CHUNK):
                yield bytes(chunk)

    def digest(self, name: str) -> str:
        """The content address of what an object holds."""
        if self.folder is None:
            return digest_of(self.chunks(name))
        with self._reaching(name):
            return address_of_file(self.folder / _checked(name))

    def size(self, name: str) -> int:
        """How many bytes an object has."""
        import obstore

        with self._reaching(name):
            if self.folder is not None:
                return (self.folder / _checked(name)).stat().st_size
            size: int = obstore.head(self._store, _checked(name))["size"]
            return size

    def reaches(self, name: str, end: int) -> bool:
        """Whether an object is there and has at least so many bytes."""
        try:
            return self.size(name) >= end
        except NotFound:
            return False

    def remove(self, names: Iterable[str]) -> None:
        """Remove objects; those that are gone already do not matter."""
        import obstore

        for name in names:
            with suppress(NotFound), self._reaching(name):
                if self.folder is not None:
                    (self.folder / _checked(name)).unlink()
                else:
                    obstore.delete(self._store, _checked(name))

    def list(self) -> Iterator[Listed]:
        """Every object there is, and what is left of those that were never finished."""
        import obstore

        with self._reaching("*"):
            if self.folder is not None:
                yield from _listed(self.folder)
                return
            for batch in obstore.list(self._store):
                for entry in batch:
                    yield Listed(entry["path"], entry["size"], entry["last_modified"])

    def now(self) -> datetime:
        """The time by the clock that objects are stamped with."""
        import obstore

        name = self.put([b"now"])
        try:
            with self._reaching(name):
                if self.folder is not None:
                    return _stored_at((self.folder / name).stat())
                stored_at: datetime = obstore.head(self._store, name)["last_modified"]
                return stored_at
        finally:
            self.remove([name])

    def _send(self, name: str, content: Iterator[bytes]) -> None:
        import obstore

        try:
            obstore.put(self._store, name, content, chunk_size=CHUNK, max_concurrency=CONNECTIONS)
        except FileNotFoundError as error:  # S3 says so if the bucket is missing
            raise OSError(str(error)) from None

    def _reaching(self, name: str) -> AbstractContextManager[None]:
        store = f"the store {self.url}"
        return reaching(store, missing=f"{store} has no object {name}")


def open_objects(url: str) -> Objects:
    """Open the objects in a folder or at `s3://bucket/prefix`.

    S3 takes its endpoint, region and keys from the AWS_* environment variables.

    Raises:
        ConfigurationError: If the URL names neither.
        Unavailable: If the folder cannot be made.
    """
    folder = local_folder(url)
    if folder is None:
        return Objects(s3_store(url), url=url, folder=None)
    return Objects(made(folder, what="the folder"), url=str(folder), folder=folder)


def _fresh_name() -> str:
    name = secrets.token_hex(16)
    return f"{name[:2]}/{name[2:]}"


def _checked(name: str) -> str:
    if not _NAME.fullmatch(name):
        raise NotFound(f"no object can be named {name!r}")
    return name


def _listed(folder: Path) -> Iterator[Listed]:
    for path in sorted(folder.glob("??/*")):
        name = str(path.relative_to(folder))
        with suppress(FileNotFoundError):  # removed meanwhile
            if _NAME.fullmatch(name):
                found = path.stat()
                yield Listed(name, found.st_size, _stored_at(found))


def _stored_at(found: os.stat_result) -> datetime:
    # not when it was modified: a hard link brings that along, and anybody may set it
    return datetime.fromtimestamp(found.st_ctime, UTC)


@contextmanager
def _written(path: Path) -> Iterator[int]:
    """A descriptor to write to; the file has its name when the block has ended well."""
    _make_folder(path.parent)
    fresh = path.with_name(f"{path.name}{_PART}")
    descriptor = os.open(fresh, os.O_RDWR | os.O_CREAT | os.O_EXCL, READ_ONLY)
    try:
        yield descriptor
        os.fsync(descriptor)
        fresh.rename(path)
    except BaseException:
        fresh.unlink(missing_ok=True)
        raise
    finally:
        os.close(descriptor)
    sync(path.parent)


def _link(source: Path | str, path: Path) -> None:
    _make_folder(path.parent)
    try:
        path.hardlink_to(os.path.realpath(source))
        path.chmod(READ_ONLY)
    except OSError as error:
        path.unlink(missing_ok=True)
        if error.errno not in (errno.EXDEV, errno.EPERM, errno.EMLINK):
            raise
        msg = (
            f"a file cannot have a second name in the store {path.parent.parent}: {error.strerror}"
        )
        hint = 'that takes one file system and your own files; store = "copy" takes neither'
        raise InvalidInput(msg, hint=hint) from None
    sync(path)
    sync(path.parent)


def _make_folder(folder: Path) -> None:
    if not folder.is_dir():
        folder.mkdir(parents=True, exist_ok=True)
        sync(folder.parent)


def _cloned(origin: int, target: int) -> bool:
    import fcntl

    try:
        fcntl.ioctl(target, _FICLONE, origin)
    except OSError:  # another file system, or one that cannot
        return False
    return True


def _read(path: Path, stretches: Sequence[tuple[int, int]]) -> list[bytes]:
    descriptor = os.open(path, os.O_RDONLY)
    try:
        return [os.pread(descriptor, size, offset) for offset, size in stretches]
    finally:
        os.close(descriptor)


class _Passing:
    """A file's bytes on their way; afterwards it says what went by."""

    def __init__(self, source: IO[bytes]) -> None:
        self._source = source
        self._hasher = blake3(max_threads=blake3.AUTO)
        self.size = 0

    def __iter__(self) -> Iterator[bytes]:
        while chunk := self._source.read(CHUNK):
            self._hasher.update(chunk)
            self.size += len(chunk)
            yield chunk

    @property
    def digest(self) -> str:
        return PREFIX + self._hasher.hexdigest()
