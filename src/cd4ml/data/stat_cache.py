"""What is known of files that have not changed since: their digests, without reading them.

As in git, a file counts as unchanged if its size, times and inode are as they were. A file
that was written to just before it was read could be written to once more without any of
these changing, so it is not trusted.
"""

from __future__ import annotations

import os
import tempfile
from collections.abc import Iterable, Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import IO

import msgspec

from cd4ml.data.files import Found, Listing, Stamp
from cd4ml.store.address import address_of, short

_RACY_NS = 2 * 10**9  # the coarsest clock of a file system (FAT)


class _Note(msgspec.Struct, frozen=True, array_like=True, gc=False):
    digest: str
    stamp: Stamp


class _Book(msgspec.Struct, frozen=True, array_like=True):
    begun_ns: int  # no file was read before
    notes: dict[str, _Note]


class StatCache:
    """The digests of a listing's files as they were when it was last looked at.

    A file of notes a listing; to lose one costs time and nothing else.
    """

    def __init__(self, folder: Path, listing: Listing, pattern: str) -> None:
        place = address_of(os.fsencode(f"{listing.root}\0{pattern}"))
        self._path = folder / f"{short(place)}.msgpack"
        self._listing = listing
        self._book = self._read()
        self._begun_ns = 0

    def known(self) -> dict[str, str]:
        """Name -> digest, of the files that have not changed."""
        found: dict[str, str] = {}
        notes, racy = self._book.notes, self._book.begun_ns - _RACY_NS
        for file in self._listing.files:
            note, stamp = notes.get(file.name), file.stamp
            if note is None or note.stamp != stamp:
                continue
            if stamp.modified_ns < racy and stamp.changed_ns < racy:
                found[file.name] = note.digest
        if len(found) < len(self._listing.files):
            self._begun_ns = self._clock()
        return found

    def note(self, digests: Iterable[tuple[Found, str]]) -> None:
        """Remember what these files hold, instead of what was known before.

        They were read after `known` was asked.
        """
        notes = {file.name: _Note(digest, file.stamp) for file, digest in digests}
        with suppress(OSError), _fresh(self._path.parent) as (file, path):  # else it will be slow
            file.write(msgspec.msgpack.encode(_Book(self._begun_ns, notes)))
            file.flush()
            path.replace(self._path)

    def _clock(self) -> int:
        """The time by the clock of a file system."""
        try:
            with _fresh(self._path.parent) as (file, _):
                return os.fstat(file.fileno()).st_mtime_ns
        except OSError:
            return 0

    def _read(self) -> _Book:
        try:
            return msgspec.msgpack.decode(self._path.read_bytes(), type=_Book)
        except (OSError, msgspec.MsgspecError):
            return _Book(0, {})


@contextmanager
def _fresh(folder: Path) -> Iterator[tuple[IO[bytes], Path]]:
    folder.mkdir(parents=True, exist_ok=True)
    descriptor, name = tempfile.mkstemp(dir=folder)
    try:
        with open(descriptor, "wb") as file:
            yield file, Path(name)
    finally:
        Path(name).unlink(missing_ok=True)
