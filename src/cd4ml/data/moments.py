"""Columns of times: which may be compared, and with what."""

from __future__ import annotations

from collections.abc import Mapping
from datetime import datetime
from typing import TYPE_CHECKING, TypeVar

from cd4ml.errors import InvalidInput

if TYPE_CHECKING:
    import polars as pl

Frame = TypeVar("Frame", "pl.DataFrame", "pl.LazyFrame")


def require_columns(what: str, schema: Mapping[str, pl.DataType], names: tuple[str, ...]) -> None:
    """Every name is a column.

    Raises:
        InvalidInput: If one is not; the hint lists those there are.
    """
    for name in names:
        if name not in schema:
            msg = f"{what} has no column {name!r}"
            raise InvalidInput(msg, hint=f"known: {', '.join(schema)}")


def require_time(what: str, schema: Mapping[str, pl.DataType], name: str) -> pl.DataType:
    """The type of a column of times.

    Raises:
        InvalidInput: If there is no such column, or it holds no times.
    """
    import polars as pl

    require_columns(what, schema, (name,))
    type_ = schema[name]
    if type_ in (pl.Datetime, pl.Date):
        return type_
    msg = f"{what} has {name!r} as {type_}, expected a datetime or date"
    raise InvalidInput(
        msg, hint=f'pl.col("{name}").str.to_datetime(time_zone="UTC") makes one of text'
    )


def zone(type_: pl.DataType) -> str:
    """What a column's times are relative to: a time zone, "no time zone" or "dates"."""
    import polars as pl

    if isinstance(type_, pl.Datetime):
        return type_.time_zone or "no time zone"
    return "dates"


def was_by(what: str, schema: Mapping[str, pl.DataType], name: str, moment: datetime) -> pl.Expr:
    """Whether the time in a column had come by a moment; null where the column is.

    A date has come when its day (of the UTC calendar) is over: something happened or
    arrived during it, nobody knows when.

    Raises:
        InvalidInput: If the column holds no times, or times without a zone; if the moment
            has no zone.
    """
    import polars as pl

    type_ = require_time(what, schema, name)
    refuse_naive(moment)
    if type_ == pl.Date:
        column = pl.col(name).cast(pl.Datetime("us")).dt.replace_time_zone("UTC")
        return column.dt.offset_by("1d") <= pl.lit(moment).dt.convert_time_zone("UTC")
    if not isinstance(type_, pl.Datetime) or type_.time_zone is None:
        msg = f"{what} has {name!r} without a time zone, so nobody can say what was before {moment}"
        hint = f'pl.col("{name}").dt.replace_time_zone("UTC"), if it is UTC'
        raise InvalidInput(msg, hint=hint)
    return pl.col(name) <= pl.lit(moment).dt.convert_time_zone(type_.time_zone)


def refuse_naive(moment: datetime) -> None:
    """Let no moment through that has no time zone.

    Raises:
        InvalidInput: If it has none.
    """
    if moment.tzinfo is None:
        msg = f"expected a moment with a time zone, got {moment.isoformat()}"
        raise InvalidInput(msg, hint="datetime(2013, 3, 1, tzinfo=UTC)")
