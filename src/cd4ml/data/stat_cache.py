"""What is known of files that have not changed since: their digests, without reading them.

As in git, a file counts as unchanged if its size, times and inode are as they were. A file
that was written to just before the notes were taken could be written to once more without
any of these changing, so it is not trusted.
"""

from __future__ import annotations

import os
import tempfile
from collections.abc import Iterable
from contextlib import suppress
from pathlib import Path

import msgspec

from cd4ml.data.files import Found, Listing
from cd4ml.store.address import address_of, short

_RACY_NS = 2 * 10**9  # the coarsest clock of a file system (FAT)
_Notes = dict[str, tuple[str, int, int, int, int]]


class StatCache:
    """The digests of a listing's files as they were when it was last looked at.

    A file of notes a listing; to lose one costs time and nothing else.
    """

    def __init__(self, folder: Path, listing: Listing, pattern: str) -> None:
        place = address_of(os.fsencode(f"{listing.root}\0{pattern}"))
        self._path = folder / f"{short(place)}.msgpack"
        self._listing = listing
        self._notes, self._taken_ns = self._read()

    def known(self) -> dict[str, str]:
        """Name -> digest, of the files that have not changed."""
        found: dict[str, str] = {}
        racy = self._taken_ns - _RACY_NS
        for name, _, stamp in self._listing.files:
            note = self._notes.get(name)
            if note is None or note[1:] != stamp:
                continue
            if stamp.modified_ns < racy and stamp.changed_ns < racy:
                found[name] = note[0]
        return found

    def note(self, digests: Iterable[tuple[Found, str]]) -> None:
        """Remember what these files hold, instead of what was known before."""
        notes = {file.name: (digest, *file.stamp) for file, digest in digests}
        with suppress(OSError):  # a folder that cannot be written to: it will be slow
            self._path.parent.mkdir(parents=True, exist_ok=True)
            descriptor, name = tempfile.mkstemp(dir=self._path.parent)
            with open(descriptor, "wb") as file:
                file.write(msgspec.msgpack.encode(notes))
            Path(name).replace(self._path)

    def _read(self) -> tuple[_Notes, int]:
        try:
            with self._path.open("rb") as file:
                taken_ns = os.fstat(file.fileno()).st_mtime_ns
                return msgspec.msgpack.decode(file.read(), type=_Notes), taken_ns
        except (OSError, msgspec.MsgspecError):
            return {}, 0
