"""What came in a request as a table: JSON, newline-delimited JSON or Parquet."""

from __future__ import annotations

import io
import json
from collections.abc import Callable, Mapping, Sequence
from typing import TYPE_CHECKING, Any, NamedTuple

import msgspec

from cd4ml.data.formats import utc
from cd4ml.errors import InvalidInput
from cd4ml.records.contract import Contract, Field, FieldType
from cd4ml.records.finding import Finding

if TYPE_CHECKING:
    import polars as pl

MOST_ROWS = 100_000  # in one request

_INTEGERS = range(-(2**63), 2**63)
_MOST_SHOWN = 60  # characters of a value


class Batch(NamedTuple):
    """Rows in the columns' types; values of another type are null, and `wrong` says so.

    `unread` has the places of such values (rows from 0) by column.
    """

    frame: pl.DataFrame
    wrong: tuple[Finding, ...] = ()
    unread: Mapping[str, Sequence[int]] = {}


def from_json(body: bytes, *, contract: Contract | None, known: Mapping[str, pl.DataType]) -> Batch:
    """The rows of a JSON array of objects.

    Args:
        body: The array; each object holds a row, its values by column.
        contract: Declares the columns; without one they are as known, or as they look.
        known: The columns of the rows before, with their types.

    Raises:
        InvalidInput: If it is no such array, has no rows or too many, or without a
            contract values of one column are of several types.
    """
    try:
        rows = msgspec.json.decode(body, type=list[dict[str, Any]])
    except (msgspec.MsgspecError, UnicodeDecodeError, RecursionError) as error:
        msg = f"expected a JSON array of objects, one a row: {error}"
        raise InvalidInput(msg) from None
    if _names_twice(body):
        raws = msgspec.json.decode(body, type=list[msgspec.Raw])
        found = ((i, _names_twice(bytes(raw))) for i, raw in enumerate(raws, 1))
        raise _twice(*next((f"row {i:,}", name) for i, name in found if name))
    return _batch(rows, contract, known)


def from_ndjson(
    body: bytes, *, contract: Contract | None, known: Mapping[str, pl.DataType]
) -> Batch:
    """The rows of newline-delimited JSON objects; otherwise like `from_json`."""
    rows = []
    for number, line in enumerate(body.split(b"\n"), 1):
        if not line.strip():
            continue
        try:
            rows.append(msgspec.json.decode(line, type=dict[str, Any]))
        except (msgspec.MsgspecError, UnicodeDecodeError, RecursionError) as error:
            msg = f"expected a JSON object in line {number:,}: {error}"
            raise InvalidInput(msg) from None
        if name := _names_twice(line):
            raise _twice(f"line {number:,}", name)
    return _batch(rows, contract, known)


def _names_twice(text: bytes) -> str:
    """A name that stands twice in one object of a valid JSON text; "" if none does."""
    twice: list[str] = []

    def look(pairs: list[tuple[str, Any]]) -> None:
        names = [name for name, _ in pairs]
        if len(set(names)) < len(names):
            twice.extend(name for name in names if names.count(name) > 1)

    json.loads(text, object_pairs_hook=look, parse_int=str, parse_float=str)
    return twice[0] if twice else ""


def _twice(where: str, name: str) -> InvalidInput:
    msg = f"{where} has the column {name!r} twice"
    return InvalidInput(msg, hint="which of the two values is meant? send one of them")


def from_parquet(
    body: bytes, *, contract: Contract | None, known: Mapping[str, pl.DataType]
) -> Batch:
    """The rows of a Parquet file; written times and whole numbers become what is declared."""
    import polars as pl

    try:
        n_rows = pl.scan_parquet(io.BytesIO(body)).select(pl.len()).collect().item()
        _refuse_number(n_rows)
        frame = pl.read_parquet(io.BytesIO(body))
    except pl.exceptions.PolarsError as error:
        first = str(error).strip().splitlines()[0]
        msg = "the body cannot be read as Parquet"
        raise InvalidInput(f"{msg}: {first}", hint="is it whole?", discreet=msg) from None
    declared = {field.name: field.type for field in contract.fields} if contract else {}
    for name, type_ in frame.schema.items():
        if declared.get(name) == "number" and type_.is_integer():
            frame = frame.with_columns(pl.col(name).cast(pl.Float64))
        if declared.get(name) == "datetime" and type_ == pl.String:
            times = frame.get_column(name)
            text = pl.col(name)
            fitting = frame.select(utc(text, ends_day=_is_arrival(contract, name))).to_series()
            if fitting.null_count() == times.null_count():
                frame = frame.with_columns(fitting)
    return Batch(_ordered(frame, list(known) or list(declared)))


READERS: dict[str, Callable[..., Batch]] = {
    "application/json": from_json,
    "application/x-ndjson": from_ndjson,
    "application/jsonl": from_ndjson,
    "application/vnd.apache.parquet": from_parquet,
}


def _batch(
    rows: Sequence[Mapping[str, Any]],
    contract: Contract | None,
    known: Mapping[str, pl.DataType],
) -> Batch:
    import polars as pl

    _refuse_number(len(rows))
    fields = contract.fields if contract else _fields(rows, known)
    columns, findings, unread = [], [], {}
    for field in fields:
        values = [row.get(field.name) for row in rows]
        series, wrong = _column(field, values, ends_day=_is_arrival(contract, field.name))
        columns.append(series)
        if wrong:
            findings += _wrong(field, values, wrong)
            unread[field.name] = wrong
    named = {field.name for field in fields}
    extra = dict.fromkeys(name for row in rows for name in row if name not in named)
    columns += [pl.Series(name, [None] * len(rows), dtype=pl.Null) for name in extra]
    return Batch(_ordered(pl.DataFrame(columns), list(known)), tuple(findings), unread)


def _refuse_number(n_rows: int) -> None:
    if n_rows == 0:
        msg = "expected at least one row, got none"
        raise InvalidInput(msg)
    if n_rows > MOST_ROWS:
        msg = f"expected at most {MOST_ROWS:,} rows in one request, got {n_rows:,}"
        raise InvalidInput(msg, hint="send them in parts, each under its own Idempotency-Key")


def _fields(
    rows: Sequence[Mapping[str, Any]], known: Mapping[str, pl.DataType]
) -> tuple[Field, ...]:
    """What the columns are without a contract: as before, or as the values look."""
    if known:
        return tuple(
            Field(name, _known_type(name, type_), nullable=True) for name, type_ in known.items()
        )
    names = dict.fromkeys(name for row in rows for name in row)
    return tuple(
        Field(name, _seen_type(name, [row.get(name) for row in rows]), nullable=True)
        for name in names
    )


def _known_type(name: str, type_: pl.DataType) -> FieldType:
    import polars as pl

    kinds: dict[Any, FieldType] = {
        pl.Int64: "integer",
        pl.Float64: "number",
        pl.String: "string",
        pl.Boolean: "boolean",
        pl.Datetime("us", "UTC"): "datetime",
    }
    if type_ not in kinds:
        msg = f"the column {name!r} is {type_}, which JSON cannot say"
        raise InvalidInput(msg, hint="push Parquet: content-type application/vnd.apache.parquet")
    return kinds[type_]


def _seen_type(name: str, values: Sequence[Any]) -> FieldType:
    kinds = {type(value) for value in values if value is not None}
    if kinds <= {str}:
        return "string"  # also where all values are missing: anything fits
    if kinds == {bool}:
        return "boolean"
    if kinds == {int}:
        return "integer"
    if kinds <= {int, float}:
        return "number"
    if kinds & {list, dict}:
        msg = f"the column {name!r} holds lists or objects"
        raise InvalidInput(msg, hint="send one column per value")
    said = " and ".join(sorted(_WORDS[kind] for kind in kinds))
    msg = f"the column {name!r} holds {said}"
    raise InvalidInput(msg, hint="send values of one type; or declare a contract")


_WORDS = {str: "text", bool: "booleans", int: "whole numbers", float: "numbers"}


def _is_arrival(contract: Contract | None, name: str) -> bool:
    return contract is not None and name == contract.arrival_time


def _column(field: Field, values: Sequence[Any], *, ends_day: bool) -> tuple[pl.Series, list[int]]:
    """The values as a column of the declared type, and the places of those of another."""
    import polars as pl

    types = {
        "integer": pl.Int64,
        "number": pl.Float64,
        "string": pl.String,
        "boolean": pl.Boolean,
        "datetime": pl.String,
    }
    fits = [_fits(field.type, value) for value in values]
    kept = [value if good else None for value, good in zip(values, fits, strict=True)]
    series = pl.Series(field.name, kept, dtype=types[field.type])
    if field.type == "datetime":
        read = utc(pl.col(field.name), ends_day=ends_day)
        times = series.to_frame().select(read).to_series()
        fits = [
            good and (time is not None or value is None)
            for good, time, value in zip(fits, times, values, strict=True)
        ]
        series = times
    return series, [i for i, good in enumerate(fits) if not good]


def _is_float(value: int) -> bool:
    return value in _INTEGERS and int(float(value)) == value


def _wrong(field: Field, values: Sequence[Any], wrong: Sequence[int]) -> list[Finding]:
    """Values of another type; what is missing besides, for the table cannot tell them apart."""
    findings = [_finding(field, values, wrong, f"{field.name} is {field.type}", "wrong type")]
    missing = [i for i, value in enumerate(values) if value is None]
    if missing and not field.nullable:
        findings.append(_finding(field, values, missing, f"{field.name} is never null", "nulls"))
    return findings


def _fits(type_: FieldType, value: Any) -> bool:
    if value is None:
        return True
    match type_:
        case "integer":
            return type(value) is int and value in _INTEGERS
        case "number":
            # a whole number that no float is equal to would be stored as another one
            return type(value) is float or (type(value) is int and _is_float(value))
        case "boolean":
            return type(value) is bool
        case "string" | "datetime":
            return type(value) is str


def _finding(
    field: Field, values: Sequence[Any], wrong: Sequence[int], gate: str, metric: str
) -> Finding:
    first = wrong[0]
    shown = repr(values[first])
    shown = shown if len(shown) <= _MOST_SHOWN else f"{shown[:_MOST_SHOWN]}..."
    count, n_rows = len(wrong), len(values)
    return Finding(
        gate=gate,
        metric=metric,
        slice=field.name,
        value=float(count),
        limit=0.0,
        n_rows=n_rows,
        outcome="fail",
        reason=f"{count:,} of {n_rows:,} rows, first in row {first + 1:,}: {shown}",
        example=shown,
    )


def _ordered(frame: pl.DataFrame, names: Sequence[str]) -> pl.DataFrame:
    """Columns in the order of those before, where these are the same ones."""
    return frame.select(names) if set(names) == set(frame.columns) else frame
