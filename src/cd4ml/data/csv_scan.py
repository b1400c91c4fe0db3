"""CSV files as lazy tables whose columns have the names that the first line says."""

from __future__ import annotations

import csv
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    import polars as pl


def header_of(path: Path) -> list[str]:
    """The names in the first line that is not empty."""
    with path.open(encoding="utf-8-sig", errors="replace", newline="") as file:
        return next((names for names in csv.reader(file) if names), [])


def names_of(path: Path) -> list[str]:
    r"""The names of the columns, of which a doubled quote inside of quotes is one quote.

    Raises:
        polars.exceptions.PolarsError: If the file cannot be read.
    """
    raw, names = _raw_names(path), header_of(path)
    is_quoted = any('"' in name for name in raw) and len(raw) == len(names)
    return names if is_quoted else raw


def scan_csv(
    paths: Sequence[Path],
    types: Mapping[str, pl.DataType | type[pl.DataType]],
    *,
    missing: dict[str, str] | None = None,
) -> pl.LazyFrame:
    """The files with columns of these types.

    Args:
        paths: At least one; all have the columns of the first.
        types: The type of every column by its name, in order.
        missing: What a missing value is written as, besides an empty field, by column.
    """
    import polars as pl

    if not any('"' in name for name in types):
        return pl.scan_csv(list(paths), schema=dict(types), null_values=missing, glob=False)
    # Polars leaves doubled quotes in names, though not in values
    raw = dict(zip(types, _raw_names(paths[0]), strict=True))
    frame = pl.scan_csv(
        list(paths),
        schema={raw[name]: type_ for name, type_ in types.items()},
        null_values={raw[name]: text for name, text in (missing or {}).items()},
        glob=False,
    )
    return frame.rename({written: name for name, written in raw.items()})


def scan_csv_texts(path: Path) -> pl.LazyFrame:
    """A file with every value as the text that is written there.

    Raises:
        polars.exceptions.PolarsError: If the file cannot be read.
    """
    import polars as pl

    return scan_csv([path], dict.fromkeys(names_of(path), pl.String()))


def _raw_names(path: Path) -> list[str]:
    import polars as pl

    return pl.scan_csv([path], infer_schema=False, glob=False).collect_schema().names()


def columns_met(
    paths: Sequence[Path],
    names: Sequence[str],
    *,
    might_be_in: Callable[[Path], bool],
    met_in: Callable[[Path, Sequence[str]], frozenset[str]],
) -> frozenset[str]:
    """Those of some columns in which something stands that is looked for.

    Args:
        paths: CSV files.
        names: The columns.
        might_be_in: Whether it may stand anywhere in a file: a quick look.
        met_in: In which of some columns of such a file it stands: the file is parsed for that.
    """
    found: frozenset[str] = frozenset()
    for path in paths:
        left = [name for name in names if name not in found]
        if left and might_be_in(path):
            found |= met_in(path, left)
    return found
