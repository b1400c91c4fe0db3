"""The files a serving process appends its answers to, before the answers leave.

Lines are written whole, one or many with one write: what `append` returned from is in the
operating system's hands and survives `kill -9` of the process. A power cut takes what was
appended since `sync` returned last. The writer holds an advisory lock on its file as long as it lives, so the collector can
tell a file that may still grow from one that never will.

What is written to a file that was removed, or moved away with its folder, nobody collects. So
the writer looks at times whether its file still has its name: see `Segment.look`.
"""

from __future__ import annotations

import errno
import fcntl
import logging
import os
import re
import secrets
import time
from collections.abc import Sequence
from contextlib import suppress
from pathlib import Path
from threading import Lock

from cd4ml.errors import InvalidInput
from cd4ml.store.disk import sync
from cd4ml.store.removed_segment import FULL, RemovedSegment
from cd4ml.store.seen import is_gone, make

_log = logging.getLogger(__name__)

SUFFIX = ".jsonl"
ROTATE_BYTES = 64 * 2**20

GONE = "the folder in which answers are recorded is gone"
TAKEN = "a file in which answers are recorded was taken away"

_TRIED = b"\0" * 4096  # one page: what a full disk does not take

# after these the same file takes the next line, once there is room or it may be written again
_PASSING = {*FULL, errno.EROFS}


class PartlyWritten(OSError):
    """There was room for the first `n_lines` lines only."""

    def __init__(self, reason: str, *, n_lines: int) -> None:
        super().__init__(errno.ENOSPC, reason)
        self.n_lines = n_lines


class FolderGone(OSError):
    """The folder of the segments is not there, and was before: it is not made anew."""


class Segment:
    """The growing end of one worker's log; appended to by one thread at a time.

    Each file's name is used once in the life of a project: the collector remembers by
    name how far a file was drained. Another thread may call `look` and `sync`.

    Args:
        folder: Where the files lie; made if it is not there.
        worker: Begins their names.
        rotate_bytes: A file of this size is followed by a new one.
        rotate_after_s: So is one that was begun so many seconds ago.
        is_synced: Whether somebody calls `look`, `bring_back` and `sync`: files given up wait
            for it.
        seen: The file that remembers folders, see `store.seen`: one that was there before and is
            gone is not made anew.
    """

    def __init__(
        self,
        folder: Path,
        worker: str,
        *,
        rotate_bytes: int = ROTATE_BYTES,
        rotate_after_s: float = float("inf"),
        is_synced: bool = False,
        seen: Path | None = None,
    ) -> None:
        self._folder = folder
        self._worker = re.sub(r"[^A-Za-z0-9_.-]", "_", worker)
        self._rotate_bytes = rotate_bytes
        self._rotate_after_s = rotate_after_s
        self._is_synced = is_synced
        self._name = ""
        self._size = 0
        self._begun = 0.0
        self._descriptor: int | None = None
        self._closing = Lock()
        self._unsynced_since: float | None = None
        self._syncing_since: float | None = None
        self._left: list[int] = []  # files that were given up before they were synced
        self._has_new_file = False
        self._nameless: list[RemovedSegment] = []  # removed ones, until they are written again
        make(folder, seen=seen)
        with self._closing, suppress(FolderGone):  # who appends is told
            self._open()

    def append(self, line: bytes) -> None:
        """Write one line, whole; when this returns, the line survives the process.

        Raises:
            OSError: If not all of it could be written (disk full); the request must then
                not be answered. What was written of it is cut off again; where it cannot
                be, the next `append` begins a new file, so the torn line stays the last of
                its own and is never read.
            InvalidInput: If the line contains a line break.
        """
        self.append_all([line])

    def append_all(self, lines: Sequence[bytes]) -> None:
        """Write some lines in one go; when this returns, they survive the process.

        Raises:
            PartlyWritten: If only the first ones could be written. Those stay, whole: a
                collector may have read them already.
            FolderGone: If there is no folder to begin a file in.
            OSError: If none could be.
            InvalidInput: If a line contains a line break; nothing is written then.
        """
        if not lines:
            return
        data = b"\n".join((*lines, b""))
        if b"\n" in b"".join(lines):  # five times as fast as counting them
            line = next(each for each in lines if b"\n" in each)
            msg = f"a log line must not contain a line break, got {line[:80]!r}"
            raise InvalidInput(msg)
        now = time.monotonic()
        if now - self._begun >= self._rotate_after_s:
            self.close()
        try:
            with self._closing:  # who looks does not take the file away in the middle of a line
                descriptor = self._open() if self._descriptor is None else self._descriptor
                written = os.write(descriptor, data)
                whole = written if written == len(data) else data.rfind(b"\n", 0, written) + 1
                self._size += whole
                if whole and self._unsynced_since is None:  # a sync between would miss it
                    self._unsynced_since = now
                is_cut = written == len(data) or self._cut(descriptor)
        except OSError as error:
            if error.errno not in _PASSING or (error.errno in FULL and self._size):
                self.close()  # a collector frees the room of what it drained
            raise
        if written != len(data):
            if self._size or not is_cut:
                self.close()
            reason = f"wrote {written} of {len(data)} bytes to {self._folder}"
            raise PartlyWritten(reason, n_lines=data.count(b"\n", 0, whole))
        if self._size >= self._rotate_bytes:
            self.close()

    def _cut(self, descriptor: int) -> bool:
        try:
            os.ftruncate(descriptor, self._size)
        except OSError:  # then the torn line is the last of its file, which ends here
            return False
        return True

    @property
    def position(self) -> tuple[str, int]:
        """The name of the file that grows, and how many bytes it has."""
        return self._name, self._size

    @property
    def unsynced_s(self) -> float:
        """For how long the oldest line has waited that a power cut would take; 0 if none would."""
        since, syncing = self._unsynced_since, self._syncing_since
        oldest = since if syncing is None else syncing  # what is on its way was written before
        return 0.0 if oldest is None else time.monotonic() - oldest

    def sync(self) -> None:
        """Bring to the disk what was appended before this call; costs nothing if nothing was.

        Raises:
            OSError: If the disk does not take it. What it lost is lost; later lines go to
                a new file.
        """
        since = self._unsynced_since
        if since is None:
            return
        self._syncing_since = since
        try:
            with self._closing:
                self._unsynced_since = None  # who appends from here on starts a time of its own
                descriptors, self._left = self._left, []
                has_new_file, self._has_new_file = self._has_new_file, False
                if self._descriptor is not None:
                    descriptors.append(os.dup(self._descriptor))
            _sync_all(descriptors)
            if has_new_file:
                sync(self._folder)  # a file that no folder knows after a power cut is lost
        except OSError:
            self._unsynced_since = since
            raise
        finally:
            self._syncing_since = None

    def look(self) -> str:
        """Whether the file can still be found by its name; costs two looks at the file system.

        One that cannot is given up, and the next line begins a new one. If no name is left
        for it, all that was written to it is written again by `bring_back`; if it was moved, its
        lines are where it is now.

        Returns:
            What is wrong with it, for callers; "" if nothing is.
        """
        with self._closing:
            descriptor = self._descriptor
            is_away = descriptor is not None and not self._is_found(descriptor)
            is_missed = is_away and self._size > 0
            if is_away:
                self._give_up()
        if is_gone(self._folder):
            return GONE
        return TAKEN if is_missed else ""

    def bring_back(self) -> bool:
        """Write removed files again, under their names: what was drained of one is not again.

        Returns:
            Whether none is left; as long as one is, it exists in this process only.
        """
        if not self._nameless:
            return True
        removed = list(self._nameless)
        left = [rest for each in removed if (rest := each.written_again(self._folder)) is not None]
        with self._closing:  # who appends may have given up one more
            self._nameless = left + self._nameless[len(removed) :]
        return not self._nameless

    def try_out(self) -> None:
        """Write a page to the folder and remove it again.

        Raises:
            FolderGone: If there is no folder.
            OSError: If the disk does not take it.
        """
        if is_gone(self._folder):
            raise FolderGone(GONE)
        path = self._folder / f".{self._worker}-{secrets.token_hex(4)}.tried"
        try:
            with path.open("xb", buffering=0) as file:
                if file.write(_TRIED) != len(_TRIED):
                    raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))
        finally:
            path.unlink(missing_ok=True)

    def close(self) -> None:
        """Give the file up; the collector removes it once it is drained."""
        with self._closing:
            if self._descriptor is not None:
                self._give_up()

    @property
    def n_nameless_bytes(self) -> int:
        """What this process has of removed files, and nobody else."""
        return sum(each.n_bytes for each in self._nameless)

    def _is_found(self, descriptor: int) -> bool:
        try:
            named = os.stat(self._folder / self._name)
        except (FileNotFoundError, NotADirectoryError):
            return False
        except OSError:  # who cannot look does not know
            return True
        return os.path.samestat(named, os.fstat(descriptor))

    def _give_up(self) -> None:
        """Let go of the open file; the caller has the lock."""
        descriptor, self._descriptor = self._descriptor, None
        if descriptor is None:
            return
        if os.fstat(descriptor).st_nlink == 0:
            self._has_new_file = bool(self._left)
            if not self._left:
                self._unsynced_since = None
            if self._size and self._is_synced:
                self._nameless.append(RemovedSegment(self._name, descriptor))
            else:
                os.close(descriptor)
            return
        if self._size and not self._is_found(descriptor):
            words = "%s was moved: what was answered until now is in the file with inode %d, %s"
            inode = os.fstat(descriptor).st_ino
            _log.error(words, self._name, inode, _place_of(descriptor))
            self._has_new_file = bool(self._left)
        if self._is_synced and self._unsynced_since is not None:
            with suppress(OSError):  # no descriptor left: then the system syncs it when it likes
                self._left.append(_unlocked(descriptor))
        os.close(descriptor)

    def _open(self) -> int:
        name = f"{self._worker}-{secrets.token_hex(8)}{SUFFIX}"
        flags = os.O_RDWR | os.O_CREAT | os.O_EXCL | os.O_APPEND
        try:
            descriptor = os.open(self._folder / name, flags, 0o644)
        except (FileNotFoundError, NotADirectoryError):
            raise FolderGone(GONE) from None
        fcntl.flock(descriptor, fcntl.LOCK_EX)
        if os.fstat(descriptor).st_nlink == 0:  # taken for abandoned before it was locked
            os.close(descriptor)
            return self._open()
        self._descriptor, self._size, self._begun = descriptor, 0, time.monotonic()
        self._name = name
        self._has_new_file = True
        return descriptor


def _place_of(descriptor: int) -> str:
    try:
        return os.readlink(f"/proc/self/fd/{descriptor}")
    except OSError:
        return "at a place that the system does not tell"


def _unlocked(descriptor: int) -> int:
    """A second descriptor of a file that its writer gives up: it may be drained and removed."""
    fcntl.flock(descriptor, fcntl.LOCK_UN)
    return os.dup(descriptor)


def _sync_all(descriptors: list[int]) -> None:
    failed: OSError | None = None
    for descriptor in descriptors:
        try:
            os.fdatasync(descriptor)
        except OSError as error:
            failed = error
        finally:
            os.close(descriptor)
    if failed is not None:
        raise failed
