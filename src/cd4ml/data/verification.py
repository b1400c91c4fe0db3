"""Are the bytes of the versions still what was stored?"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import TYPE_CHECKING

import msgspec

from cd4ml.data.manifest import manifest_of
from cd4ml.data.versions import left_in_place
from cd4ml.errors import Cd4mlError, Corrupted, NotFound
from cd4ml.records.dataset import DataFile, DatasetVersion
from cd4ml.store.file_store import forget

if TYPE_CHECKING:
    from cd4ml.store.database import Database
    from cd4ml.store.file_store import FileStore


class Damage(msgspec.Struct, frozen=True, kw_only=True):
    """A file whose bytes are lost or changed, and the versions that have it."""

    path: str
    digest: str
    versions: tuple[str, ...]
    reason: str


class Verification(msgspec.Struct, frozen=True, kw_only=True):
    """How many files were read again, and which of them are not what they were."""

    n_versions: int
    n_files: int
    n_bytes: int
    damaged: tuple[Damage, ...]


def verify(
    database: Database,
    store: FileStore,
    versions: Sequence[DatasetVersion],
    *,
    tell: Callable[[int, int], None] = lambda done, total: None,
) -> Verification:
    """Read all bytes of some versions again, each file once however many versions have it.

    Bytes in the store that are damaged are struck off its list, so that nobody is given
    them, and the same files are stored anew when they are added again.

    Args:
        database: Where it is listed what is stored.
        store: Where the bytes are.
        versions: Which versions.
        tell: Called with how many files are done, and of how many.
    """
    files: dict[str, DataFile] = {}
    having: dict[str, list[DatasetVersion]] = {}
    damaged: list[Damage] = []
    for version in versions:
        try:
            manifest = manifest_of(store.blobs, version)
        except (NotFound, Corrupted) as error:
            damaged.append(_damage("(the manifest)", version.digest, [version], error.message))
            continue
        for file in manifest.files:
            files.setdefault(file.digest, file)
            having.setdefault(file.digest, []).append(version)
    places = store.held(list(files))
    for done, (digest, file) in enumerate(files.items(), start=1):
        if digest in places and store.is_sound(places[digest]):
            reason = ""
        else:
            reason = _reason(having[digest], file, is_listed=digest in places)
        if reason:
            damaged.append(_damage(file.path, digest, having[digest], reason))
        tell(done, len(files))
    lost = [each.digest for each in damaged if each.digest in places]
    if lost:
        with database.write() as connection:
            forget(connection, lost)
    return Verification(
        n_versions=len(versions),
        n_files=len(files),
        n_bytes=sum(file.size for file in files.values()),
        damaged=tuple(damaged),
    )


def _reason(versions: list[DatasetVersion], file: DataFile, *, is_listed: bool) -> str:
    """Why a file is lost; "" if it lies, sound, where it was left."""
    reason = "is not what was stored" if is_listed else "is not in the store"
    for version in versions:
        if version.place:
            try:
                left_in_place(version, file)
            except Cd4mlError as error:
                reason = error.message
            else:
                return ""
    return reason


def _damage(path: str, digest: str, versions: Sequence[DatasetVersion], reason: str) -> Damage:
    refs = tuple(version.ref for version in versions)
    return Damage(path=path, digest=digest, versions=refs, reason=reason)
