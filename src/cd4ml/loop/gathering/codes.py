"""The values of a column as codes, learned from some rows and looked up for others."""

from __future__ import annotations

from typing import TYPE_CHECKING, NamedTuple

import numpy as np

from cd4ml.measures.alone import UNKNOWN

if TYPE_CHECKING:
    import polars as pl
    from numpy.typing import NDArray

_MOST_VALUES = 256  # of a number; with more of them it is cut into bins of equal counts
_BINS = 64


class Codes(NamedTuple):
    """A column of the rows that teach, and of those that judge, as codes from 0."""

    seen: NDArray[np.int64]
    asked: NDArray[np.int64]


def codes(seen: pl.Series, asked: pl.Series) -> Codes:
    """Each value that the first column has gets a code, as does what is missing there.

    Numbers and times with many values are cut into bins of equal counts, learned from the first.

    Examples:
        >>> import polars as pl
        >>> found = codes(pl.Series(["a", None, "b"]), pl.Series(["b", "c", None]))
        >>> found.seen.tolist(), found.asked.tolist()
        ([1, 0, 2], [2, -1, 0])
    """
    import polars as pl

    is_number = seen.dtype.is_numeric() or seen.dtype.is_temporal()
    if is_number and seen.n_unique() > _MOST_VALUES:
        return _binned(_numbers(seen), _numbers(asked))
    null = "\0"  # before every text
    texts = (part.cast(pl.String).fill_null(null).to_numpy() for part in (seen, asked))
    return _listed(*(part.astype(object) for part in texts))


def _listed(seen: NDArray[np.object_], asked: NDArray[np.object_]) -> Codes:
    known = {value: code for code, value in enumerate(sorted(set(seen)))}
    coded = (
        np.array([known.get(v, UNKNOWN) for v in part], dtype=np.int64) for part in (seen, asked)
    )
    return Codes(*coded)


def _binned(seen: NDArray[np.float64], asked: NDArray[np.float64]) -> Codes:
    finite = seen[np.isfinite(seen)]
    edges = np.unique(np.quantile(finite, np.linspace(0, 1, _BINS + 1)[1:-1]))
    missing = edges.size + 1  # the code of what is no number

    def coded(values: NDArray[np.float64]) -> NDArray[np.int64]:
        return np.where(np.isfinite(values), np.searchsorted(edges, values), missing).astype(
            np.int64
        )

    return Codes(coded(seen), coded(asked))


def _numbers(column: pl.Series) -> NDArray[np.float64]:
    import polars as pl

    plain = column.to_physical() if column.dtype.is_temporal() else column
    return plain.cast(pl.Float64).fill_null(float("nan")).to_numpy()
