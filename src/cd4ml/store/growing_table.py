"""A table that only grows: each append is counted once, whoever dies in between.

The rows of an append go into the blob store first, as Parquet, one file a day and
environment. Then one transaction adds the files to the table together with marks,
(name, position) pairs that say what has been taken in. A writer that dies before it
leaves bytes that nobody refers to; a reader sees all of an append or nothing of it.

The files lie in a store of their own below the blobs, which is a Delta Lake table for every
engine that reads one: `publish` brings its log up to what the database lists.
"""

from __future__ import annotations

import io
from collections.abc import Callable, Collection, Iterable, Iterator, Mapping, Sequence
from datetime import date, timedelta
from typing import TYPE_CHECKING, NamedTuple

import msgspec
import sqlalchemy as sa

from cd4ml.errors import Conflict
from cd4ml.records.log_file import LogFile, LogMark, LogRemoval
from cd4ml.store import rows as records
from cd4ml.store.clock import SystemClock
from cd4ml.store.delta_log import FOLDER, DeltaLog, folder_of, path_of
from cd4ml.store.tables import TABLES

if TYPE_CHECKING:
    import polars as pl

    from cd4ml.store.blobs import Blobs
    from cd4ml.store.clock import Clock
    from cd4ml.store.database import Database

DAY = "day"  # the column that says in which file a row lies
ENVIRONMENT = "environment"
MERGE_FROM = 64  # files of one day and environment that are merged into one

PUBLISHED = "delta table"  # the mark of how many changes its log has
_KEPT = "is kept"

_ROW_GROUP = 16_384  # rows: a reader of one row decodes as many

_FILES = TABLES[LogFile]
_MARKS = TABLES[LogMark]
_REMOVALS = TABLES[LogRemoval]


class _Place(NamedTuple):
    day: date
    environment: str


class GrowingTable:
    """One table of a project, of any number of readers and appenders.

    `schema` names its columns, `day` (a date) among them; `sort` is the column whose
    order within a file lets a reader skip most of it.
    """

    def __init__(
        self,
        name: str,
        schema: Mapping[str, pl.DataType],
        *,
        sort: str,
        database: Database,
        blobs: Blobs,
        clock: Clock | None = None,
    ) -> None:
        self.name = name
        self.schema = schema
        self._sort = sort
        self._database = database
        self._blobs = blobs.below(f"tables/{name}")
        self._days: dict[str, Blobs] = {}
        self._clock = clock or SystemClock()
        self.delta = DeltaLog(name, schema, self._blobs)

    def marks(self) -> dict[str, int]:
        """The position of every name that was marked."""
        with self._database.read() as connection:
            marked = {mark.name: mark.position for mark in self._marked(connection)}
        marked.pop(PUBLISHED, None)
        return marked

    def append(
        self,
        rows: pl.DataFrame,
        marks: Mapping[str, int],
        *,
        seen: Mapping[str, int],
        replaced: Collection[str] = (),
        beside: Callable[[sa.Connection], None] = lambda connection: None,
    ) -> None:
        """Add the rows and the marks, together or not at all.

        Args:
            rows: Columns of `schema`; may be empty, the marks count all the same.
            marks: The position from now on of each name.
            seen: The positions when the rows were read.
            replaced: Marks that go, because others say the same.
            beside: What else is written in the transaction that adds the rows.

        Raises:
            Conflict: If another append has moved one of these marks since.
        """
        files = [self._store(place, part) for place, part in self._parts(rows).items()]
        with self._database.write() as connection:
            self._move(connection, marks, seen)
            self._unmark(connection, replaced)
            for file in files:
                self._add(connection, file)
            beside(connection)
        self._tidy({_Place(date.fromisoformat(file.day), file.environment) for file in files})

    def scan(
        self,
        first: date | None = None,
        last: date | None = None,
        environment: str | None = None,
        *,
        key: str | None = None,
    ) -> pl.LazyFrame:
        """The rows of the days from `first` to `last` (both included), read lazily.

        With `key`, a value of the column by which they are sorted, only the files that may
        have it.

        Raises:
            Corrupted: If a file is not what was written.
            NotFound: If a file is gone.
        """
        import polars as pl

        files = self.files(first, last, environment, key=key)
        if not files:
            return pl.LazyFrame(schema=self._stored_schema)
        return self._scan(files)

    def _scan(self, files: Sequence[LogFile]) -> pl.LazyFrame:
        import polars as pl

        paths = [self._of_day(file.day).path(file.digest) for file in files]
        return pl.scan_parquet(paths, glob=False, hive_partitioning=False)

    @property
    def _stored_schema(self) -> dict[str, pl.DataType]:
        """The columns of the files: the day is said by the table, not by them."""
        return {name: kind for name, kind in self.schema.items() if name != DAY}

    def files(
        self,
        first: date | None = None,
        last: date | None = None,
        environment: str | None = None,
        *,
        key: str | None = None,
    ) -> list[LogFile]:
        """The files that `scan` reads, in the order they were added."""
        conditions = [_FILES.c.log == self.name]
        if first is not None:
            conditions.append(_FILES.c.day >= first.isoformat())
        if last is not None:
            conditions.append(_FILES.c.day <= last.isoformat())
        if environment is not None:
            conditions.append(_FILES.c.environment == environment)
        if key is not None:
            conditions += [_FILES.c.first <= key, _FILES.c.last >= key]
        statement = _FILES.select().where(*conditions).order_by(_FILES.c.number)
        with self._database.read() as connection:
            return records.fetch(connection, LogFile, statement)

    def publish(self) -> None:
        """Bring the Delta table up to what is listed; costs one question if it is already.

        Raises:
            Conflict: If other processes publish all the time.
            Unavailable: If the store does not answer; what is listed stays so.
        """
        with self._database.read() as connection:
            change = records.last_number(connection, LogMark, self.name)
            noted = {mark.name: mark.position for mark in self._marked(connection, PUBLISHED)}
            if noted.get(PUBLISHED, 0) >= change:
                return
            listed = records.find(connection, LogFile, log=self.name)
        self.delta.publish(listed, change=change, at=self._clock.machine_time())
        mark = LogMark(log=self.name, name=PUBLISHED, position=change)
        with self._database.write() as connection:
            records.put(connection, mark)

    def remove_days_before(self, day: date, connection: sa.Connection) -> tuple[int, int]:
        """Take the files of earlier days out of the table; returns how many, and their rows."""
        is_old = sa.and_(_FILES.c.log == self.name, _FILES.c.day < day.isoformat())
        old = records.fetch(connection, LogFile, _FILES.select().where(is_old))
        self._take_out(connection, old)
        return len(old), sum(file.n_rows for file in old)

    def has_days_before(self, day: date) -> bool:
        """Whether there is a file of an earlier day."""
        return bool(self.files(last=day - timedelta(days=1)))

    def rewritten(self, keep: pl.Expr) -> Iterator[tuple[LogFile, LogFile | None, pl.DataFrame]]:
        """The files that have rows of which `keep` is not true, each with what is to replace it.

        Yields the file, the one without those rows (stored already; None if no row is left),
        and those rows. Nothing is changed: see `replace`.
        """
        import polars as pl

        for file in self.files():
            rows = self._scan([file]).with_columns(keep.alias(_KEPT)).collect()
            gone = rows.filter(~pl.col(_KEPT)).drop(_KEPT)
            if gone.height:
                rest = rows.filter(_KEPT).drop(_KEPT)
                place = _Place(date.fromisoformat(file.day), file.environment)
                yield file, self._store(place, rest) if rest.height else None, gone

    def replace(
        self, connection: sa.Connection, changes: Iterable[tuple[LogFile, LogFile | None]]
    ) -> None:
        """Put files in the place of others, in a write transaction.

        Raises:
            Conflict: If one of them is not in the table any more.
        """
        for old, new in changes:
            if not self._take_out(connection, [old]):
                msg = f"the files of {self.name} were changed by another process meanwhile"
                raise Conflict(msg, hint="repeat; nothing was changed")
            if new is not None:
                self._add(connection, new)

    def purge(self, older_than: timedelta) -> int:
        """Delete the bytes of files taken out so long ago, and of files that were never listed.

        Who still reads one of them, or an old version of the Delta table, is told that it is
        gone. Returns the number of files.
        """
        before = self._clock.machine_time() - older_than
        with self._database.read() as connection:
            listed = {file.digest for file in records.find(connection, LogFile, log=self.name)}
            taken_out = records.find(connection, LogRemoval, log=self.name)
        gone = [each for each in taken_out if each.removed_at <= before]
        for each in gone:
            if each.digest not in listed:
                self._of_day(each.day).remove(each.digest)
        if gone:
            with self._database.write() as connection:
                for each in gone:
                    connection.execute(
                        _REMOVALS.delete().where(
                            _REMOVALS.c.log == self.name, _REMOVALS.c.digest == each.digest
                        )
                    )
        return len(gone)

    def sweep(self, older_than: timedelta) -> int:
        """Delete files that a killed process stored and nobody listed; returns how many."""
        before = self._clock.machine_time() - older_than
        with self._database.read() as connection:
            listed = records.find(connection, LogFile, log=self.name)
            removed = records.find(connection, LogRemoval, log=self.name)
        known = {path_of(each.day, each.digest) for each in listed}
        known |= {path_of(each.day, each.digest) for each in removed}
        found = [
            each.name
            for each in self._blobs.names()
            if not each.name.startswith(FOLDER)
            and each.name not in known
            and each.stored_at <= before
        ]
        for name in found:
            self._blobs.remove(name)
        return len(found)

    def _of_day(self, day: str) -> Blobs:
        if day not in self._days:
            self._days[day] = self._blobs.below(folder_of(day))
        return self._days[day]

    def _parts(self, rows: pl.DataFrame) -> dict[_Place, pl.DataFrame]:
        if rows.is_empty():
            return {}
        keys = [name for name in (DAY, ENVIRONMENT) if name in rows.columns]
        parts = rows.partition_by(keys, as_dict=True, maintain_order=True)
        return {_Place(key[0], key[1] if len(key) > 1 else ""): part for key, part in parts.items()}

    def _store(self, place: _Place, rows: pl.DataFrame) -> LogFile:
        buffer = io.BytesIO()
        ordered = rows.select(self._stored_schema.keys()).sort(self._sort, maintain_order=True)
        ordered.write_parquet(buffer, compression="zstd", row_group_size=_ROW_GROUP)
        data = buffer.getvalue()
        return LogFile(
            log=self.name,
            number=0,
            day=place.day.isoformat(),
            environment=place.environment,
            digest=self._of_day(place.day.isoformat()).put(data),
            n_rows=rows.height,
            n_bytes=len(data),
            first=ordered[self._sort][0],
            last=ordered[self._sort][-1],
        )

    def _move(
        self, connection: sa.Connection, marks: Mapping[str, int], seen: Mapping[str, int]
    ) -> None:
        # numbering first: its row makes a second appender wait until this one has committed
        records.next_number(connection, LogMark, self.name)
        current = {mark.name: mark.position for mark in self._marked(connection, *marks)}
        for name, position in marks.items():
            if current.get(name) != seen.get(name):
                msg = f"another process appended the same rows to {self.name} first ({name})"
                raise Conflict(msg, hint="repeat: what it appended will be skipped")
            records.put(connection, LogMark(log=self.name, name=name, position=position))

    def _unmark(self, connection: sa.Connection, names: Collection[str]) -> None:
        if names:
            is_one = sa.and_(_MARKS.c.log == self.name, _MARKS.c.name.in_(names))
            connection.execute(_MARKS.delete().where(is_one))

    def _marked(self, connection: sa.Connection, *names: str) -> list[LogMark]:
        statement = _MARKS.select().where(_MARKS.c.log == self.name)
        if names:
            statement = statement.where(_MARKS.c.name.in_(names))
        return [
            LogMark(log=row.log, name=row.name, position=row.position)
            for row in connection.execute(statement)
        ]

    def _add(self, connection: sa.Connection, file: LogFile) -> None:
        number = records.next_number(connection, LogFile, self.name)
        records.insert(connection, msgspec.structs.replace(file, number=number))

    def _tidy(self, places: set[_Place]) -> None:
        for place in places:
            files = self._files(place)
            if len(files) >= MERGE_FROM:
                self._merge(place, files)

    def _files(self, place: _Place) -> list[LogFile]:
        with self._database.read() as connection:
            return records.find(
                connection,
                LogFile,
                log=self.name,
                day=place.day.isoformat(),
                environment=place.environment,
            )

    def _merge(self, place: _Place, files: list[LogFile]) -> None:

        rows = self._scan(files).collect()
        merged = self._store(place, rows)
        with self._database.write() as connection:
            # somebody else may have merged them meanwhile: then there is nothing to replace
            if self._take_out(connection, files):
                self._add(connection, merged)
            else:
                connection.rollback()

    def _take_out(self, connection: sa.Connection, files: Sequence[LogFile]) -> bool:
        """Take files out of the table; False if one is out already."""
        if not files:
            return True
        is_one = sa.and_(
            _FILES.c.log == self.name, _FILES.c.number.in_([file.number for file in files])
        )
        records.next_number(connection, LogMark, self.name)  # a change for the Delta table
        if connection.execute(_FILES.delete().where(is_one)).rowcount != len(files):
            return False
        at = self._clock.machine_time()
        for file in files:
            removal = LogRemoval(log=self.name, digest=file.digest, day=file.day, removed_at=at)
            records.put(connection, removal)
        return True
