"""Why a file cannot be read as a table: the line that is to blame, and what is wrong with it.

The readers say at which byte of which chunk they stopped, if they say anything. So a file that
they refuse is looked at once more, slowly, line by line.
"""

from __future__ import annotations

import csv
import mmap
import re
from pathlib import Path
from typing import Any, NamedTuple

import msgspec

from cd4ml.errors import InvalidInput

# as RFC 4180 has it; possessive, so that a quote that nothing closes is looked at once only
_FIELD = rb'(?:"(?:[^"]++|"")*+"|[^",\r\n]*+)'
_RECORD = re.compile(_FIELD + rb"(?:," + _FIELD + rb")*+(?:\r*\n|\r*\Z)")
_FIELDS = re.compile(_FIELD + rb"(?:," + _FIELD + rb")*+,?")
_LARGEST = 2**127


class Reason(NamedTuple):
    """What is wrong with a file, in words that quote none of its values."""

    text: str
    hint: str


def unreadable(path: Path, format_: str, error: Exception) -> InvalidInput:
    """The refusal of a file that Polars cannot read.

    Args:
        path: Which file.
        format_: As what it was read: "csv", "ndjson" or "parquet".
        error: What Polars says.
    """
    reason = _reason(path, format_)
    if reason is not None:
        return InvalidInput(f"{path}: {reason.text}", hint=reason.hint)
    first = str(error).strip().splitlines()[0] if str(error).strip() else type(error).__name__
    msg = f"{path} cannot be read as {format_}"
    hint = "is it whole, and what its name says it is?"
    return InvalidInput(f"{msg}: {first}", hint=hint, discreet=msg)  # Polars quotes values


def _reason(path: Path, format_: str) -> Reason | None:
    if format_ == "parquet" or not path.is_file() or not path.stat().st_size:
        return None
    if line := _other_encoding(path):
        return Reason(f"line {line:,} is no text in UTF-8", "save the file as UTF-8")
    if format_ == "csv":
        return _longer_line(path) or _stray_quote(path)
    return _no_object(path)


def _other_encoding(path: Path) -> int:
    """The first line that is no UTF-8, 0 if all are."""
    with path.open("rb") as file:
        for number, line in enumerate(file, 1):
            try:
                line.decode()
            except UnicodeDecodeError:
                return number
    return 0


def _longer_line(path: Path) -> Reason | None:
    """The first line of a CSV file that has more columns than the first one."""
    with path.open(newline="", encoding="utf-8") as file:
        lines = csv.reader(file)
        n_columns = len(next((line for line in lines if line), []))
        try:
            for line in lines:
                if len(line) > n_columns:
                    said = f"line {lines.line_num:,} has {len(line)} columns instead of {n_columns}"
                    return Reason(said, 'a text with a comma in it stands in "quotes"')
        except csv.Error:
            return None
    return None


def _stray_quote(path: Path) -> Reason | None:
    """The first line with a quote that is not closed, or not where a text begins or ends."""
    with path.open("rb") as file, mmap.mmap(file.fileno(), 0, access=mmap.ACCESS_READ) as text:
        at = 0
        while at < len(text):
            record = _RECORD.match(text, at)
            if record is None:
                whole = _FIELDS.match(text, at)
                line = text[: whole.end() if whole else at].count(b"\n") + 1
                return Reason(
                    f"line {line:,} has a quote that is not closed, or stands inside of a text",
                    'a text with a quote in it stands in quotes, the quote doubled: "say ""hi"""',
                )
            at = record.end()
    return None


def _no_object(path: Path) -> Reason | None:
    """The first line of a file of JSON lines that is no object of values."""
    hint = "one JSON object a line"
    with path.open("rb") as file:
        for number, line in enumerate(file, 1):
            if not line.strip():
                continue
            said = f"expected a JSON object in line {number:,}"
            try:
                row = msgspec.json.decode(line, type=dict[str, Any])
            except (msgspec.MsgspecError, RecursionError) as error:
                return Reason(f"{said}: {error}", hint)
            if large := [name for name, value in row.items() if _is_too_large(value)]:
                said = f"line {number:,} has a whole number of more than 38 digits in {large[0]!r}"
                return Reason(said, 'write it as a text, in "quotes"')
    return None


def _is_too_large(value: object) -> bool:
    return isinstance(value, int | float) and abs(value) >= _LARGEST
