"""Digests of bytes and files, without what records need: a command may want nothing else."""

from __future__ import annotations

import os
from typing import TYPE_CHECKING

from blake3 import blake3

if TYPE_CHECKING:
    from collections.abc import Iterable
    from pathlib import Path

PREFIX = "blake3:"

_LARGE = 1 << 20  # bytes; from here on hashing on several threads pays
_CHUNK = 4 << 20  # bytes


def address_of(data: bytes) -> str:
    """The content address of some bytes.

    Examples:
        >>> address_of(b"")[:23]
        'blake3:af1349b9f5f9a1a6'
    """
    threads = blake3.AUTO if len(data) >= _LARGE else 1
    return PREFIX + blake3(data, max_threads=threads).hexdigest()


def address_of_file(path: Path | str) -> str:
    """The content address of a file, read once.

    Raises:
        OSError: If the file cannot be read.
    """
    # not through a memory map: a file that somebody cuts off meanwhile would kill the process
    # (SIGBUS); reading is as fast
    hasher = blake3(max_threads=blake3.AUTO)
    with open(path, "rb", buffering=0) as file:
        room = memoryview(bytearray(min(_CHUNK, os.fstat(file.fileno()).st_size + 1)))
        while n_read := file.readinto(room):
            hasher.update(room[:n_read])
    return PREFIX + hasher.hexdigest()


def digest_of(chunks: Iterable[bytes]) -> str:
    """The content address of bytes that come in parts.

    Examples:
        >>> digest_of([b"fli", b"ghts"]) == address_of(b"flights")
        True
    """
    hasher = blake3(max_threads=blake3.AUTO)
    for chunk in chunks:
        hasher.update(chunk)
    return PREFIX + hasher.hexdigest()


def short(address: str) -> str:
    """The first twelve digits of an address, for people.

    Examples:
        >>> short("blake3:af1349b9f5f9a1a6a0404dea36dcc949")
        'af1349b9f5f9'
    """
    return address.removeprefix(PREFIX)[:12]
