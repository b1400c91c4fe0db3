"""Deletes one person's rows from the prediction log: files, labels, segments, lines set aside."""

from __future__ import annotations

import json
from collections.abc import Callable, Collection
from datetime import timedelta
from typing import TYPE_CHECKING, Any

import msgspec
import sqlalchemy as sa

from cd4ml.store.masking import KEY, Mask

if TYPE_CHECKING:
    import polars as pl

    from cd4ml.store.log import PredictionLog

_IN_WORK = timedelta(hours=1)  # a younger file that nobody lists may be about to be listed


class Forgotten(msgspec.Struct, frozen=True, kw_only=True):
    """How much was deleted; never what."""

    predictions: int  # rows, those of shadows included
    labels: int
    files: int  # that were written anew or removed
    set_aside: int  # lines that could not be read as predictions


def forget(
    log: PredictionLog,
    *,
    field: str,
    values: Collection[str],
    note: Callable[[sa.Connection, Forgotten], None],
) -> Forgotten:
    """Delete the rows in which a field has one of some values, with their labels.

    Only one process may do it or collect at a time. What was not collected before is not
    seen. When this returns, the bytes are gone from the store, from this machine's copies
    and from the segments it wrote; a process killed in between leaves them out of every
    table, and the same call again removes the bytes.

    Args:
        log: Collected.
        field: Of the requests, or `cd4ml-key`.
        values: As they are written, see `as_written`.
        note: Writes down how much it was, in the transaction that makes the rows disappear.

    Raises:
        Conflict: If files were merged meanwhile: nothing was changed, repeat.
    """
    import polars as pl

    predictions, labels = log.tables
    found = list(predictions.rewritten(~_is_one_of(field, values)))
    ids = pl.concat([pl.Series("id", [], pl.String), *(g["prediction_id"] for *_, g in found)])
    theirs = [] if ids.is_empty() else list(labels.rewritten(~pl.col("prediction_id").is_in(ids)))
    forgotten = Forgotten(
        predictions=len(ids),
        labels=sum(gone.height for *_, gone in theirs),
        files=len(found) + len(theirs),
        set_aside=_forget_set_aside(log, values),
    )
    with log.database.write() as connection:
        predictions.replace(connection, [(old, new) for old, new, _ in found])
        labels.replace(connection, [(old, new) for old, new, _ in theirs])
        note(connection, forgotten)
    for table in log.tables:
        table.publish()
        table.purge(timedelta())
        table.sweep(_IN_WORK)
    log.erase_drained()
    return forgotten


def as_written(mask: Mask, field: str, value: str) -> set[str]:
    """The texts by which a person's value may be on record: as it is, and hashed.

    Both, because the policy may have changed since.

    Examples:
        >>> mask = Mask(hashed=["patient"], secret=b"secret")
        >>> as_written(mask, "patient", "17") == {"17", mask.hash("17"), str(mask.hash(17))}
        True
    """
    forms: list[Any] = [value, mask.hash(value)]
    if field != KEY and value.removeprefix("-").isdecimal():
        forms.append(mask.hash(int(value)))
    return {str(form) for form in forms if form is not None}


def _is_one_of(field: str, values: Collection[str]) -> pl.Expr:
    import polars as pl

    if field == KEY:
        return pl.col("key").is_in(list(values))
    quote = "'" if '"' in field else '"'
    found = pl.col("inputs").str.json_path_match(f"$[{quote}{field}{quote}]")
    return found.is_in(list(values)).fill_null(value=False)


def _forget_set_aside(log: PredictionLog, values: Collection[str]) -> int:
    n = 0
    wanted = [json.dumps(v, ensure_ascii=a)[1:-1].encode() for v in values for a in (True, False)]
    for aside in log.set_aside():
        lines = aside.path.read_bytes().splitlines(keepends=True)
        kept = [line for line in lines if not any(each in line for each in wanted)]
        if len(kept) < len(lines):
            n += len(lines) - len(kept)
            fresh = aside.path.with_suffix(".fresh")
            fresh.write_bytes(b"".join(kept))
            fresh.replace(aside.path)
    return n
