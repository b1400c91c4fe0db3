"""The rows of a table that belong to one key of a partition."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING

from cd4ml.errors import InvalidInput
from cd4ml.store.address import address_of_record

if TYPE_CHECKING:
    import polars as pl

_MOST_KEYS = 10_000
_SHOWN = 5


def rows_of_key(frame: pl.LazyFrame, column: str, key: str) -> pl.LazyFrame:
    """The rows whose value of a column is written as the key; none where it is missing.

    Examples:
        >>> import polars as pl
        >>> flights = pl.LazyFrame({"origin": ["EWR", None, "JFK"], "dest": ["IAH", "MIA", "BQN"]})
        >>> rows_of_key(flights, "origin", "JFK").collect().rows()
        [('JFK', 'BQN')]
    """
    import polars as pl

    return frame.filter(pl.col(column).cast(pl.String) == key)


def keys_of(frame: pl.LazyFrame, column: str, what: str) -> list[str]:
    """The keys of a partition by a column, in their order; rows without a value have none.

    Args:
        frame: The rows.
        column: Of text, whole numbers, booleans or dates.
        what: The dataset, for messages.

    Raises:
        InvalidInput: If the column measures something, or has more than 10,000 values.
    """
    import polars as pl

    _refuse_unless_key(frame, column, what)
    values = frame.select(pl.col(column).drop_nulls().unique()).head(_MOST_KEYS + 1).collect()
    if values.height > _MOST_KEYS:
        msg = f"the column {column!r} of {what} has more than {_MOST_KEYS:,} values"
        raise InvalidInput(msg, hint=f"name those that are wanted: --for-each {column}=A,B")
    found: list[str] = values[column].sort().cast(pl.String).to_list()
    return found


def rows_without_key(frame: pl.LazyFrame, column: str) -> int:
    """How many rows have no value in a column, and so belong to no key.

    Examples:
        >>> import polars as pl
        >>> rows_without_key(pl.LazyFrame({"origin": ["EWR", None, "JFK"]}), "origin")
        1
    """
    import polars as pl

    return int(frame.select(pl.col(column).null_count()).collect().item())


def missing_keys(frame: pl.LazyFrame, column: str, what: str, keys: Sequence[str]) -> list[str]:
    """Those of some keys that no row has.

    Args:
        frame: The rows.
        column: Of text, whole numbers, booleans or dates.
        what: The dataset, for messages.
        keys: As people write them.

    Raises:
        InvalidInput: If the column measures something.
    """
    import polars as pl

    _refuse_unless_key(frame, column, what)
    written = pl.col(column).cast(pl.String)
    found = set(frame.select(written.filter(written.is_in(list(keys))).unique()).collect()[column])
    return [key for key in keys if key not in found]


def _refuse_unless_key(frame: pl.LazyFrame, column: str, what: str) -> None:
    import polars as pl

    kind = frame.collect_schema()[column]
    if not (kind.is_integer() or kind in (pl.String, pl.Boolean, pl.Date, pl.Categorical, pl.Enum)):
        msg = f"the column {column!r} of {what} holds {kind}, which is no key"
        raise InvalidInput(msg, hint="a key is text, a whole number, a boolean or a date")


def key_digest(digest: str, column: str, key: str) -> str:
    """The address of a version's rows of one key."""
    return address_of_record(("partition", digest, column, key))


def known_keys(keys: list[str]) -> str:
    """Some keys, for a hint.

    Examples:
        >>> known_keys(["EWR", "JFK"]), known_keys(list("abcdefg"))
        ('EWR, JFK', 'a, b, c, d, e, ... (7)')
    """
    if len(keys) <= _SHOWN:
        return ", ".join(keys) or "none"
    return f"{', '.join(keys[:_SHOWN])}, ... ({len(keys):,})"
