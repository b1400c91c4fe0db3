"""Columns of a CSV file that look like whole numbers and are names: 00123 is not 123."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

from cd4ml.data.csv_scan import columns_met, scan_csv_texts

_CHUNK = 2**16  # bytes: as many as lie in a processor's cache
_COMMA, _LINE_END, _QUOTE, _ZERO = b',\n"0'
_FOLLOWING = b'0123456789,\r\n"'


def with_leading_zeros(paths: Sequence[Path], names: Sequence[str]) -> frozenset[str]:
    """Those of some columns in which a value begins with a zero and a digit after it.

    The files are parsed for that only if such a text stands anywhere in them.

    Args:
        paths: CSV files.
        names: Columns that hold whole numbers.
    """
    return columns_met(paths, names, might_be_in=_is_anywhere, met_in=_columns)


def _is_anywhere(path: Path) -> bool:
    """Whether a field, of whatever column, begins with a zero, a digit and what may follow both.

    Days and times are left out by that: 05:00, 01.02.2013.
    """
    last = b""
    with path.open("rb") as file:
        while chunk := file.read(_CHUNK):
            text = last + chunk
            if _is_in(text):
                return True
            last = text[-3:]
    return _is_in(last + b"\n")


def _is_in(text: bytes) -> bool:
    import numpy as np

    data = np.frombuffer(text, dtype=np.uint8)
    before, after = data[:-3], data[2:-1]
    is_met = data[1:-2] == _ZERO
    is_met &= after - _ZERO < 10  # unsigned: what lies before "0" is large
    is_met &= (before == _COMMA) | (before == _LINE_END) | (before == _QUOTE)
    return bool(is_met.any()) and any(byte in _FOLLOWING for byte in data[3:][is_met].tolist())


def _columns(path: Path, names: Sequence[str]) -> frozenset[str]:
    import polars as pl

    met = [
        (pl.col(name).str.starts_with("0") & (pl.col(name).str.len_bytes() > 1)).any()
        for name in names
    ]
    try:
        row = scan_csv_texts(path).select(met).collect().row(0, named=True)
    except pl.exceptions.PolarsError:  # whoever reads the rows says what is wrong with them
        return frozenset()
    return frozenset(name for name, is_met in row.items() if is_met)
