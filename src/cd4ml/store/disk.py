"""What is written to a folder to last: whole or not at all, and there after a power cut."""

from __future__ import annotations

import os
from collections.abc import Iterable
from contextlib import suppress
from pathlib import Path

READ_ONLY = 0o444
_WRITABLE = 0o644


def sync(path: Path) -> None:
    """Bring a file, or the names in a folder, to the disk."""
    descriptor = os.open(path, os.O_RDONLY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)


class Disk:
    """A folder of folders of read-only files.

    Args:
        folder: Where they lie.
    """

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self._settled: set[Path] = set()  # folders whose own names are on disk

    def write(self, path: Path, content: bytes, *, replaces: bool) -> None:
        """Write a small file; without obstore's threads that takes a third of the time."""
        # a name that listings leave out, as they do those of obstore's own unfinished files
        fresh = path.with_name(f"{path.name}#{int.from_bytes(os.urandom(7), 'big')}")
        descriptor = self._opened(fresh)
        try:
            with open(descriptor, "wb") as file:
                file.write(content)
                os.fchmod(descriptor, READ_ONLY)
            if replaces:
                fresh.replace(path)
            else:
                with suppress(FileExistsError):  # a writer of the same bytes came first
                    os.link(fresh, path)
        finally:
            fresh.unlink(missing_ok=True)

    def _opened(self, fresh: Path) -> int:
        flags = os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_CLOEXEC
        try:
            return os.open(fresh, flags, _WRITABLE)
        except FileNotFoundError:
            fresh.parent.mkdir(parents=True, exist_ok=True)
            self._settled.discard(fresh.parent)
            return os.open(fresh, flags, _WRITABLE)

    def settle(self, path: Path) -> None:
        """Bring a file that was written, and its name, to the disk."""
        # the object store writes and renames but does not sync: without this a power cut
        # could leave a recorded address without its bytes
        sync(path)
        self._settle_name(path)
        if path.stat().st_uid == os.geteuid():
            path.chmod(READ_ONLY)

    def _settle_name(self, path: Path) -> None:
        sync(path.parent)
        if path.parent not in self._settled:
            sync(path.parent.parent)
            self._settled.add(path.parent)

    def settle_all(self, paths: Iterable[Path]) -> None:
        """The same of many at once; those that are gone meanwhile do not matter."""
        written = list(paths)
        for path in (*written, *{path.parent for path in written}):
            with suppress(FileNotFoundError):
                sync(path)
        if any(path.parent not in self._settled for path in written):
            sync(self.folder)
            self._settled.update(path.parent for path in written)
