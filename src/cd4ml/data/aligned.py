"""Two versions of a table side by side: the columns that can be compared, in one type."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, NamedTuple

from cd4ml.errors import InvalidInput

if TYPE_CHECKING:
    import polars as pl


class Aligned(NamedTuple):
    """Two tables with the same columns, of the same types.

    The columns are called k0, k1, ... (key) and c0, c1, ... (the others), so that no name
    of the data can collide with another.
    """

    before: pl.LazyFrame
    after: pl.LazyFrame
    key: tuple[str, ...]
    columns: tuple[str, ...]
    left_out: tuple[str, ...]

    @property
    def key_names(self) -> list[str]:
        """What the key's columns are called here."""
        return [f"k{i}" for i in range(len(self.key))]

    @property
    def names(self) -> list[str]:
        """What the other columns are called here."""
        return [f"c{i}" for i in range(len(self.columns))]


def aligned(before: pl.LazyFrame, after: pl.LazyFrame, key: Sequence[str]) -> Aligned:
    """The columns of two tables that both have and that can be compared.

    Numbers of different types are compared as numbers, times as moments (UTC), and anything
    else that is no longer of its old type as text.

    Raises:
        InvalidInput: If a column of the key is missing, or cannot be one.
    """
    old, new = before.collect_schema(), after.collect_schema()
    for name in key:
        _refuse_as_key(name, old, new)
    common = [name for name in old if name in new]
    types = {name: _common_type(old[name], new[name]) for name in common}
    columns = tuple(n for n in common if types[n] is not None and n not in key)
    left_out = [n for n in (*old, *new) if n not in columns and n not in key]
    shown = {
        **{n: f"k{i}" for i, n in enumerate(key)},
        **{n: f"c{i}" for i, n in enumerate(columns)},
    }
    return Aligned(
        _selected(before, old, shown, types),
        _selected(after, new, shown, types),
        tuple(key),
        columns,
        tuple(dict.fromkeys(left_out)),
    )


def _refuse_as_key(name: str, old: pl.Schema, new: pl.Schema) -> None:
    for schema, which in ((old, "first"), (new, "second")):
        if name not in schema:
            msg = f"the {which} version has no column {name!r} to be the key"
            raise InvalidInput(msg, hint=f"its columns: {', '.join(schema)}")
        if schema[name].is_nested():
            msg = f"the column {name!r} ({schema[name]}) cannot be a key"
            raise InvalidInput(msg, hint="name columns of plain values")


def _selected(
    frame: pl.LazyFrame,
    schema: pl.Schema,
    shown: dict[str, str],
    types: dict[str, pl.DataType | None],
) -> pl.LazyFrame:
    if not shown:
        return frame  # no column at all would be no row at all
    return frame.select(_cast(n, schema[n], types[n]).alias(alias) for n, alias in shown.items())


def _cast(name: str, type_: pl.DataType, wanted: pl.DataType | None) -> pl.Expr:
    import polars as pl

    column = pl.col(name)
    if wanted is None or type_ == wanted:
        return column
    if wanted == pl.Datetime("us"):
        if getattr(type_, "time_zone", None):
            column = column.dt.convert_time_zone("UTC").dt.replace_time_zone(None)
        return column.cast(pl.Datetime("us"))
    return column.cast(wanted)


def _common_type(old: pl.DataType, new: pl.DataType) -> pl.DataType | None:
    """The type in which values of both can be compared; None if there is none."""
    import polars as pl

    texts, times = (pl.String, pl.Categorical, pl.Enum), (pl.Date, pl.Datetime)
    if pl.Object in (old, new):
        return None
    if old in texts and new in texts:
        return pl.String()
    if old == new:
        return old
    if old.is_numeric() and new.is_numeric():
        return _common_number(old, new)
    if old in times and new in times:
        return pl.Datetime("us")
    if any(type_.is_nested() or type_ == pl.Binary for type_ in (old, new)):
        return None
    return pl.String()


def _common_number(old: pl.DataType, new: pl.DataType) -> pl.DataType:
    import polars as pl

    if old.is_integer() and new.is_integer():
        is_large = any(type_ in (pl.UInt64, pl.Int128, pl.UInt128) for type_ in (old, new))
        return pl.Int128() if is_large else pl.Int64()
    return pl.Float64()
