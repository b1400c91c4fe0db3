"""What a table's columns hold, counted in the scan that checks them."""

from __future__ import annotations

import re
from collections.abc import Mapping
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Any

from cd4ml.records.dataset import Column

if TYPE_CHECKING:
    import polars as pl


class Profile:
    """Counts for each column of a table, to be part of any scan of it.

    `expressions` compute them; `columns` reads them.
    """

    def __init__(self, schema: Mapping[str, pl.DataType]) -> None:
        self.schema = schema

    @property
    def expressions(self) -> list[pl.Expr]:
        """The aggregations: nulls of every column, range of numbers, latest times, distinct texts."""
        import polars as pl

        found = []
        for i, (name, type_) in enumerate(self.schema.items()):
            column = pl.col(name)
            found.append(column.null_count().alias(f"nulls{i}"))
            if type_.is_numeric():
                number = column.cast(pl.Float64).fill_nan(None)
                found += [number.min().alias(f"minimum{i}"), number.max().alias(f"maximum{i}")]
            if isinstance(type_, pl.Datetime):
                found.append(column.max().alias(f"latest{i}"))
            if type_ in (pl.String, pl.Categorical, pl.Enum, pl.Boolean):
                found.append(column.drop_nulls().n_unique().alias(f"unique{i}"))
        return found

    def columns(self, counts: Mapping[str, Any]) -> tuple[Column, ...]:
        """The columns with what the scan counted."""
        return tuple(
            Column(
                name=name,
                type=type_name(type_),
                n_null=counts[f"nulls{i}"],
                minimum=_finite(counts.get(f"minimum{i}")),
                maximum=_finite(counts.get(f"maximum{i}")),
                n_unique=counts.get(f"unique{i}"),
                latest=_in_utc(counts.get(f"latest{i}")),
            )
            for i, (name, type_) in enumerate(self.schema.items())
        )


def type_name(type_: pl.DataType) -> str:
    """A type as people write it.

    Examples:
        >>> import polars as pl
        >>> type_name(pl.Datetime("us", "UTC")), type_name(pl.Int64())
        ('Datetime(us, UTC)', 'Int64')
    """
    return re.sub(r"\w+=|'", "", str(type_))


def _in_utc(time: datetime | None) -> str:
    """The time in UTC, which one without a zone is taken to be; "" if there is none."""
    if time is None:
        return ""
    aware = time.astimezone(UTC) if time.tzinfo else time.replace(tzinfo=UTC)
    return aware.isoformat()


def _finite(number: float | None) -> float | None:
    """The number, unless JSON cannot hold it."""
    return None if number is None or number in (float("inf"), float("-inf")) else number
