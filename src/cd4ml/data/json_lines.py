"""What reading JSON lines as columns would lose: a name twice, one type among others.

Lines of the usual shape lose nothing: the columns in one order, each at most once, numbers
that are none but numbers. One regular expression finds the other lines, and only these
are looked at one by one.
"""

from __future__ import annotations

import json
import re
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

from cd4ml.data.large_numbers import is_inexact
from cd4ml.data.unreadable import unreadable
from cd4ml.errors import InvalidInput

_ANY = r'(?:"(?:[^"\\]|\\.)*"|[^",{}\[\]]*)'
_NO_BOOLEAN = r'[^",{}\[\]tf]*'  # null, or a number
_SHORT = r"(?:-?[0-9]{0,15}(?:[.eE][^\",{}\[\]tf]*)?|null)\s*"  # exact as a float
_VALUES = {"Int64": _NO_BOOLEAN, "Float64": _SHORT}


def mixed_columns(path: Path, types: Mapping[str, str], numbers: Sequence[str]) -> frozenset[str]:
    """The columns that are text, since their values are not all of the type that was seen.

    These are numbers among which true or false stand, and numbers with a whole one that a float
    cannot hold exactly, unless it is declared that they are numbers.

    Args:
        path: A file of JSON lines that Polars can read.
        types: The columns with the types that were seen, of all files.
        numbers: Columns that a contract declares, not as texts.

    Raises:
        InvalidInput: If a name stands twice in a line.
    """
    names = [name for name, type_ in types.items() if type_ in _VALUES]
    floats = [name for name in names if types[name] == "Float64" and name not in numbers]
    found: set[str] = set()
    for number, line in _odd_lines(path, types):
        row = _row(line, path, number)
        found |= {name for name in names if isinstance(row.get(name), bool)}
        found |= {name for name in floats if _is_inexact(row.get(name))}
    return frozenset(found)


def _odd_lines(path: Path, types: Mapping[str, str]) -> Iterator[tuple[int, bytes]]:
    """The lines of another shape, with their numbers, from 1."""
    numbers = _odd_numbers(path, types)
    with path.open("rb") as file:
        next_odd = next(numbers, 0)
        for number, line in enumerate(file, 1) if next_odd else ():
            if number == next_odd:
                yield number, line
                next_odd = next(numbers, 0)


def _odd_numbers(path: Path, types: Mapping[str, str]) -> Iterator[int]:
    import polars as pl

    lines = pl.scan_lines(path, glob=False, row_index_name="number", row_index_offset=1)
    is_usual = pl.col("line").str.contains(_shape(types))
    try:
        numbers = lines.filter(~is_usual).select("number").collect().to_series()
    except pl.exceptions.ComputeError:  # so many columns that the expression is too large
        numbers = lines.select("number").collect().to_series()
    return iter(numbers)


def _shape(types: Mapping[str, str]) -> str:
    columns = (
        rf"(?:{_quoted(name)}\s*:\s*{_VALUES.get(type_, _ANY)}\s*(?:,\s*|\}}))?"
        for name, type_ in types.items()
    )
    return rf"^\s*(?:\{{\s*{''.join(columns)}\}}?)?\s*$"


def _quoted(name: str) -> str:
    return re.escape(json.dumps(name, ensure_ascii=False))


def _row(line: bytes, path: Path, number: int) -> dict[str, Any]:
    def unique(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
        row = dict(pairs)
        if len(row) < len(pairs):
            names = [name for name, _ in pairs]
            twice = next(name for name in names if names.count(name) > 1)
            msg = f"{path}: line {number:,} has the column {twice!r} twice"
            hint = "which of the two values is meant? leave one of them"
            raise InvalidInput(msg, hint=hint)
        return row

    try:
        row = json.loads(line.strip() or b"{}", object_pairs_hook=unique)
    except (ValueError, RecursionError) as error:
        raise unreadable(path, "ndjson", error) from None
    return row if isinstance(row, dict) else {}


def _is_inexact(value: object) -> bool:
    return isinstance(value, int) and is_inexact(value)
