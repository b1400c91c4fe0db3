"""A table that only grows: each append is counted once, whoever dies in between.

The rows of an append go into the blob store first, as Parquet, one file a day and
environment. Then one transaction adds the files to the table together with marks,
(name, position) pairs that say what has been taken in. A writer that dies before it
leaves bytes that nobody refers to; a reader sees all of an append or nothing of it.
"""

from __future__ import annotations

import io
from collections.abc import Callable, Mapping
from datetime import date
from typing import TYPE_CHECKING, NamedTuple

import msgspec
import sqlalchemy as sa

from cd4ml.errors import Conflict
from cd4ml.records.log_file import LogFile, LogMark
from cd4ml.store import rows as records
from cd4ml.store.tables import TABLES

if TYPE_CHECKING:
    import polars as pl

    from cd4ml.store.blobs import Blobs
    from cd4ml.store.database import Database

DAY = "day"  # the column that says in which file a row lies
ENVIRONMENT = "environment"
MERGE_FROM = 64  # files of one day and environment that are merged into one

_ROW_GROUP = 16_384  # rows: a reader of one row decodes as many

_FILES = TABLES[LogFile]
_MARKS = TABLES[LogMark]


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
    ) -> None:
        self.name = name
        self.schema = schema
        self._sort = sort
        self._database = database
        self._blobs = blobs

    def marks(self) -> dict[str, int]:
        """The position of every name that was marked."""
        with self._database.read() as connection:
            return {mark.name: mark.position for mark in self._marked(connection)}

    def append(
        self,
        rows: pl.DataFrame,
        marks: Mapping[str, int],
        *,
        seen: Mapping[str, int],
        beside: Callable[[sa.Connection], None] = lambda connection: None,
    ) -> None:
        """Add the rows and the marks, together or not at all.

        Args:
            rows: Columns of `schema`; may be empty, the marks count all the same.
            marks: The position from now on of each name.
            seen: The positions when the rows were read.
            beside: What else is written in the transaction that adds the rows.

        Raises:
            Conflict: If another append has moved one of these marks since.
        """
        files = [self._store(place, part) for place, part in self._parts(rows).items()]
        with self._database.write() as connection:
            self._move(connection, marks, seen)
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

        conditions = [_FILES.c.log == self.name]
        if first is not None:
            conditions.append(_FILES.c.day >= first.isoformat())
        if last is not None:
            conditions.append(_FILES.c.day <= last.isoformat())
        if environment is not None:
            conditions.append(_FILES.c.environment == environment)
        if key is not None:
            conditions += [_FILES.c.first <= key, _FILES.c.last >= key]
        statement = sa.select(_FILES.c.digest).where(*conditions).order_by(_FILES.c.number)
        with self._database.read() as connection:
            digests = list(connection.execute(statement).scalars())
        if not digests:
            return pl.LazyFrame(schema=self.schema)
        paths = [self._blobs.path(digest) for digest in digests]
        return pl.scan_parquet(paths, glob=False, hive_partitioning=False)

    def _parts(self, rows: pl.DataFrame) -> dict[_Place, pl.DataFrame]:
        if rows.is_empty():
            return {}
        keys = [name for name in (DAY, ENVIRONMENT) if name in rows.columns]
        parts = rows.partition_by(keys, as_dict=True, maintain_order=True)
        return {_Place(key[0], key[1] if len(key) > 1 else ""): part for key, part in parts.items()}

    def _store(self, place: _Place, rows: pl.DataFrame) -> LogFile:
        buffer = io.BytesIO()
        ordered = rows.sort(self._sort, maintain_order=True)
        ordered.write_parquet(buffer, compression="zstd", row_group_size=_ROW_GROUP)
        data = buffer.getvalue()
        return LogFile(
            log=self.name,
            number=0,
            day=place.day.isoformat(),
            environment=place.environment,
            digest=self._blobs.put(data),
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
        import polars as pl

        paths = [self._blobs.path(file.digest) for file in files]
        rows = pl.read_parquet(paths, glob=False, hive_partitioning=False)
        merged = self._store(place, rows)
        numbers = [file.number for file in files]
        is_old = sa.and_(_FILES.c.log == self.name, _FILES.c.number.in_(numbers))
        with self._database.write() as connection:
            # somebody else may have merged them meanwhile: then there is nothing to replace
            if connection.execute(_FILES.delete().where(is_old)).rowcount == len(files):
                self._add(connection, merged)
            else:
                connection.rollback()
