"""Columns of numbers with whole ones that a float cannot hold: two of them would be the same."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING

from cd4ml.data.csv_scan import columns_met, names_of, scan_csv, scan_csv_texts

if TYPE_CHECKING:
    import polars as pl

_CHUNK = 2**16  # bytes: as many as lie in a processor's cache
_DIGITS = 16  # up to 15 are exact in a float
_EXACT = 2**53  # up to here a float holds every whole number
_BEFORE = b',\n" +-'  # a whole number
_HIGH_BITS, _HIGH_BITS_OF_DIGITS = 0xF0F0F0F0F0F0F0F0, 0x3030303030303030


def with_inexact(paths: Sequence[Path], names: Sequence[str]) -> frozenset[str]:
    """Those of some columns in which a whole number stands that a float cannot hold exactly.

    The files are parsed for that only if a whole number of so many digits stands anywhere in
    them.

    Args:
        paths: CSV files.
        names: Columns that hold numbers.
    """
    return columns_met(paths, names, might_be_in=_is_anywhere, met_in=_columns)


def is_inexact(number: int) -> bool:
    """Whether a float cannot hold a whole number exactly.

    Examples:
        >>> is_inexact(2**53), is_inexact(2**53 + 1), is_inexact(10**400)
        (False, True, True)
    """
    try:
        return int(float(number)) != number
    except OverflowError:
        return True


def _is_anywhere(path: Path) -> bool:
    last = b"\n"
    with path.open("rb") as file:
        while chunk := file.read(_CHUNK):
            text = last + chunk
            if _is_in(text):
                return True
            last = text[-_DIGITS:]
    return False


def _is_in(text: bytes) -> bool:
    """Whether so many digits follow on what stands before a number."""
    import numpy as np

    words = np.frombuffer(text, dtype=np.uint64, count=len(text) // 8)
    if not ((words & _HIGH_BITS) == _HIGH_BITS_OF_DIGITS).any():  # so many fill a word of eight
        return False
    data = np.frombuffer(text, dtype=np.uint8)
    runs = data - ord("0") < 10  # unsigned: what lies before "0" is large
    for n_digits in (1, 2, 4, 8):  # of them from each place on, and so twice as many
        runs = runs[:-n_digits] & runs[n_digits:]
    before = data[np.flatnonzero(runs[1:])]
    return any((before == byte).any() for byte in _BEFORE)


def _columns(path: Path, names: Sequence[str]) -> frozenset[str]:
    import polars as pl

    try:
        texts = scan_csv_texts(path)
        large = _large(path, names)
        met = texts.select(_inexact(pl.col(name)).any().alias(name) for name in large)
        row = met.collect().row(0, named=True) if large else {}
    except pl.exceptions.PolarsError:  # whoever reads the rows says what is wrong with them
        return frozenset()
    return frozenset(name for name in large if row[name])


def _large(path: Path, names: Sequence[str]) -> list[str]:
    """The columns with numbers that may be inexact: as numbers they are read faster than as texts.

    All of them, if some value is no number, such as "NA".
    """
    import polars as pl

    types = {name: pl.Float64() if name in names else pl.String() for name in names_of(path)}
    is_large = scan_csv([path], types).select((pl.col(names).abs() >= _EXACT).any())
    try:
        row = is_large.collect().row(0, named=True)
    except pl.exceptions.PolarsError:
        return list(names)
    return [name for name in names if row[name]]


def _inexact(text: pl.Expr) -> pl.Expr:
    """Where a text is a whole number that a float cannot hold; a larger one is no Int128 either."""
    import polars as pl

    large = pl.when(text.cast(pl.Float64, strict=False).abs() >= _EXACT).then(text)
    whole = large.str.extract(rf"^ *\+?(-?[0-9]{{{_DIGITS},}})(?:\.0*)?$")
    number = whole.cast(pl.Int128, strict=False)
    is_exact = number.cast(pl.Float64).cast(pl.Int128, strict=False) == number
    return whole.is_not_null() & ~is_exact.fill_null(value=False)
