"""The narrowest types that take all values of columns seen in several parts."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING

from cd4ml.errors import InvalidInput

if TYPE_CHECKING:
    import polars as pl

_MOST_DIGITS = 38


def supertype(schemas: Sequence[dict[str, pl.DataType]]) -> dict[str, pl.DataType]:
    """One type a column.

    Nothing is turned into text: numbers and words in one column are a mistake.

    Args:
        schemas: Of each part, with the same columns in the same order.

    Raises:
        InvalidInput: If a column's types have none in common.

    Examples:
        >>> import polars as pl
        >>> supertype([{"a": pl.Null()}, {"a": pl.Int64()}, {"a": pl.Float64()}])
        {'a': Float64}
    """
    types = dict(schemas[0])
    for schema in schemas[1:]:
        for name, type_ in schema.items():
            types[name] = _common(name, types[name], type_)
    return types


def _common(name: str, one: pl.DataType, other: pl.DataType) -> pl.DataType:
    import polars as pl

    if one == other or other == pl.Null:
        return one
    if one == pl.Null:
        return other
    if isinstance(one, pl.Decimal) and isinstance(other, pl.Decimal):
        return pl.Decimal(_MOST_DIGITS, max(one.scale, other.scale))
    for left, right in ((one, other), (other, one)):
        if isinstance(left, pl.Decimal) and right.is_integer():
            return left
        if left.is_float() and right.is_numeric():
            return pl.Float64()
        if isinstance(left, pl.Datetime) and right == pl.Date:
            return left
    if one.is_integer() and other.is_integer():
        return pl.Int64()
    msg = f"the column {name!r} holds {_words(one)} and {_words(other)}"
    raise InvalidInput(msg, hint="cast it to one type in the query")


def _words(type_: pl.DataType) -> str:
    import polars as pl

    if type_.is_numeric():
        return "numbers"
    words: dict[object, str] = {
        pl.String: "text",
        pl.Boolean: "booleans",
        pl.Binary: "bytes",
        pl.Date: "dates",
        pl.Time: "times of day",
    }
    if isinstance(type_, pl.Datetime):
        return "times"
    return words.get(type_, str(type_))
