"""Versions that are no longer kept, and bytes that nothing needs any more.

A version is kept if it is among the newest ones, has a tag, or a run or another version was
made from it (and with the run its models and releases). What is said about a removed
version stays; its bytes go, unless a version that is kept shares them.

Removing is safe beside adding: `settle` refuses a version that relies on bytes that have
been struck off the list, and an object's name is never given again, so that what is being
removed cannot be what is being stored.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Collection, Mapping
from datetime import datetime
from typing import TYPE_CHECKING

import msgspec
import sqlalchemy as sa

from cd4ml.data.manifest import manifest_of
from cd4ml.errors import Conflict, Corrupted, NotFound
from cd4ml.records.dataset import DatasetVersion, RemovedVersion, Tag
from cd4ml.records.lineage import Edge
from cd4ml.records.stored_file import StoredFile
from cd4ml.store import ledger, rows
from cd4ml.store.delivery import Delivery
from cd4ml.store.file_store import (
    everything,
    forget,
    move,
    unlisted,
)
from cd4ml.store.tables import TABLES

if TYPE_CHECKING:
    from sqlalchemy import Connection

    from cd4ml.store.database import Database
    from cd4ml.store.file_store import FileStore

_TRIES = 5  # how often versions may be published while it is worked out what they need
_MOSTLY = 0.5  # share of a pack's bytes that nothing needs: from there on it is written anew


class Removal(msgspec.Struct, frozen=True, kw_only=True):
    """What was removed, or would be: versions, files that no kept version has, and bytes.

    `n_bytes` is what becomes free now. `n_unknown` objects were stored by somebody who was
    killed before publishing them.
    """

    versions: tuple[str, ...]
    n_files: int
    n_bytes: int
    n_unknown: int


def remove(
    database: Database,
    store: FileStore,
    *,
    keep: Mapping[str, int],
    at: datetime,
    actor: str,
    is_rehearsed: bool = False,
) -> Removal:
    """Remove what need not be kept.

    Args:
        database: Where the versions are listed.
        store: Where the bytes are.
        keep: Dataset -> how many of its newest versions are kept; all of a dataset that is
            not named.
        at: When.
        actor: Who.
        is_rehearsed: Only say what would be removed.

    Raises:
        Conflict: If versions are published faster than it can be worked out what they need.
        NotFound: If the manifest of a version that is kept is lost; nothing is removed then.
        Corrupted: If it is not what was stored; likewise.
    """
    needs: dict[str, frozenset[str]] = {}
    for _ in range(_TRIES):
        with database.read() as connection:
            kept, _outdated = _divided(connection, keep)
        for version in kept:  # not in the transaction: manifests come from the blob store
            if version.digest not in needs:
                needs[version.digest] = _needed(store, version)
        with database.read() if is_rehearsed else database.write() as connection:
            kept, outdated = _divided(connection, keep)
            if any(version.digest not in needs for version in kept):
                continue  # published in between
            needed = frozenset[str]().union(*(needs[version.digest] for version in kept))
            listed = everything(connection)
            gone = [place for place in listed if place.digest not in needed]
            if not is_rehearsed:
                _strike(connection, outdated, gone, at=at, actor=actor)
        return _swept(database, store, listed, gone, outdated, is_rehearsed=is_rehearsed)
    msg = f"versions were published {_TRIES} times while it was worked out what they need"
    raise Conflict(msg, hint="run it again when fewer are published")


def _needed(store: FileStore, version: DatasetVersion) -> frozenset[str]:
    """The digests of the files of a version that is kept."""
    try:
        return frozenset(file.digest for file in manifest_of(store.blobs, version).files)
    except (Corrupted, NotFound) as error:
        msg = f"nobody knows which files {version.ref} needs: {error.message}"
        hint = f"cd4ml data add {version.dataset} where its files still are, or --keep fewer"
        raise type(error)(msg, hint=hint) from None


def _divided(
    connection: Connection, keep: Mapping[str, int]
) -> tuple[list[DatasetVersion], list[DatasetVersion]]:
    """The versions that are kept, and those that need not be."""
    removed = {(each.dataset, each.number) for each in rows.find(connection, RemovedVersion)}
    by_dataset: dict[str, list[DatasetVersion]] = defaultdict(list)
    for version in rows.find(connection, DatasetVersion, newest_first=True):
        if (version.dataset, version.number) not in removed:
            by_dataset[version.dataset].append(version)
    tagged = {(tag.dataset, tag.number) for tag in rows.find(connection, Tag)}
    edges = TABLES[Edge]
    used = set(connection.execute(sa.select(edges.c.parent).distinct()).scalars())
    kept: list[DatasetVersion] = []
    outdated: list[DatasetVersion] = []
    for dataset, versions in by_dataset.items():
        for position, version in enumerate(versions):
            is_kept = (
                position < keep.get(dataset, len(versions))
                or (dataset, version.number) in tagged
                or version.digest in used
            )
            (kept if is_kept else outdated).append(version)
    return kept, outdated


def _strike(
    connection: Connection,
    outdated: list[DatasetVersion],
    gone: Collection[StoredFile],
    *,
    at: datetime,
    actor: str,
) -> None:
    for version in outdated:
        rows.insert(
            connection,
            RemovedVersion(
                dataset=version.dataset, number=version.number, removed_at=at, removed_by=actor
            ),
        )
        ledger.append(
            connection,
            at=at,
            actor=actor,
            action="dataset.removed",
            subject=version.ref,
            details={"digest": version.digest, "n_files": version.n_files},
        )
    forget(connection, [place.digest for place in gone])


def _swept(
    database: Database,
    store: FileStore,
    listed: list[StoredFile],
    gone: list[StoredFile],
    outdated: list[DatasetVersion],
    *,
    is_rehearsed: bool,
) -> Removal:
    """Remove objects of which nothing is needed, and write those anew of which little is."""
    dead = {place.digest for place in gone}
    alive: dict[str, list[StoredFile]] = defaultdict(list)
    for place in listed:
        if place.digest not in dead:
            alive[place.object].append(place)
    whole = {place.object for place in listed} - set(alive)
    sizes = {entry.name: entry.size for entry in store.objects.list()}
    # by size: what was struck off by a verification, or before a death, is wasted room as well
    wasted = {
        name: sizes[name] - sum(place.size for place in places)
        for name, places in alive.items()
        if name in sizes
    }
    thinned = [name for name, size in wasted.items() if size > _MOSTLY * sizes[name]]
    unknown = unlisted(store.objects, {place.object for place in listed})
    if not is_rehearsed:
        thinned = [name for name in thinned if _is_written_anew(database, store, alive[name])]
        store.objects.remove([*whole, *thinned, *(entry.name for entry in unknown)])
    return Removal(
        versions=tuple(sorted(version.ref for version in outdated)),
        n_files=len(gone),
        n_bytes=sum(sizes.get(name, 0) for name in whole)
        + sum(wasted[name] for name in thinned)
        + sum(entry.size for entry in unknown),
        n_unknown=len(unknown),
    )


def _is_written_anew(database: Database, store: FileStore, places: list[StoredFile]) -> bool:
    """Put what is needed of a pack into another one; not if it is damaged."""
    try:
        with Delivery(store.objects) as delivery:
            for place, data in store.read(places):
                delivery.put(place.digest, data)
            moved = delivery.close()
            with database.write() as connection:
                move(connection, moved)
    except (Corrupted, NotFound):  # what of it is sound is still needed; `verify` says the rest
        return False
    return True
