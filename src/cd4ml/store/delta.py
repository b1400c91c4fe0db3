"""A Delta table that only grows: each append is counted once, whoever dies in between.

An append carries marks, (name, version) pairs that stand in the same commit as the rows
(Delta's `txn` actions). Delta keeps the latest version of each name but accepts an older
one again, so what was done is asked *before* rows are appended; two appends at once that
carry the same name are told apart by Delta, and the later one fails.
"""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING

from cd4ml.errors import Conflict

if TYPE_CHECKING:
    import polars as pl
    from deltalake import DeltaTable

DAY = "day"  # the column that every table is partitioned by
_TIDY_EVERY = 100  # commits

_CONFIGURATION = {
    "delta.checkpointInterval": "50",
    # Thousands of small commits a day: their log entries go once a checkpoint has them.
    "delta.logRetentionDuration": "interval 2 days",
}


class GrowingTable:
    """One table in a local folder or on `s3://` (credentials from the AWS_ variables)."""

    def __init__(self, uri: str, schema: Mapping[str, pl.DataType], partitions: list[str]) -> None:
        self.uri = uri
        self.schema = schema
        self.partitions = partitions

    def open(self) -> DeltaTable | None:
        """The table as it stands, None before the first append."""
        from deltalake import DeltaTable

        return DeltaTable(self.uri) if DeltaTable.is_deltatable(self.uri) else None

    def create(self) -> DeltaTable:
        """The table, made if it is not there; two makers at once get the same one."""
        from deltalake import DeltaTable, Schema
        from deltalake.schema import Field, PrimitiveType

        if "://" not in self.uri:
            Path(self.uri).mkdir(parents=True, exist_ok=True)
        fields = [Field(name, PrimitiveType(_delta_type(t))) for name, t in self.schema.items()]
        return DeltaTable.create(
            self.uri,
            Schema(fields),
            mode="ignore",
            partition_by=self.partitions,
            configuration=_CONFIGURATION,
        )

    def append(self, table: DeltaTable, rows: pl.DataFrame, marks: Mapping[str, int]) -> None:
        """Add the rows and the marks in one commit.

        Args:
            table: As it was when its marks were read.
            rows: Columns of `schema`; may be empty, the marks count all the same.
            marks: The version from now on of each name.

        Raises:
            Conflict: If another append has moved one of these marks since.
        """
        from deltalake import CommitProperties, Transaction, write_deltalake
        from deltalake.exceptions import CommitFailedError

        done = [Transaction(name, version) for name, version in marks.items()]
        properties = CommitProperties(app_transactions=done)
        try:
            write_deltalake(table, rows, mode="append", commit_properties=properties)
        except CommitFailedError as error:
            msg = f"{self.uri}: another process appended the same rows first ({error})"
            raise Conflict(msg, hint="repeat: what it appended will be skipped") from error
        if table.version() % _TIDY_EVERY == _TIDY_EVERY - 1:
            self.tidy(table)

    def tidy(self, table: DeltaTable) -> None:
        """Merge small files, and delete what no reader has needed for a week."""
        table.optimize.compact()
        table.vacuum(dry_run=False, full=True)

    def scan(self) -> pl.LazyFrame:
        """All rows, read lazily; empty before the first append."""
        import polars as pl

        table = self.open()
        return pl.LazyFrame(schema=self.schema) if table is None else pl.scan_delta(table)


def _delta_type(data_type: pl.DataType) -> str:
    import polars as pl

    if data_type == pl.Datetime:
        return "timestamp"
    names = {pl.String: "string", pl.Int64: "long", pl.Float64: "double", pl.Date: "date"}
    return names[type(data_type)]
