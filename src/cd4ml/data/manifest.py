"""What a version consists of: its files, and how they are read as a table."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from typing import TYPE_CHECKING, Protocol

import msgspec

from cd4ml.data.formats import Reading
from cd4ml.errors import Corrupted, NotFound
from cd4ml.records.dataset import DataFile
from cd4ml.store.address import address_of
from cd4ml.store.file_store import Damaged, NotHeld

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


@contextmanager
def told_by_name(ref: str, files: Iterable[DataFile]) -> Iterator[None]:
    """Say of bytes that are lost which file of which version they are.

    Raises:
        NotFound: If they are no longer there.
        Corrupted: If they are not what was stored.
    """
    try:
        yield
    except (Damaged, NotHeld) as error:
        names = (file.path for file in files if file.digest == error.digest)
        file = f"the file {next(names, error.digest)!r} of {ref}"
        if isinstance(error, Damaged):
            raise Corrupted(f"{file} is not what was stored", hint=error.hint) from None
        raise NotFound(f"the store no longer has {file}", hint=error.hint) from None


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
