"""The files of a model as somebody logged them: a folder, by content address."""

from __future__ import annotations

from typing import TYPE_CHECKING

import msgspec

if TYPE_CHECKING:
    from cd4ml.store.blobs import Blobs


class LoggedFiles(msgspec.Struct, frozen=True, kw_only=True):
    """The files of a folder; the address of this list is `ModelVersion.logged`."""

    files: dict[str, str]  # path -> content address
    sizes: dict[str, int] = {}  # path -> bytes


def keep(blobs: Blobs, files: dict[str, tuple[str, int]]) -> str:
    """Store the list of files (path -> address and size); returns its address."""
    ordered = sorted(files.items())
    return blobs.put_record(
        LoggedFiles(
            files={path: address for path, (address, _) in ordered},
            sizes={path: size for path, (_, size) in ordered},
        )
    )


def kept(blobs: Blobs, address: str) -> LoggedFiles:
    """The list at an address.

    Raises:
        NotFound: If nothing is stored there.
        Corrupted: If what is stored is no such list.
    """
    return blobs.get_record(address, LoggedFiles)
