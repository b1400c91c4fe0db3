"""Rows of requests as Polars frames and back.

A request carries plain JSON values; an estimator takes a frame with typed columns.
"""

from __future__ import annotations

from collections.abc import Collection, Sequence
from typing import TYPE_CHECKING, Any

import numpy as np
import polars as pl

from cd4ml.errors import InvalidInput
from cd4ml.models.violations import moment_of, with_integers
from cd4ml.records.contract import Contract, Field, FieldType

if TYPE_CHECKING:
    from polars.datatypes import DataType

_TYPES: dict[FieldType, Any] = {
    "integer": pl.Int64(),
    "number": pl.Float64(),
    "string": pl.String(),
    "boolean": pl.Boolean(),
    "datetime": pl.Datetime("us", "UTC"),
}
_TEXT = "%Y-%m-%dT%H:%M:%S%.6fZ"


def to_frame(contract: Contract, values: Sequence[Sequence[Any]]) -> pl.DataFrame:
    """Rows of JSON values, in the order of the contract's fields, as a typed frame."""
    columns = [_typed(field, [row[i] for row in values]) for i, field in enumerate(contract.fields)]
    return pl.DataFrame(columns)


def to_rows(contract: Contract, frame: pl.DataFrame) -> list[dict[str, Any]]:
    """The frame's rows as requests would carry them: plain JSON values, NaN as null.

    Raises:
        InvalidInput: If a column of the contract is missing.
    """
    return frame.select(to_plain(column) for column in requested(contract, frame)).to_dicts()


def from_pandas(frame: Any) -> pl.DataFrame:
    """The columns of a pandas frame, without its index; what is missing (NaN, NA, NaT) is null.

    Raises:
        InvalidInput: If two columns are called alike, or one holds what no column of Polars does.
    """
    names = [str(name) for name in frame.columns]
    twice = sorted({name for name in names if names.count(name) > 1})
    if twice:
        msg = f"the frame has more than one column called {', '.join(twice)}"
        raise InvalidInput(msg, hint="each field is one column")
    return pl.DataFrame(_from_pandas(name, frame.iloc[:, i]) for i, name in enumerate(names))


def _from_pandas(name: str, column: Any) -> pl.Series:
    if getattr(column.dtype, "tz", None) is not None:
        column = column.dt.tz_convert("UTC").dt.tz_localize(None)
    if (kind := getattr(column.dtype, "kind", "O")) == "M":
        return pl.Series(name, column.to_numpy("datetime64[us]"))
    if isinstance(column.dtype, np.dtype) and kind in "iufb":
        return pl.Series(name, column.to_numpy())
    pairs = zip(column.tolist(), column.isna().tolist(), strict=True)
    try:
        return pl.Series(name, [None if is_missing else each for each, is_missing in pairs])
    except (TypeError, ValueError, OverflowError, pl.exceptions.PolarsError) as error:
        msg = f"the column {name!r} of the frame cannot be read: {error}"
        raise InvalidInput(msg, hint="a column has values of one type") from None


def requested(
    contract: Contract, frame: pl.DataFrame, needed: Collection[str] | None = None
) -> pl.DataFrame:
    """The columns of a frame that requests carry, in the contract's order, and no other.

    Args:
        contract: What requests keep.
        frame: Rows with whatever columns.
        needed: The fields that have to be there, of the contract's; by default all.

    Raises:
        InvalidInput: If one of them is missing.
    """
    needed = contract.names if needed is None else needed
    missing = [n for n in contract.names if n in needed and n not in frame.columns]
    if missing:
        msg = f"the rows lack {', '.join(missing)}, which the contract {contract.name!r} names"
        raise InvalidInput(msg, hint=f"they have: {', '.join(frame.columns)}")
    return frame.select(name for name in contract.names if name in frame.columns)


def as_requested(contract: Contract, frame: pl.DataFrame) -> pl.DataFrame:
    """The frame's rows with the columns and types that requests with the same values would have.

    Raises:
        InvalidInput: If a column of the contract is missing.
    """
    rows = [with_integers(contract.fields, row) for row in to_rows(contract, frame)]
    return to_frame(contract, [tuple(row[name] for name in contract.names) for row in rows])


def field_of(column: pl.Series, most_categories: int) -> Field:
    """The field that takes this column's values.

    Raises:
        InvalidInput: If a request cannot carry its type.
    """
    kind = _kind_of(column)
    has_nulls = column.null_count() > 0 or (column.dtype.is_float() and bool(column.is_nan().any()))
    if kind != "string":
        return Field(column.name, kind, nullable=has_nulls)
    texts = column.cast(pl.String).drop_nulls().unique()
    listed = tuple(sorted(texts.to_list())) if len(texts) <= most_categories else ()
    return Field(column.name, kind, nullable=has_nulls, categories=listed, open=bool(listed))


def _kind_of(column: pl.Series) -> FieldType:
    dtype: DataType = column.dtype
    if dtype.is_integer():
        return "integer"
    if dtype.is_numeric():
        return "number"
    if dtype == pl.Boolean:
        return "boolean"
    if dtype in (pl.String, pl.Categorical, pl.Enum):
        return "string"
    if dtype in (pl.Datetime, pl.Date):
        return "datetime"
    msg = f"the column {column.name!r} has the type {dtype}, which a request cannot carry"
    raise InvalidInput(msg, hint="numbers, strings, booleans and times can be sent")


def _typed(field: Field, values: list[Any]) -> pl.Series:
    if field.type != "datetime":
        return pl.Series(field.name, values, dtype=_TYPES[field.type])
    moments = [value if value is None else moment_of(value) for value in values]
    return pl.Series(field.name, moments, dtype=_TYPES["datetime"])


def to_plain(column: pl.Series) -> pl.Series:
    """A column as requests would carry it: NaN as null, times as texts in UTC."""
    dtype = column.dtype
    if dtype.is_float() or dtype.is_decimal():
        return column.cast(pl.Float64).fill_nan(None)
    if dtype in (pl.Categorical, pl.Enum):
        return column.cast(pl.String)
    if dtype in (pl.Datetime, pl.Date):
        moments = column.cast(pl.Datetime("us", getattr(dtype, "time_zone", None)))
        in_utc = moments.dt.convert_time_zone("UTC")  # a time without zone is taken for UTC
        return in_utc.dt.strftime(_TEXT)
    return column
