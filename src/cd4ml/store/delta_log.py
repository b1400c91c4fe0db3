"""The transaction log of a Delta Lake table: which Parquet files are the table, for every engine.

Who has listed the files of a table elsewhere publishes them here: a commit is one JSON file
under the next number, created once, so that of two committers one succeeds and the other looks
again. What a commit says follows from what is listed and what the log has already; with it goes
the number of the last change (Delta's `txn`), so that a commit that was made and not noted is
not made again.

Source:
    The Delta transaction log protocol, reader version 1, writer version 2: github.com/delta-io
    /delta, PROTOCOL.md ("Actions", "Application transaction identifiers").
"""

from __future__ import annotations

import json
import logging
import uuid
from collections.abc import Iterable, Mapping, Sequence
from datetime import datetime
from typing import TYPE_CHECKING, Any

from cd4ml.errors import Conflict, Unavailable
from cd4ml.records.log_file import LogFile
from cd4ml.store.address import key_of
from cd4ml.store.blobs import Blobs
from cd4ml.store.object_store import first_line

if TYPE_CHECKING:
    import polars as pl

_log = logging.getLogger(__name__)

FOLDER = "_delta_log"
CHECKPOINT_EVERY = 50  # commits; a reader reads the last checkpoint and what came after it

_ATTEMPTS = 5
_NAMESPACE = uuid.UUID("9d0a4c9e-6d0b-4c52-9c57-1f7d9a3f5c11")
_TYPES = {"String": "string", "Int64": "long", "Float64": "double", "Date": "date"}


def folder_of(day: str) -> str:
    """Where a day's files lie below the table: Polars reads the day from there.

    Examples:
        >>> folder_of("2013-02-01")
        'day=2013-02-01'
    """
    return f"day={day}"


def path_of(day: str, digest: str) -> str:
    """A file's name below the table."""
    return f"{folder_of(day)}/{key_of(digest)}"


class DeltaLog:
    """The log of the table in a blob store of its own.

    Args:
        name: The table's, and the application's in its transactions.
        schema: Its columns; `day` among them, by which it is partitioned and which the files
            do not have.
        blobs: Its store.
    """

    def __init__(self, name: str, schema: Mapping[str, pl.DataType], blobs: Blobs) -> None:
        self.name = name
        self._schema = schema
        self._blobs = blobs
        self._seen: Any = None  # the table as it was seen last: only what came after is read

    @property
    def url(self) -> str:
        """What `polars.scan_delta`, `deltalake.DeltaTable` and other engines open."""
        return self._blobs.url

    def publish(self, files: Sequence[LogFile], *, change: int, at: datetime) -> int:
        """Make the table consist of these files; returns its version.

        Args:
            files: All files of the table as of its change of that number.
            change: A number that grows with every change.
            at: When, for whoever asks the log for times.

        Raises:
            Conflict: If other committers were faster again and again.
        """
        wanted = {path_of(file.day, file.digest): file for file in files}
        for _ in range(_ATTEMPTS):
            state = self._state()
            if state is not None and (state.transaction_version(self.name) or 0) >= change:
                return int(state.version())
            version = -1 if state is None else int(state.version())
            actions = self._actions(wanted, _paths(state), change, at, is_new=state is None)
            if self._blobs.create(f"{FOLDER}/{version + 1:020}.json", _lines(actions)):
                self._checkpoint(version + 1)
                return version + 1
        msg = f"other processes publish the Delta table {self.url} all the time"
        raise Conflict(msg, hint="repeat; nothing is lost")

    def version(self) -> int | None:
        """The table's newest version; None if it has none."""
        state = self._state()
        return None if state is None else int(state.version())

    def _state(self) -> Any:
        from deltalake import DeltaTable
        from deltalake.exceptions import DeltaError, TableNotFoundError

        try:
            if self._seen is not None:
                self._seen.update_incremental()
                return self._seen
        except (DeltaError, OSError):  # what came after may be in a checkpoint only
            self._seen = None
        try:
            self._seen = DeltaTable(self.url)
        except TableNotFoundError:
            return None
        except (DeltaError, OSError) as error:
            msg = f"the Delta table {self.url} cannot be read: {first_line(error)}"
            raise Unavailable(msg, hint="is it reachable, and whole?") from None
        return self._seen

    def _actions(
        self,
        wanted: Mapping[str, LogFile],
        present: set[str],
        change: int,
        at: datetime,
        *,
        is_new: bool,
    ) -> list[dict[str, Any]]:
        milliseconds = int(at.timestamp() * 1000)
        head = self._beginning(milliseconds) if is_new else []
        added = [_add(path, wanted[path], milliseconds) for path in wanted if path not in present]
        removed = [
            {"remove": {"path": path, "deletionTimestamp": milliseconds, "dataChange": True}}
            for path in sorted(present - set(wanted))
        ]
        transaction = {"appId": self.name, "version": change, "lastUpdated": milliseconds}
        info = {
            "timestamp": milliseconds,
            "operation": "WRITE",
            "operationParameters": {"mode": "Append"},
            "engineInfo": "cd4ml",
        }
        return [{"commitInfo": info}, *head, *removed, *added, {"txn": transaction}]

    def _beginning(self, milliseconds: int) -> list[dict[str, Any]]:
        fields = [
            {"name": name, "type": _type(kind), "nullable": True, "metadata": {}}
            for name, kind in self._schema.items()
        ]
        table = {
            "id": str(uuid.uuid5(_NAMESPACE, f"{self.url}/{milliseconds}")),
            "name": self.name,
            "format": {"provider": "parquet", "options": {}},
            "schemaString": json.dumps({"type": "struct", "fields": fields}),
            "partitionColumns": ["day"],
            "configuration": {"delta.logRetentionDuration": "interval 1 day"},
            "createdTime": milliseconds,
        }
        return [{"protocol": {"minReaderVersion": 1, "minWriterVersion": 2}}, {"metaData": table}]

    def _checkpoint(self, version: int) -> None:
        if version and version % CHECKPOINT_EVERY == 0:
            from deltalake.exceptions import DeltaError

            try:
                state = self._state()
                state.create_checkpoint()
                state.cleanup_metadata()
            except (DeltaError, OSError) as error:  # readers are slower without it, not wrong
                _log.warning("no checkpoint of %s: %s", self.url, first_line(error))


def _paths(state: Any) -> set[str]:
    if state is None:
        return set()
    actions = state.get_add_actions(flatten=True)
    return {str(path) for path in actions.column("path").to_pylist()}


def _add(path: str, file: LogFile, milliseconds: int) -> dict[str, Any]:
    stats = {
        "numRecords": file.n_rows,
        "minValues": {"prediction_id": file.first},
        "maxValues": {"prediction_id": file.last},
        "nullCount": {"prediction_id": 0},
    }
    return {
        "add": {
            "path": path,
            "partitionValues": {"day": file.day},
            "size": file.n_bytes,
            "modificationTime": milliseconds,
            "dataChange": True,
            "stats": json.dumps(stats),
        }
    }


def _lines(actions: Iterable[Mapping[str, Any]]) -> bytes:
    return "".join(f"{json.dumps(action)}\n" for action in actions).encode()


def _type(kind: pl.DataType) -> str:
    name = str(kind)
    return "timestamp" if name.startswith("Datetime") else _TYPES[name]
