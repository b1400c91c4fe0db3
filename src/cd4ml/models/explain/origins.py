"""Which fields of a request stand behind each column that a pipeline's encoders make.

Found out by trying: a field is shuffled among rows, and the columns that change come from it.
So it holds for every encoder, also for one that nobody has heard of, and for mixtures.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np

from cd4ml.models.explain.parts import Floats

if TYPE_CHECKING:
    import polars as pl

_ROWS = 500  # among which a field is shuffled
SEVERAL = "several fields"  # of which nobody can say which


class NotNumbers(Exception):
    """What the encoders make is no table of numbers."""


def encoded(encoders: Any, frame: pl.DataFrame) -> Floats:
    """What the last estimator of a pipeline is given, shape (rows, columns).

    Raises:
        NotNumbers: If that is no table of numbers.
    """
    made = encoders.transform(_known(encoders, frame)) if encoders is not None else frame
    dense = made.toarray() if hasattr(made, "toarray") else made
    try:
        table = np.asarray(dense, dtype=np.float64)
    except (TypeError, ValueError):
        raise NotNumbers from None
    if table.ndim != 2 or table.shape[0] != frame.height:
        raise NotNumbers
    return table


def origins(encoders: Any, frame: pl.DataFrame) -> list[str]:
    """For each encoded column the field it comes from; several are joined by ", ".

    Args:
        encoders: A fitted transformer; None if the estimator takes the fields themselves.
        frame: Rows as requests bring them, with all values that matter.

    Raises:
        NotNumbers: If what the encoders make is no table of numbers.
    """
    if encoders is None:
        return list(frame.columns)
    few = frame.sample(min(_ROWS, frame.height), seed=0)
    plain = encoded(encoders, few)
    from_fields: list[list[str]] = [[] for _ in range(plain.shape[1])]
    for name in few.columns:
        for column in _changed(plain, encoded(encoders, _shuffled(few, name))):
            from_fields[column].append(name)
    by_name = _by_name(encoders, list(frame.columns), plain.shape[1])
    return [", ".join(found) or by_name[i] for i, found in enumerate(from_fields)]


def _known(encoders: Any, frame: pl.DataFrame) -> pl.DataFrame:
    names = getattr(encoders, "feature_names_in_", frame.columns)
    return frame.select(name for name in names if name in frame.columns)


def _shuffled(frame: pl.DataFrame, name: str) -> pl.DataFrame:
    # moved on by one row, no value that differs anywhere stays the same everywhere
    values = frame[name]
    return frame.with_columns(values.tail(1).append(values.head(-1)).alias(name))


def _changed(before: Floats, after: Floats) -> list[int]:
    is_same = (before == after) | (np.isnan(before) & np.isnan(after))
    return [int(column) for column in np.flatnonzero(~is_same.all(axis=0))]


def _by_name(encoders: Any, fields: list[str], n_columns: int) -> list[str]:
    """The field that a column's name begins with: for columns that are constant in these rows."""
    try:
        names = [str(name) for name in encoders.get_feature_names_out()]
    except Exception:  # encoders of the user's own may name nothing
        names = []
    if len(names) != n_columns:
        return [SEVERAL] * n_columns
    return [_begins(name, fields) for name in names]


def _begins(name: str, fields: list[str]) -> str:
    """The field of "encoder__field_value"; each encoder within another adds its prefix.

    Examples:
        >>> _begins("texts__carrier_HA", ["carrier", "car"])
        'carrier'
    """
    parts = name.split("__")
    ends = ["__".join(parts[i:]) for i in range(len(parts))]
    fits = [f for f in fields if any(end == f or end.startswith(f"{f}_") for end in ends)]
    return max(fits, key=len, default=SEVERAL)
