"""Which rows teach and which judge: by time where rows have one, else by a hash of their key.

Either way a row's side depends on what the row is, not on where it stands, which other
rows there are, on which machine, or when.
"""

from __future__ import annotations

from collections.abc import Sequence
from datetime import datetime, timedelta
from typing import TYPE_CHECKING, NamedTuple

from cd4ml.data.moments import refuse_naive, require_columns, require_time
from cd4ml.data.row_hash import row_shares
from cd4ml.errors import InvalidInput

if TYPE_CHECKING:
    import polars as pl

SHARE = 0.2  # of the rows judge, where nothing else is said
EMBARGO = timedelta(days=1)


class Split(NamedTuple):
    """Rows to learn from, and rows to be judged on; no row is both.

    With an embargo there are rows that are neither.
    """

    training: pl.DataFrame
    holdout: pl.DataFrame


def split(
    frame: pl.DataFrame | pl.LazyFrame,
    *,
    event_time: str = "event_at",
    holdout: timedelta | datetime | float = SHARE,
    embargo: timedelta | None = None,
    by: str | Sequence[str] = (),
    seed: str = "",
) -> Split:
    """Training and holdout rows.

    Where the rows have an event time the newest judge: a model is asked about the future,
    and rows of one day share their fate (weather, a strike, a campaign), so that one which
    has seen half of a day looks better on the other half than it will be. The embargo
    keeps from training what happened shortly before the holdout begins: its outcome was
    not known yet, or leaks into the holdout.

    With `by`, or without an event time, a hash decides: of the columns in `by` (a patient,
    a machine: all rows of one are on one side), else of the whole row. The row goes to the
    holdout if the first 64 bits of BLAKE3 over `seed` and these values, as a number from 0
    to 1, are less than `holdout`. Rows that come later change no row's side; a larger share
    only adds to the holdout.

    Args:
        frame: The rows; a lazy table is read.
        event_time: The column that says when a row happened. Where there is no column of the
            default name, the hash decides.
        holdout: What judges: a period (the newest `timedelta`), a moment (everything from
            then on), or a share of the rows.
        embargo: How long before the holdout training ends: a day by default. Good is what it
            takes until nearly all outcomes are known.
        by: What belongs together.
        seed: Another word is another assignment.

    Returns:
        Both tables, with their rows in the order of the frame.

    Raises:
        InvalidInput: If a column is missing, a row has no event time, or a side has no rows.

    Examples:
        >>> import polars as pl
        >>> visits = pl.DataFrame({"patient": [1, 2, 3, 1, 2, 3, 4], "visit": range(7)})
        >>> halves = split(visits, by="patient", holdout=0.5)
        >>> sorted({*halves.training["patient"]} & {*halves.holdout["patient"]})
        []
    """
    rows = frame.lazy().collect()
    keys = (by,) if isinstance(by, str) else tuple(by)
    if keys or not _has_time(rows, event_time):
        return _by_hash(rows, keys or tuple(rows.columns), holdout, embargo, seed)
    return _by_time(rows, event_time, holdout, EMBARGO if embargo is None else embargo)


def _has_time(rows: pl.DataFrame, event_time: str) -> bool:
    return event_time != "event_at" or event_time in rows.columns


def _by_hash(
    rows: pl.DataFrame,
    keys: tuple[str, ...],
    holdout: timedelta | datetime | float,
    embargo: timedelta | None,
    seed: str,
) -> Split:
    import polars as pl

    require_columns("the table", rows.schema, keys)
    if isinstance(holdout, timedelta | datetime) or embargo is not None:
        msg = "a period, a moment or an embargo needs an event time, and this split is by a hash"
        raise InvalidInput(
            msg, hint='split(rows, event_time="event_at", holdout=timedelta(days=10))'
        )
    is_holdout = pl.Series(row_shares(rows.select(keys), seed) < _share(holdout))
    what = "all columns" if keys == tuple(rows.columns) else ", ".join(keys)
    return _both(rows, ~is_holdout, is_holdout, f"a hash of {what}")


def _by_time(
    rows: pl.DataFrame, event_time: str, holdout: timedelta | datetime | float, embargo: timedelta
) -> Split:
    import polars as pl

    type_ = require_time("the table", rows.schema, event_time)
    n_null = rows[event_time].null_count()
    if n_null:
        msg = f"{n_null:,} of {rows.height:,} rows have no {event_time!r}"
        raise InvalidInput(msg, hint="leave them out, or split by a key: by=...")
    if embargo < timedelta(0):
        msg = f"expected an embargo of zero or more, got {embargo}"
        raise InvalidInput(msg, hint="embargo=timedelta(days=1)")
    time = pl.col(event_time)
    if type_ == pl.Date:  # a day begins at midnight, UTC
        time = time.cast(pl.Datetime("us")).dt.replace_time_zone("UTC")
    begin = _begin(time, type_, event_time, rows.height, holdout)
    if isinstance(holdout, timedelta):  # what lies behind `begin`, up to the newest row
        chosen = rows.select(training=time <= begin - embargo, holdout=time > begin)
    else:
        chosen = rows.select(training=time < begin - embargo, holdout=time >= begin)
    return _both(rows, chosen["training"], chosen["holdout"], f"{event_time!r}")


def _begin(
    time: pl.Expr,
    type_: pl.DataType,
    event_time: str,
    n_rows: int,
    holdout: timedelta | datetime | float,
) -> pl.Expr:
    """Where the holdout begins."""
    import polars as pl

    if isinstance(holdout, timedelta):
        if holdout <= timedelta(0):
            msg = f"expected a period of more than nothing for the holdout, got {holdout}"
            raise InvalidInput(msg, hint="holdout=timedelta(days=10)")
        return time.max() - holdout
    if not isinstance(holdout, datetime):
        # rows of one instant stay together: on the side of the first of them
        return time.sort().slice(min(int(n_rows * (1 - _share(holdout))), n_rows - 1), 1).first()
    if not isinstance(type_, pl.Datetime) or type_.time_zone is not None:
        refuse_naive(holdout)
        zone = "UTC" if not isinstance(type_, pl.Datetime) else type_.time_zone or "UTC"
        return pl.lit(holdout).dt.convert_time_zone(zone)
    if holdout.tzinfo is not None:
        msg = f"{event_time!r} has no time zone to compare {holdout.isoformat()} with"
        raise InvalidInput(msg, hint=f'pl.col("{event_time}").dt.replace_time_zone("UTC")')
    return pl.lit(holdout)


def _share(holdout: timedelta | datetime | float) -> float:
    if isinstance(holdout, float | int) and 0 < holdout < 1:
        return float(holdout)
    msg = f"expected a share between 0 and 1 for the holdout, got {holdout}"
    raise InvalidInput(msg, hint="holdout=0.2 judges on a fifth of the rows")


def _both(rows: pl.DataFrame, training: pl.Series, holdout: pl.Series, what: str) -> Split:
    parts = Split(rows.filter(training), rows.filter(holdout))
    for side, part in parts._asdict().items():
        if part.is_empty():
            msg = f"split by {what}, none of {rows.height:,} rows is left for the {side}"
            raise InvalidInput(msg, hint="another share, period or embargo, or more rows")
    return parts
