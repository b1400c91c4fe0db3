"""The bytes of datasets' files, by digest: in objects of their own, or side by side in packs.

Storing has two moves. A `Delivery` puts bytes into objects that nobody knows of; then, in
the transaction that publishes the version, `settle` makes them known by their digests. What
is killed in between leaves objects that nothing refers to, which `data.removal` sweeps later.
"""

from __future__ import annotations

import os
import tempfile
from collections.abc import Collection, Iterable, Iterator, Sequence
from contextlib import contextmanager
from datetime import timedelta
from pathlib import Path
from typing import TYPE_CHECKING, Any, NamedTuple

import msgspec
import sqlalchemy as sa

from cd4ml.errors import Conflict, Corrupted, NotFound, Unavailable
from cd4ml.records.stored_file import StoredFile
from cd4ml.store.address import PREFIX, address_of, address_of_file
from cd4ml.store.delivery import PACK
from cd4ml.store.objects import Listed, Objects
from cd4ml.store.tables import TABLES

if TYPE_CHECKING:
    from cd4ml.store.blobs import Blobs
    from cd4ml.store.database import Database

_TABLE = TABLES[StoredFile]
_AT_ONCE = 64 * 2**20  # bytes read from packs at a time
_UNKNOWN_FOR = timedelta(days=1)  # longer than anybody takes to store a dataset
_READ_ONLY = 0o444
_MEND = "cd4ml data verify; add it again where the file still is"
_ASKED_FOR = 100  # objects; of more, nobody asks S3 one by one whether they are there


class FileStore:
    """The files of all datasets of a project.

    Args:
        database: Where it is listed which bytes are where.
        blobs: Where manifests, contracts and profiles are.
        objects: Where the files' bytes are.
        cache: A folder for what costs time to find out again: local copies, notes.
    """

    def __init__(self, database: Database, blobs: Blobs, objects: Objects, *, cache: Path) -> None:
        self.blobs = blobs
        self.objects = objects
        self.cache = cache
        self._database = database

    def held(self, digests: Iterable[str]) -> dict[str, StoredFile]:
        """Those of the digests whose bytes are in the store, with their place."""
        with self._database.read() as connection:
            return held(connection, digests)

    def holds(self, digests: Iterable[str]) -> bool:
        """Whether the bytes of all the digests are in the store.

        Where an object is gone or has been cut short, what was in it is struck off the list:
        who asks is about to store it, and could not know otherwise that it has to be.
        """
        asked = set(digests)
        with self._database.read() as connection:
            parts = _parts(connection, asked)
        if sum(part.n_files for part in parts) != len(asked):
            return False
        if self.objects.folder is None and len(parts) > _ASKED_FOR:
            return True
        lost = [part.object for part in parts if not self.objects.reaches(part.object, part.end)]
        if lost:
            with self._database.write() as connection:
                connection.execute(_TABLE.delete().where(_TABLE.c.object.in_(lost)))
        return not lost

    def sizes(self, sizes: Iterable[int]) -> set[int]:
        """Those of the sizes (bytes) that something in the store has."""
        with self._database.read() as connection:
            among = _among(connection, map(str, sizes))
            size = sa.cast(among.c.value, sa.BigInteger)
            is_there = sa.exists().where(_TABLE.c.size == size)
            return set(connection.execute(sa.select(size).where(is_there)).scalars())

    def paths(self, digests: Sequence[str]) -> list[Path]:
        """Local, verified, read-only files with the bytes of these digests, in their order.

        Raises:
            NotFound: If the store does not hold one.
            Corrupted: If what is stored has another digest.
        """
        places = self.held(digests)
        for digest in digests:
            if digest not in places:
                raise NotHeld(digest)
        found = {digest: self._whole(place) for digest, place in places.items()}
        absent = [places[digest] for digest, path in found.items() if path is None]
        for stored, data in self.read(absent):
            found[stored.digest] = self._keep(stored.digest, data)
        return [path for path in map(found.__getitem__, digests) if path is not None]

    def read(self, places: Iterable[StoredFile]) -> Iterator[tuple[StoredFile, bytes]]:
        """The verified bytes of files, those that lie side by side together.

        Raises:
            Corrupted: If what is stored has another digest.
        """
        ordered = sorted(places, key=lambda place: (place.object, place.offset))
        for batch in _batches(ordered):
            for place, data in self._found(batch):
                if address_of(data) != place.digest:
                    raise Damaged(place.digest)
                yield place, data

    def _found(self, batch: list[StoredFile]) -> Iterator[tuple[StoredFile, bytes]]:
        stretches = [(place.offset, place.size) for place in batch]
        try:
            found = self.objects.read(batch[0].object, stretches)
        except NotFound:
            moved = self.held([place.digest for place in batch])  # a pack that was written anew
            if len(moved) < len(batch) or all(place == moved[place.digest] for place in batch):
                raise
            yield from self.read(moved.values())
        else:
            yield from zip(batch, found, strict=True)

    def lies_alone(self, place: StoredFile) -> bool:
        """Whether the bytes at a place are a whole object, or too many to be held in memory."""
        own = self.objects.path(place.object)
        alone = own is not None and not place.offset and _size(own) == place.size
        return alone or place.size > PACK

    def is_sound(self, place: StoredFile) -> bool:
        """Whether the bytes at a place are those that were stored there.

        Raises:
            Unavailable: If they cannot be read, which does not say that they are damaged.
        """
        try:
            if self.lies_alone(place):
                return self.objects.digest(place.object) == place.digest
            return all(True for _ in self.read([place]))
        except (Corrupted, NotFound):
            return False

    def _whole(self, place: StoredFile) -> Path | None:
        """The file that has just these bytes and exists already."""
        kept = self._kept(place.digest)
        own = self.objects.path(place.object)
        if own is not None and not place.offset and _size(own) == place.size:
            if self.objects.digest(place.object) != place.digest:
                raise Damaged(place.digest)
            return own
        if place.size == _size(kept) and address_of_file(kept) == place.digest:
            return kept
        if place.size > PACK:  # an object of its own, somewhere else
            return self._fetch(place)
        return None

    def _fetch(self, place: StoredFile) -> Path:
        with _replaced(self._kept(place.digest)) as fresh:
            with fresh.open("wb") as file:
                file.writelines(self.objects.chunks(place.object))
            if address_of_file(fresh) != place.digest:
                raise Damaged(place.digest)
        return self._kept(place.digest)

    def _keep(self, digest: str, data: bytes) -> Path:
        with _replaced(self._kept(digest)) as fresh:
            fresh.write_bytes(data)
        return self._kept(digest)

    def _kept(self, digest: str) -> Path:
        name = digest.removeprefix(PREFIX)
        return self.cache / "files" / name[:2] / name[2:]


def held(connection: sa.Connection, digests: Iterable[str]) -> dict[str, StoredFile]:
    """Those of the digests whose bytes are in the store, with their place."""
    asked = _among(connection, digests)
    found = connection.execute(_TABLE.select().join(asked, asked.c.value == _TABLE.c.digest))
    return {
        row.digest: StoredFile(
            digest=row.digest, object=row.object, offset=row.offset, size=row.size
        )
        for row in found
    }


def holds(connection: sa.Connection, digests: Iterable[str]) -> bool:
    """Whether the bytes of all the digests are in the store."""
    asked = set(digests)
    among = _among(connection, asked)
    joined = among.join(_TABLE, among.c.value == _TABLE.c.digest)
    found = connection.execute(sa.select(sa.func.count()).select_from(joined)).scalar_one()
    return bool(found == len(asked))


class _Part(NamedTuple):
    object: str
    end: int  # bytes that it has at least
    n_files: int


def _parts(connection: sa.Connection, digests: Iterable[str]) -> list[_Part]:
    """The objects with the bytes of these digests: as much of them as is needed."""
    among = _among(connection, digests)
    end, n_files = sa.func.max(_TABLE.c.offset + _TABLE.c.size), sa.func.count()
    joined = among.join(_TABLE, among.c.value == _TABLE.c.digest)
    statement = sa.select(_TABLE.c.object, end, n_files).select_from(joined)
    found = connection.execute(statement.group_by(_TABLE.c.object))
    return [_Part(name, int(size), n) for name, size, n in found]


def settle(
    connection: sa.Connection, new: Sequence[StoredFile], relied_on: Collection[str]
) -> None:
    """Make new bytes known, in the transaction that publishes what they belong to.

    Where somebody else stored the same bytes first, theirs stay and ours are left to be swept.

    Args:
        connection: Of a write transaction.
        new: Closed deliveries.
        relied_on: Digests that were in the store when the snapshot was taken.

    Raises:
        Conflict: If what was relied on has been removed meanwhile.
    """
    if relied_on and not holds(connection, relied_on):
        msg = "bytes that this version shares with an earlier one were removed meanwhile"
        raise Conflict(msg, hint="add it again")
    known = held(connection, [place.digest for place in new]) if new else {}
    fresh = [place for place in new if place.digest not in known]
    if fresh:
        _insert(connection, fresh)


def forget(connection: sa.Connection, digests: Collection[str]) -> None:
    """Strike bytes off the list; `data.removal` sweeps them."""
    asked = _among(connection, digests)
    connection.execute(_TABLE.delete().where(_TABLE.c.digest.in_(sa.select(asked.c.value))))


def strike(connection: sa.Connection, lost: Iterable[StoredFile]) -> None:
    """Strike damaged bytes off the list, but not those that were stored anew since."""
    lost = list(lost)
    known = held(connection, [place.digest for place in lost])
    forget(connection, [place.digest for place in lost if known.get(place.digest) == place])


def move(connection: sa.Connection, places: Sequence[StoredFile]) -> None:
    """Say that these bytes are somewhere else now; those that were forgotten stay so."""
    for place in places:
        is_it = _TABLE.c.digest == place.digest
        connection.execute(
            _TABLE.update().where(is_it).values(object=place.object, offset=place.offset)
        )


def everything(connection: sa.Connection) -> list[StoredFile]:
    """All the bytes in the store, those of one object together."""
    order = (_TABLE.c.object, _TABLE.c.offset)
    return [
        StoredFile(digest=row.digest, object=row.object, offset=row.offset, size=row.size)
        for row in connection.execute(_TABLE.select().order_by(*order))
    ]


def unlisted(objects: Objects, known: Collection[str]) -> list[Listed]:
    """Objects that nothing refers to, but for those stored a moment ago.

    A moment is a day by the store's own clock: nobody takes longer to store a dataset.
    """
    unknown = [entry for entry in objects.list() if entry.name not in known]
    if not unknown:
        return []
    now = objects.now()
    return [entry for entry in unknown if now - entry.stored_at > _UNKNOWN_FOR]


class Damaged(Corrupted):
    """Bytes of a file that are not what was stored; `digest` says which."""

    def __init__(self, digest: str) -> None:
        self.digest = digest
        super().__init__(f"the file {digest} is not what was stored there", hint=_MEND)


class NotHeld(NotFound):
    """Bytes of a file that the store does not have; `digest` says which."""

    def __init__(self, digest: str) -> None:
        self.digest = digest
        super().__init__(f"the store does not hold the file {digest}", hint=_MEND)


def _insert(connection: sa.Connection, places: Sequence[StoredFile]) -> None:
    # by the driver itself: tens of thousands of rows take it a tenth of the time
    statement = str(_TABLE.insert().compile(dialect=connection.dialect))
    if connection.dialect.positional:
        connection.exec_driver_sql(statement, [msgspec.structs.astuple(each) for each in places])
    else:
        connection.exec_driver_sql(statement, [msgspec.structs.asdict(each) for each in places])


def _among(connection: sa.Connection, values: Iterable[str]) -> Any:
    """The values as a table with the column `value`: tens of thousands in one parameter."""
    text = msgspec.json.encode(set(values)).decode()
    if connection.dialect.name == "postgresql":
        function = sa.func.json_array_elements_text(sa.cast(sa.literal(text), sa.JSON))
    else:
        function = sa.func.json_each(text)
    return function.table_valued("value")


def _batches(ordered: Sequence[StoredFile]) -> Iterator[list[StoredFile]]:
    batch: list[StoredFile] = []
    size = 0
    for place in ordered:
        if batch and (place.object != batch[0].object or size + place.size > _AT_ONCE):
            yield batch
            batch, size = [], 0
        batch.append(place)
        size += place.size
    if batch:
        yield batch


def _size(path: Path) -> int:
    try:
        return path.stat().st_size
    except OSError:  # whoever reads it says why
        return -1


@contextmanager
def _replaced(path: Path) -> Iterator[Path]:
    """A fresh file beside a path, which takes its place when the block has ended well."""
    fresh = None
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        descriptor, name = tempfile.mkstemp(dir=path.parent)
        os.close(descriptor)
        fresh = Path(name)
        yield fresh
        fresh.chmod(_READ_ONLY)
        fresh.replace(path)
    except OSError as error:
        msg = f"the copy {path} cannot be written: {error.strerror}"
        raise Unavailable(msg, hint="is there room, and may this user write there?") from None
    finally:
        if fresh is not None:
            fresh.unlink(missing_ok=True)
