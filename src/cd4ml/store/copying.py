"""A file's bytes on their way into another file: copied, hashed and written to disk at once."""

from __future__ import annotations

import errno
import os
from concurrent.futures import Future, ThreadPoolExecutor
from typing import Any

from blake3 import blake3

from cd4ml.store.address import PREFIX

_PIECE = 8 * 2**20  # bytes that are copied at a time
_FLUSHED = 64 * 2**20  # bytes after which the disk is given to write
_READ = 2**18  # bytes that are hashed at a time: they fit into a core's cache

_NO_ROOM_BEFORE = (errno.EOPNOTSUPP, errno.EINVAL)  # a file system that cannot make room
_NOT_SENT = (errno.EINVAL, errno.ENOSYS, errno.EOPNOTSUPP)  # a source the kernel does not copy from


def copied(origin: int, target: int) -> tuple[str, int]:
    """Copy all bytes of one file into another, empty one; returns their digest and number.

    The kernel copies. What it has copied is read back and hashed meanwhile, and given to the
    disk: the digest is that of the bytes that lie in the target, whatever became of the
    origin. Room is made for all of it first, as a file that grows under a large copy takes
    longer (2 GB on ext4: 0.7 s instead of 0.55 s).

    Args:
        origin: Descriptor that can be read, at the place from which to copy.
        target: Descriptor of the new file; it must be open for reading as well.

    Raises:
        OSError: If there is no room, or a disk fails. What the target then holds is worth nothing.
    """
    expected = os.fstat(origin).st_size
    if expected:
        _make_room(target, expected)
    digest, size = (_in_turn if expected <= _PIECE else _at_once)(origin, target)
    if size < expected:  # it was cut short meanwhile
        os.ftruncate(target, size)
    return digest, size


def write(descriptor: int, data: bytes | memoryview) -> None:
    """Write all of some bytes."""
    left = memoryview(data)
    while left:
        left = left[os.write(descriptor, left) :]


def _in_turn(origin: int, target: int) -> tuple[str, int]:
    """Copy and hash a file for which threads are too much."""
    hasher, size = blake3(), 0
    while data := os.read(origin, _PIECE):
        write(target, data)
        hasher.update(data)
        size += len(data)
    return PREFIX + hasher.hexdigest(), size


def _at_once(origin: int, target: int) -> tuple[str, int]:
    """Copy a file, with hashing and flushing behind."""
    size = 0
    with _Followers(target) as followers:
        while n_copied := _piece(origin, target):
            followers.follow(size, size + n_copied)
            size += n_copied
    return followers.digest, size


class _Followers:
    """Those who hash and flush what has been copied so far, each in its own thread."""

    def __init__(self, target: int) -> None:
        self._target = target
        self._hasher = blake3()
        self._flushed = 0
        self._pending: list[Future[None]] = []
        self._hashing = ThreadPoolExecutor(1, "hashing")
        self._flushing = ThreadPoolExecutor(1, "flushing")

    def follow(self, begin: int, end: int) -> None:
        """Bytes that are in the target by now."""
        self._pending.append(self._hashing.submit(self._hash, begin, end))
        if end - self._flushed >= _FLUSHED:
            self._pending.append(self._flushing.submit(os.fdatasync, self._target))
            self._flushed = end

    def _hash(self, begin: int, end: int) -> None:
        buffer = memoryview(bytearray(_READ))
        while begin < end:
            n_read = os.preadv(self._target, [buffer[: end - begin]], begin)
            if not n_read:
                raise OSError(errno.EIO, "what was copied is gone again")
            self._hasher.update(buffer[:n_read])
            begin += n_read

    @property
    def digest(self) -> str:
        return PREFIX + self._hasher.hexdigest()

    def __enter__(self) -> _Followers:
        return self

    def __exit__(self, kind: type[BaseException] | None, *_: Any) -> None:
        self._hashing.shutdown(cancel_futures=kind is not None)
        self._flushing.shutdown(cancel_futures=kind is not None)
        if kind is None:
            for each in self._pending:
                each.result()


def _piece(origin: int, target: int) -> int:
    """Copy the next bytes; 0 at the end."""
    try:
        return os.sendfile(target, origin, None, _PIECE)
    except OSError as error:
        if error.errno not in _NOT_SENT:
            raise
    data = os.read(origin, _PIECE)
    write(target, data)
    return len(data)


def _make_room(target: int, size: int) -> None:
    try:
        os.posix_fallocate(target, 0, size)
    except OSError as error:
        if error.errno not in _NO_ROOM_BEFORE:  # else it cannot be told before
            raise
