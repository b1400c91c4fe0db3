"""A version of a Delta Lake table, frozen."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import TYPE_CHECKING, Any

from cd4ml.data.sources.arrival import Arrival, Wanted
from cd4ml.data.sources.parts import PATTERN, write_parts
from cd4ml.errors import Corrupted, InvalidInput, NotFound, Unavailable

if TYPE_CHECKING:
    import polars as pl

_FETCHED = 50_000  # rows at a time


def read(wanted: Wanted) -> Arrival | None:
    """Read a table as it is in one of its versions, the newest unless another one is wanted.

    Deleted rows (deletion vectors too) are left out; columns by which the table is
    partitioned are columns like others. Returns None if the version was read before.

    Raises:
        NotFound: If there is no table, no such version of it, or it has no rows.
        InvalidInput: If it needs what the reader cannot do.
        Unavailable: If its files cannot be reached.
        Corrupted: If another number of rows was read than the table says it has.
    """
    settings = wanted.settings
    place = settings.path if "://" in settings.path else str(wanted.root / settings.path)
    words = f"delta {settings.path}"
    table = _table(place, settings.version, words)
    state = {"table": str(table.metadata().id), "version": str(table.version())}
    if state == dict(wanted.state):
        return None
    n_rows = write_parts(wanted.folder, _frames(table, words), contract=wanted.contract)
    _refuse_other_number(n_rows, table.count() - _n_deleted(table), words)
    note = f"version {table.version()} of the Delta table"
    return Arrival(PATTERN, f"{words}@{table.version()}", state, note)


def _table(place: str, version: int | None, words: str) -> Any:
    from deltalake import DeltaTable
    from deltalake.exceptions import DeltaError, TableNotFoundError

    if "://" not in place and not Path(place, "_delta_log").is_dir():
        msg = f"{words}: there is no Delta table at {place}"
        raise NotFound(msg, hint="correct `path`: the folder that holds _delta_log")
    try:
        return DeltaTable(place, version=version)
    except TableNotFoundError:
        msg = f"{words}: there is no Delta table at {place}"
        raise NotFound(msg, hint="correct `path`: the folder that holds _delta_log") from None
    except (DeltaError, OSError) as error:
        reason = _first_line(error)
        if version is not None:
            msg = f"{words}: it has no version {version} that can be read: {reason}"
            raise NotFound(msg, hint="correct `version`, or leave it out for the newest") from None
        msg = f"{words} cannot be read: {reason}"
        raise Unavailable(msg, hint="is it reachable, and whole?") from None


def _frames(table: Any, words: str) -> Iterator[pl.DataFrame]:
    import polars as pl
    from deltalake.exceptions import DeltaError

    try:
        scan = pl.scan_delta(table)
        yield pl.DataFrame(schema=scan.collect_schema())
        yield from scan.collect_batches(chunk_size=_FETCHED, maintain_order=True)
    except (DeltaError, pl.exceptions.PolarsError, NotImplementedError) as error:
        msg = f"{words} cannot be read"
        hint = "does it use what this reader of Delta cannot do?"
        raise InvalidInput(f"{msg}: {_first_line(error)}", hint=hint, discreet=msg) from None
    except OSError as error:
        msg = f"{words} cannot be read: {_first_line(error)}"
        raise Unavailable(msg, hint="is it reachable, and are all of its files there?") from None


def _n_deleted(table: Any) -> int:
    """How many rows are in the files and deleted by deletion vectors."""
    import polars as pl

    deleted = 0
    for batch in table.deletion_vectors():
        vectors = pl.Series(batch.column("selection_vector"))
        deleted += int(vectors.list.eval(~pl.element()).list.sum().sum())
    return deleted


def _refuse_other_number(n_read: int, n_rows: int, words: str) -> None:
    if n_read != n_rows:
        msg = f"{words}: {n_read:,} rows were read, and the table has {n_rows:,}"
        raise Corrupted(msg, hint="a newer polars may read it: it has to know deletion vectors")
    if n_rows == 0:
        msg = f"{words} has no rows"
        raise NotFound(msg, hint="a version without rows teaches nothing")


def _first_line(error: Exception) -> str:
    return str(error).strip().splitlines()[0] if str(error).strip() else type(error).__name__
