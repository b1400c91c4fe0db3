"""Values as database drivers give them, as columns of a table."""

from __future__ import annotations

import json
from collections.abc import Sequence
from datetime import UTC, date, datetime, time, timedelta
from decimal import Decimal
from typing import TYPE_CHECKING, Any
from uuid import UUID

from cd4ml.errors import InvalidInput

if TYPE_CHECKING:
    import polars as pl

_MOST_DIGITS = 38
_INTEGERS = range(-(2**63), 2**63)
_HINT = "cast it in the query to a number, text, time or bytes"

# PostgreSQL's object ids of types, as its catalog pg_type has them since ever
_POSTGRES = {
    16: "Boolean",
    20: "Int64",
    21: "Int64",
    23: "Int64",
    700: "Float64",
    701: "Float64",
    1082: "Date",
    1114: "Datetime",
    1184: "Datetime",
    17: "Binary",
}


def declared_types(backend: str, description: Sequence[Any]) -> list[pl.DataType]:
    """What the database says of its columns before the first row; Null where it does not."""
    import polars as pl

    known = _POSTGRES if backend == "postgresql" else {}
    times = pl.Datetime("us", "UTC")
    return [
        times if known.get(column[1]) == "Datetime" else getattr(pl, known.get(column[1], "Null"))()
        for column in description
    ]


def column(name: str, values: Sequence[Any], type_: pl.DataType) -> pl.Series:
    """The values as a column: of the type that is known, else of the one they have.

    Whole numbers, floats, decimals, booleans, text, dates, times and bytes stay what they
    are; times without a zone are taken as UTC; UUIDs, and lists and objects (as JSON),
    become text.

    Raises:
        InvalidInput: If they have several types, or one that no table has.

    Examples:
        >>> import polars as pl
        >>> column("paid", [Decimal("1.50"), None, Decimal("2")], pl.Null()).to_list()
        [Decimal('1.50'), None, Decimal('2.00')]
    """
    import polars as pl

    kinds = {_kind(name, value) for value in values if value is not None}
    if not kinds:
        return pl.Series(name, [None] * len(values), dtype=type_)
    kind = _one_kind(name, kinds)
    if kind == "decimal":
        return _decimals(name, values)
    kept = [None if value is None else _CONVERTED[kind](value) for value in values]
    return pl.Series(name, kept, dtype=_types()[kind])


def _kind(name: str, value: Any) -> str:
    for kind, types in _KINDS:
        if isinstance(value, types):
            if kind == "integer" and value not in _INTEGERS:
                msg = f"the column {name!r} holds {value}, which has more than 64 bits"
                raise InvalidInput(msg, hint=_HINT)
            return kind
    msg = f"the column {name!r} holds {type(value).__name__}, which no table here does"
    raise InvalidInput(msg, hint=_HINT)


_KINDS: tuple[tuple[str, tuple[type, ...]], ...] = (  # a bool is an int, a datetime a date
    ("boolean", (bool,)),
    ("integer", (int,)),
    ("float", (float,)),
    ("decimal", (Decimal,)),
    ("text", (str, UUID)),
    ("time", (datetime,)),
    ("date", (date,)),
    ("time of day", (time,)),
    ("duration", (timedelta,)),
    ("bytes", (bytes, bytearray, memoryview)),
    ("JSON", (list, dict)),
)


def _one_kind(name: str, kinds: set[str]) -> str:
    if len(kinds) == 1:
        return next(iter(kinds))
    if kinds <= {"integer", "float", "decimal"}:
        return "float" if "float" in kinds else "decimal"
    if kinds == {"date", "time"}:
        return "time"
    if kinds == {"text", "JSON"}:
        return "JSON"
    msg = f"the column {name!r} holds values of several kinds: {', '.join(sorted(kinds))}"
    raise InvalidInput(msg, hint="cast it to one type in the query")


def _utc(value: date) -> datetime:
    if not isinstance(value, datetime):
        return datetime(value.year, value.month, value.day, tzinfo=UTC)
    return value.replace(tzinfo=UTC) if value.tzinfo is None else value.astimezone(UTC)


def _same(value: Any) -> Any:
    return value


def _json(value: Any) -> str:
    return json.dumps(value, ensure_ascii=False, sort_keys=True, default=str)


_CONVERTED: dict[str, Any] = {
    "boolean": _same,
    "integer": _same,
    "float": float,
    "text": str,
    "time": _utc,
    "date": _same,
    "time of day": _same,
    "duration": _same,
    "bytes": bytes,
    "JSON": _json,
}


def _types() -> dict[str, Any]:
    import polars as pl

    return {
        "boolean": pl.Boolean,
        "integer": pl.Int64,
        "float": pl.Float64,
        "text": pl.String,
        "time": pl.Datetime("us", "UTC"),
        "date": pl.Date,
        "time of day": pl.Time,
        "duration": pl.Duration("us"),
        "bytes": pl.Binary,
        "JSON": pl.String,
    }


def _decimals(name: str, values: Sequence[Any]) -> pl.Series:
    import polars as pl

    exact = [None if value is None else Decimal(value) for value in values]
    if any(value is not None and not value.is_finite() for value in exact):
        msg = f"the column {name!r} holds a decimal that is no number (NaN or Infinity)"
        raise InvalidInput(msg, hint=_HINT)
    exponents = [int(value.as_tuple().exponent) for value in exact if value is not None]
    scale = max(0, *(-exponent for exponent in exponents))
    widest = max(value.adjusted() + 1 for value in exact if value is not None)
    if max(widest, 1) + scale > _MOST_DIGITS:
        msg = f"the column {name!r} holds decimals of more than {_MOST_DIGITS} digits"
        raise InvalidInput(msg, hint="round them in the query, or cast them to float")
    return pl.Series(name, exact, dtype=pl.Decimal(_MOST_DIGITS, scale))
