"""Are the bytes of the versions still what was stored?"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import TYPE_CHECKING, NamedTuple

import msgspec

from cd4ml.data.manifest import manifest_of
from cd4ml.data.versions import left_in_place
from cd4ml.errors import Cd4mlError, Corrupted, NotFound
from cd4ml.records.dataset import DataFile, DatasetVersion
from cd4ml.records.stored_file import StoredFile
from cd4ml.store.file_store import strike

if TYPE_CHECKING:
    from cd4ml.store.database import Database
    from cd4ml.store.file_store import FileStore


MANIFEST = "manifest"

_Part = tuple[DatasetVersion, DataFile]  # a file as one version has it


class Damage(msgspec.Struct, frozen=True, kw_only=True):
    """A file whose bytes are lost or changed, and the versions that have it."""

    path: str
    digest: str
    versions: tuple[str, ...]
    reason: str


class DamagedRecord(NamedTuple):
    """What is no longer what was stored: the manifest, contract or profile of a version."""

    what: str
    digest: str
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

    Raises:
        Unavailable: If the store does not answer; nothing is struck off then.
    """
    having: dict[str, list[_Part]] = {}
    damaged: list[Damage] = []
    records_of: dict[DamagedRecord, list[DatasetVersion]] = {}
    for version in versions:
        records = damaged_records(store, version)
        for record in records:
            records_of.setdefault(record, []).append(version)
        if any(record.what == MANIFEST for record in records):
            continue
        for file in manifest_of(store.blobs, version).files:
            having.setdefault(file.digest, []).append((version, file))
    for (what, digest, reason), has in records_of.items():
        damaged.append(_damage(f"(the {what})", digest, has, reason))
    places = store.held(list(having))
    lost: list[StoredFile] = []
    for done, (digest, parts) in enumerate(having.items(), start=1):
        place = places.get(digest)
        is_sound = place is not None and store.is_sound(place)
        if place is not None and not is_sound:
            lost.append(place)
        if not is_sound:
            damaged.extend(_damages(store, parts, is_listed=place is not None))
        tell(done, len(having))
    if lost:
        with database.write() as connection:
            strike(connection, lost)
    return Verification(
        n_versions=len(versions),
        n_files=len(having),
        n_bytes=sum(parts[0][1].size for parts in having.values()),
        damaged=tuple(damaged),
    )


def damaged_records(store: FileStore, version: DatasetVersion) -> list[DamagedRecord]:
    """What is lost or changed of what describes a version, beside its files' bytes."""
    found = []
    records = (
        (MANIFEST, version.digest),
        ("contract", version.contract),
        ("profile", version.profile),
    )
    for what, address in records:
        try:
            if address:
                store.blobs.get(address)
        except (NotFound, Corrupted) as error:
            found.append(DamagedRecord(what, address, error.message))
    return found


def _damages(store: FileStore, parts: list[_Part], *, is_listed: bool) -> list[Damage]:
    """What is lost of files whose bytes the store does not have."""
    stored = "is not what was stored" if is_listed else "is not in the store"
    found: dict[tuple[str, str], list[DatasetVersion]] = {}
    for version, file in parts:
        reason = _moved(store, version, file) if version.place else stored
        if reason:
            found.setdefault((file.path, reason), []).append(version)
    digest = parts[0][1].digest
    return [_damage(path, digest, has, reason) for (path, reason), has in found.items()]


def _moved(store: FileStore, version: DatasetVersion, file: DataFile) -> str:
    """Why a file is not what it was where it was left; "" if it is."""
    try:
        left_in_place(store, version, file)
    except Cd4mlError as error:
        return error.message
    return ""


def _damage(path: str, digest: str, versions: Sequence[DatasetVersion], reason: str) -> Damage:
    refs = tuple(version.ref for version in versions)
    return Damage(path=path, digest=digest, versions=refs, reason=reason)
