"""Columns of the holdout as few named values, to be sliced by: categories, ranges, null."""

from __future__ import annotations

from itertools import pairwise
from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import NDArray

from cd4ml.measures.estimate import UndefinedMeasure
from cd4ml.measures.weakest import Coded

if TYPE_CHECKING:
    import polars as pl

MOST_VALUES = 50  # of one column; the rows of the rarer values are one slice, "other"

_FEW_NUMBERS = 12  # distinct numbers that are taken as they are
_RANGES = 4  # of about as many rows each, of a column with more
_IDENTIFIES = 0.5  # distinct values to rows: from there on a text is a name, not a kind


def coded(holdout: pl.DataFrame, name: str) -> Coded:
    """A column as numbers from 0, with what each of them is called.

    Up to 12 different numbers, and up to 50 other values, are taken as they are; more numbers
    become four ranges of about as many rows each, rarer values become "other".

    Raises:
        UndefinedMeasure: If the holdout has no such column.

    Examples:
        >>> import polars as pl
        >>> coded(pl.DataFrame({"carrier": ["UA", None, "UA"]}), "carrier")
        Coded(names=['carrier=UA', 'carrier=null'], codes=array([0, 1, 0]))
    """
    if name not in holdout.columns:
        raise UndefinedMeasure(f"the holdout has no column {name!r} to slice by")
    column = holdout[name]
    if column.dtype.is_numeric() and column.drop_nulls().n_unique() > _FEW_NUMBERS:
        return _ranges(column)
    return _values(column)


def searchable(holdout: pl.DataFrame, *, without: tuple[str, ...]) -> dict[str, Coded]:
    """The columns by which weak slices can be searched: neither times, nor names, nor constants.

    Args:
        holdout: The rows.
        without: Columns that are none of the request: the target, a key.
    """
    found: dict[str, Coded] = {}
    for name, dtype in holdout.schema.items():
        if name in without or not _is_sliceable(holdout, name):
            continue
        one = coded(holdout, name)
        if len(one.names) > 1 and not dtype.is_temporal():
            found[name] = one
    return found


def _is_sliceable(holdout: pl.DataFrame, name: str) -> bool:
    import polars as pl

    dtype = holdout.schema[name]
    if dtype.is_numeric() or dtype == pl.Boolean:
        return True
    if not (dtype == pl.String or isinstance(dtype, pl.Categorical | pl.Enum)):
        return False
    return holdout[name].n_unique() < _IDENTIFIES * holdout.height


def _values(column: pl.Series) -> Coded:
    import polars as pl

    words = column.cast(pl.String).fill_null("null")
    counts = words.value_counts(sort=True, name="n").sort(
        ["n", column.name], descending=[True, False]
    )
    common = sorted(counts[column.name].head(MOST_VALUES).to_list())
    places = {word: place for place, word in enumerate(common)}
    codes = words.replace_strict(places, default=len(common), return_dtype=pl.Int64).to_numpy()
    names = [f"{column.name}={word}" for word in common]
    return Coded(names if counts.height <= MOST_VALUES else [*names, f"{column.name}=other"], codes)


def _ranges(column: pl.Series) -> Coded:
    import polars as pl

    numbers = column.cast(pl.Float64).fill_nan(None)
    known = numbers.drop_nulls().to_numpy()
    cuts = np.unique(np.quantile(known, np.arange(1, _RANGES) / _RANGES, method="higher"))
    cuts = cuts[cuts > known.min()]  # else a range below the smallest number would be empty
    codes = np.searchsorted(cuts, numbers.fill_null(0.0).to_numpy(), side="right")
    names = _range_names(column.name, cuts)
    is_null = numbers.is_null().to_numpy()
    if is_null.any():
        codes, names = np.where(is_null, len(names), codes), [*names, f"{column.name}=null"]
    return Coded(names, np.asarray(codes, dtype=np.int64))


def _range_names(name: str, cuts: NDArray[np.float64]) -> list[str]:
    ends = [f"{cut:.6g}" for cut in cuts]
    if not ends:
        return [f"{name} known"]
    between = [f"{low}<={name}<{high}" for low, high in pairwise(ends)]
    return [f"{name}<{ends[0]}", *between, f"{name}>={ends[-1]}"]
