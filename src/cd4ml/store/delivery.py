"""Files on their way into the store, before anybody knows of them."""

from __future__ import annotations

import os
import stat
from contextlib import suppress
from pathlib import Path

from cd4ml.errors import Unavailable
from cd4ml.records.stored_file import StoredFile
from cd4ml.store.objects import Objects, Way

PACK = 32 * 2**20  # bytes; a pack is closed when it has as many
_PACKED = 256 * 2**10  # bytes; smaller files lie side by side


class Delivery:
    """Files on their way into the store; nobody sees them before they are settled.

    Close it, or use it in a `with` block: an error removes what was put.

    Args:
        objects: Where the bytes go.
        way: How a file becomes an object of its own.
        is_packing: Whether small files lie side by side. One that lies alone can be read
            where it is.
    """

    def __init__(self, objects: Objects, *, way: Way = "copy", is_packing: bool = True) -> None:
        self._objects = objects
        self._way = way
        self.is_packing = is_packing and way == "copy"
        self._stored: dict[str, StoredFile] = {}
        self._pack: list[tuple[str, bytes]] = []
        self._packed = 0
        self._names: dict[str, tuple[Path | str | None, int]] = {}  # object -> its file, its mode

    @property
    def packed_below(self) -> int:
        """Files of fewer bytes lie side by side with others."""
        return _PACKED if self.is_packing else 0

    def put(self, digest: str, data: bytes) -> None:
        """Take the bytes of a small file."""
        if digest in self._stored:
            return
        self._stored[digest] = StoredFile(digest=digest, object="", offset=0, size=len(data))
        self._pack.append((digest, data))
        self._packed += len(data)
        if self._packed >= PACK:
            self._close_pack()

    def put_file(self, path: Path | str) -> str:
        """Take a file as an object of its own; returns the digest of what was taken.

        Raises:
            OSError: If the file cannot be opened.
        """
        mode = os.stat(path).st_mode
        name, digest, size = self._objects.put_file(path, way=self._way)
        self._names[name] = (path, mode)
        if digest in self._stored:
            self._remove(name)
            return digest
        self._stored[digest] = StoredFile(digest=digest, object=name, offset=0, size=size)
        return digest

    def has(self, digest: str) -> bool:
        """Whether these bytes were put already."""
        return digest in self._stored

    def close(self) -> tuple[StoredFile, ...]:
        """What was put, with its places; all of it is on disk."""
        self._close_pack()
        return tuple(self._stored.values())

    def undo(self) -> None:
        """Remove what was put; files that were given a second name may be written to again."""
        with suppress(Unavailable):  # then it is left to be swept
            for name in list(self._names):
                self._remove(name)

    def _remove(self, name: str) -> None:
        path, mode = self._names.pop(name)
        self._objects.remove([name])
        if path is not None and self._way == "hardlink":
            os.chmod(path, stat.S_IMODE(mode))

    def __enter__(self) -> Delivery:
        return self

    def __exit__(self, kind: type[BaseException] | None, *_: object) -> None:
        if kind is not None:
            self.undo()

    def _close_pack(self) -> None:
        if not self._pack:
            return
        name = self._objects.put([b"".join(data for _, data in self._pack)])
        self._names[name] = (None, 0)
        offset = 0
        for digest, data in self._pack:
            place = StoredFile(digest=digest, object=name, offset=offset, size=len(data))
            self._stored[digest] = place
            offset += len(data)
        self._pack, self._packed = [], 0
