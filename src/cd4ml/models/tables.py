"""Whole tables against the contract of requests: which rows keep it, and as what they are scored.

Says of every row what the endpoint would say of it, without making a Python object of it. A
table may have further columns: keys, times, what became of the row.
"""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

import msgspec
import polars as pl

from cd4ml.errors import InvalidInput
from cd4ml.models.contract import forgiving
from cd4ml.models.frames import to_rows
from cd4ml.models.leniency import is_lenient, mender
from cd4ml.models.violations import (
    LARGEST_EXACT,
    Kind,
    is_closed,
    is_moment,
    keeps,
    limits_of,
    moment_of,
    violations_of,
    with_integers,
)
from cd4ml.records.contract import Contract, Field

_TYPES: dict[str, Any] = {
    "integer": pl.Int64(),
    "number": pl.Float64(),
    "string": pl.String(),
    "boolean": pl.Boolean(),
}
_MOMENT = pl.Datetime("us", "UTC")
_TEXTS = (pl.String, pl.Categorical, pl.Enum)


def kept(contract: Contract, frame: pl.DataFrame) -> pl.Series:
    """Whether each row keeps the contract, or is forgiven; NaN counts as null.

    Raises:
        InvalidInput: If a column is missing that is not optional.

    Examples:
        >>> hour = Contract(name="c", fields=(Field("hour", "integer", minimum=0, maximum=23),))
        >>> kept(hour, pl.DataFrame({"hour": [0, 24, None]})).to_list()
        [True, False, False]
    """
    _refuse_missing(contract, frame)
    found = pl.Series([True]).new_from_index(0, frame.height)
    for field in map(forgiving, contract.fields):
        if field.name in frame.columns:
            column = _without_nan(frame[field.name])
            found &= _keeps(field, column) | (column.is_null() if field.nullable else False)
    return found


def typed(contract: Contract, frame: pl.DataFrame) -> pl.DataFrame:
    """The contract's columns with the types that an estimator gets; rows that keep it only."""
    columns = []
    for field in contract.fields:
        if field.name not in frame.columns:
            empty = pl.Series(field.name, [None], dtype=_TYPES.get(field.type, _MOMENT))
            columns.append(empty.new_from_index(0, frame.height))
        elif field.type == "datetime":
            columns.append(_moments(frame[field.name]))
        else:
            columns.append(_without_nan(frame[field.name]).cast(_TYPES[field.type]))
    return pl.DataFrame(columns)


def mended(fields: Iterable[Field], frame: pl.DataFrame) -> pl.DataFrame:
    """The rows as they are scored: what is forgiven is clipped, or the contract's default.

    Args:
        fields: Of the contract.
        frame: Its columns with the types that an estimator gets; rows that are taken.

    Examples:
        >>> wind = Field(
        ...     "wind", "number", maximum=50, on_outside="clip", on_null="default", default=7
        ... )
        >>> mended([wind], pl.DataFrame({"wind": [60.0, None, 8.0]}))["wind"].to_list()
        [50.0, 7.0, 8.0]
    """
    present = [field for field in fields if field.name in frame.columns]
    return frame.with_columns(
        _mended(field, frame[field.name]) for field in present if mender((field,))
    )


def forgiven(contract: Contract, frame: pl.DataFrame) -> dict[str, dict[Kind, int]]:
    """How many values of rows that are taken were forgiven: field -> in what way -> how many.

    Examples:
        >>> hour = Field("hour", "integer", maximum=23, on_outside="clip", on_null="warn")
        >>> forgiven(Contract(name="c", fields=(hour,)), pl.DataFrame({"hour": [24, 25, None, 1]}))
        {'hour': {'null': 1, 'outside': 2}}
    """
    found: dict[str, dict[Kind, int]] = {}
    for field in filter(is_lenient, contract.fields):
        counted: dict[Kind, int] = {}
        is_there = field.name in frame.columns
        column = _without_nan(frame[field.name]) if is_there else None
        n_null = frame.height if column is None else column.null_count()
        if field.on_null != "refuse" and not field.nullable and n_null:
            counted["null"] = n_null
        if column is not None and (
            n_amiss := frame.height - n_null - int(_keeps(field, column).sum())
        ):
            counted["unknown" if field.type == "string" else "outside"] = n_amiss
        if counted:
            found[field.name] = counted
    return found


def reasons(contract: Contract, frame: pl.DataFrame) -> list[str]:
    """What is wrong with each row, as JSON: the list of its violations, as an endpoint has them."""
    present = tuple(field for field in contract.fields if field.name in frame.columns)
    rows = to_rows(msgspec.structs.replace(contract, fields=present), frame)
    asked = (with_integers(contract.fields, row) for row in rows)
    found = (violations_of(contract.fields, row) for row in asked)
    return [msgspec.json.encode(each).decode() for each in found]


def _refuse_missing(contract: Contract, frame: pl.DataFrame) -> None:
    needed = [field.name for field in contract.fields if not field.optional]
    missing = [name for name in needed if name not in frame.columns]
    if missing:
        msg = f"the rows lack {', '.join(missing)}, which the contract {contract.name!r} names"
        raise InvalidInput(msg, hint=f"they have: {', '.join(frame.columns)}")


def _keeps(field: Field, column: pl.Series) -> pl.Series:
    """Whether each value that is not null is what the field takes; False for nulls."""
    dtype = column.dtype
    if field.type == "boolean":
        return column.is_not_null() & (dtype == pl.Boolean)
    if field.type in ("integer", "number"):
        if field.type == "integer" and dtype.is_float():
            return _within(field, column) & _are_integers(column)
        fits = dtype.is_integer() or (field.type == "number" and dtype.is_numeric())
        return _within(field, column) if fits else _none(column)
    if dtype in _TEXTS:
        return _texts_that(column, field)
    is_time = field.type == "datetime" and dtype in (pl.Datetime, pl.Date)
    return column.is_not_null() if is_time else _none(column)


def _within(field: Field, column: pl.Series) -> pl.Series:
    low, high = limits_of(field)
    wide = column.cast(pl.Int128 if column.dtype.is_integer() else pl.Float64)
    if column.dtype.is_integer() and field.type == "number":
        wide = wide.cast(pl.Float64)
    return wide.is_between(low, high).fill_null(value=False)


def _are_integers(column: pl.Series) -> pl.Series:
    """Whether each float is a whole number that stands for one integer; False for nulls."""
    is_whole = (column == column.floor()) & (column.abs() <= float(LARGEST_EXACT))
    return is_whole.fill_null(value=False)


def _texts_that(column: pl.Series, field: Field) -> pl.Series:
    texts = column.cast(pl.String)
    takes: Iterable[str] = texts.unique().drop_nulls()
    good = [text for text in takes if _takes(field, text)]
    return texts.is_in(pl.Series(good, dtype=pl.String).implode()).fill_null(value=False)


def _takes(field: Field, text: str) -> bool:
    return is_moment(text) if field.type == "datetime" else keeps(field, text)


def _mended(field: Field, column: pl.Series) -> pl.Series:
    if field.on_unknown == "default" and is_closed(field):
        texts = column.cast(pl.String)
        is_known = texts.is_in(pl.Series(field.categories).implode()) | texts.is_null()
        usual = pl.Series([str(field.default)]).new_from_index(0, len(texts))
        column = texts.zip_with(is_known, usual)
    if field.on_outside == "clip":
        low, high = limits_of(field)
        column = column.clip(low, high)
    if field.on_null == "default":
        default: Any = field.default
        default = moment_of(default) if field.type == "datetime" else default
        column = _without_nan(column)
        usual = pl.Series([default]).cast(column.dtype).new_from_index(0, len(column))
        column = column.zip_with(column.is_not_null(), usual)
    return column.alias(field.name)


def _none(column: pl.Series) -> pl.Series:
    return pl.Series([False]).new_from_index(0, len(column))


def _without_nan(column: pl.Series) -> pl.Series:
    if column.dtype.is_decimal():
        return column.cast(pl.Float64)
    return column.fill_nan(None) if column.dtype.is_float() else column


def _read(texts: pl.Series) -> pl.Series:
    """The moments that texts name; Polars reads not every way to write them that RFC 3339 knows."""
    usual = texts.str.to_uppercase().str.replace(" ", "T", literal=True)
    cut = usual.str.replace(r"(\.[0-9]{6})[0-9]+", "$1")
    return cut.str.to_datetime(time_unit="us", time_zone="UTC")


def _moments(column: pl.Series) -> pl.Series:
    if column.dtype in _TEXTS:
        return _read(column.cast(pl.String))
    if column.dtype == pl.Date:
        column = column.cast(pl.Datetime("us"))
    zoned = getattr(column.dtype, "time_zone", None)
    moments = column.cast(pl.Datetime("us", zoned))
    if zoned is None:  # a time without zone is taken for UTC, as everywhere
        return moments.dt.replace_time_zone("UTC")
    return moments.dt.convert_time_zone("UTC")
