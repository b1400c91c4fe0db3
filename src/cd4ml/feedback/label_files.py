"""Labels in files, as rows: what one row holds changes no other."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any

import msgspec

from cd4ml.errors import InvalidInput, NotFound

if TYPE_CHECKING:
    import polars as pl

_BOOLEANS = {"true": True, "false": False}


def read_labels(path: Path) -> pl.DataFrame | Iterable[Mapping[str, Any]]:
    """The rows of a CSV, Parquet or NDJSON file with labels, not yet checked.

    A reader that gives every column one type would blame good rows for a bad one, and would
    take ids for numbers.

    Raises:
        InvalidInput: If it is no such file, or cannot be read.
        NotFound: If there is no such file.
    """
    readers: dict[str, Callable[[Path], pl.DataFrame | list[Mapping[str, Any]]]] = {
        ".csv": _csv,
        ".parquet": _parquet,
        ".ndjson": _ndjson,
    }
    if path.suffix not in readers:
        msg = f"expected a .csv, .parquet or .ndjson file with labels, got {path.name}"
        raise InvalidInput(msg)
    if not path.is_file():
        msg = f"no file {path}"
        raise NotFound(msg, hint="it has the columns prediction_id and value")
    try:
        return readers[path.suffix](path)
    except OSError as error:
        raise InvalidInput(f"{path} cannot be read: {error.strerror or error}") from None


def _csv(path: Path) -> list[Mapping[str, Any]]:
    import polars as pl

    try:
        rows = pl.read_csv(path, infer_schema=False).to_dicts()
    except pl.exceptions.PolarsError as error:
        raise _unreadable(path, error) from None
    return [{**row, "value": _value(row["value"])} if "value" in row else row for row in rows]


def _value(text: str | None) -> object:
    """What a cell says: a boolean, a number, or else what it holds."""
    if text is None or text.lower() in _BOOLEANS:
        return _BOOLEANS.get((text or "").lower())
    try:
        return float(text)
    except ValueError:
        return text


def _parquet(path: Path) -> pl.DataFrame:
    import polars as pl

    try:
        return pl.read_parquet(path)
    except pl.exceptions.PolarsError as error:
        raise _unreadable(path, error) from None


def _ndjson(path: Path) -> list[Mapping[str, Any]]:
    rows: list[Mapping[str, Any]] = []
    for number, line in enumerate(path.read_bytes().splitlines(), start=1):
        if line.strip():
            try:
                rows.append(msgspec.json.decode(line, type=dict[str, Any]))
            except (msgspec.MsgspecError, UnicodeDecodeError) as error:
                msg = f"{path} cannot be read: line {number} is no JSON object: {error}"
                raise InvalidInput(msg, hint="one object a line") from None
    return rows


def _unreadable(path: Path, error: Exception) -> InvalidInput:
    return InvalidInput(f"{path} cannot be read: {str(error).strip().splitlines()[0]}")
