"""What a version consists of: its files, and how they are read as a table."""

from __future__ import annotations

from collections.abc import Iterable
from typing import TYPE_CHECKING, Protocol

import msgspec

from cd4ml.data.formats import Reading
from cd4ml.records.dataset import DataFile
from cd4ml.store.address import address_of

if TYPE_CHECKING:
    from cd4ml.store.blobs import Blobs


class Manifest(msgspec.Struct, frozen=True, kw_only=True):
    """The content of a version; its address is the version's digest.

    `reading` is None for files that are no table. `folders` are those in which there is
    nothing, so that a checkout has them too.
    """

    files: tuple[DataFile, ...]
    folders: tuple[str, ...] = ()
    reading: Reading | None = None


class Digested(Protocol):
    """A version, or a snapshot that will be one."""

    @property
    def digest(self) -> str:
        """The address of its manifest."""


def manifest_of(blobs: Blobs, version: Digested) -> Manifest:
    """The files of a version.

    Raises:
        NotFound: If the manifest is no longer there.
        Corrupted: If it is not what was stored.
    """
    return blobs.get_record(version.digest, Manifest)


def content_of(files: Iterable[DataFile], folders: Iterable[str] = ()) -> str:
    """The address of some files by their names and bytes, however they are read.

    Args:
        files: In order of name.
        folders: Those in which there is nothing.

    Examples:
        >>> content_of([DataFile(path="a.csv", size=1, digest="blake3:00")])[:19]
        'blake3:f0dcd71d3422'
    """
    named = [f"{file.path}\0{file.digest}" for file in files]
    return address_of("\0".join([*named, *(f"{folder}\0" for folder in folders)]).encode())
