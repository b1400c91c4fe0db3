"""Joins by time that cannot look into the future."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from datetime import timedelta
from typing import TYPE_CHECKING, NamedTuple

from cd4ml.data.moments import Frame, require_columns, require_time, zone
from cd4ml.errors import InvalidInput

if TYPE_CHECKING:
    import polars as pl

# columns of ours while the join is under way
_POSITION = "__cd4ml_position"
_MOMENT = "__cd4ml_moment"
_VISIBLE = "__cd4ml_visible"
_EVENT = "__cd4ml_event"
_RANK = "__cd4ml_rank"
_ROW = "__cd4ml_row"


def join_as_of(
    left: Frame,
    right: pl.DataFrame | pl.LazyFrame,
    *,
    on: str = "",
    left_on: str = "",
    right_on: str = "",
    by: str | Sequence[str] = (),
    tolerance: timedelta | None = None,
    known: str = "",
    suffix: str = "_right",
) -> Frame:
    """Each row on the left with the newest row on the right that was known at its moment.

    A row on the right is taken only if it had happened by the moment of the left one and,
    with `known`, had arrived by then too. Of those the latest to happen counts; of several
    that happened at one time the latest to arrive, which corrects the others; of these the
    one further down. A row whose time, arrival or key is null is never taken, and a left
    row whose moment or key is null finds nothing.

    Args:
        left: Rows that ask, in any order; a row's moment is the time in `on`.
        right: Rows that answer, in any order; with `known` every arrival is a row.
        on: The column of times on both sides, if it has one name.
        left_on: The left one, otherwise.
        right_on: The right one, otherwise: when the row happened.
        by: Columns that have to be equal.
        tolerance: How old what is found may be; as old as it is by default.
        known: The column on the right that says when the row became known.
        suffix: For columns on the right whose name the left has.

    Returns:
        All rows of the left in their order, with the columns of the right but those of
        `by` and `on`; they are null where nothing was known. Lazy if the left is.

    Raises:
        InvalidInput: If a column is missing, holds no times, or the times of both sides
            cannot be compared: other time zones, or none beside one; if the tolerance is
            less than zero.

    Examples:
        >>> from datetime import datetime
        >>> import polars as pl
        >>> hour = lambda h: datetime(2013, 1, 1, h)
        >>> flights = pl.DataFrame({"leaves": [hour(8), hour(9)]})
        >>> weather = pl.DataFrame(
        ...     {"at": [hour(7), hour(8)], "arrived": [hour(7), hour(10)], "wind": [5, 40]}
        ... )
        >>> join_as_of(flights, weather, left_on="leaves", right_on="at")["wind"].to_list()
        [40, 40]
        >>> join_as_of(flights, weather, left_on="leaves", right_on="at", known="arrived")[
        ...     "wind"
        ... ].to_list()
        [5, 5]
    """
    import polars as pl

    keys = (by,) if isinstance(by, str) else tuple(by)
    _refuse_negative(tolerance)
    sought = _Sought(*_times(on, left_on, right_on), keys, known, tolerance, suffix)
    asks, answers = left.lazy().collect_schema(), right.lazy().collect_schema()
    _refuse_different_keys(asks, answers, keys)
    unit = _common_type(asks, answers, sought)
    added = _added(asks, answers, sought)
    if isinstance(left, pl.DataFrame):
        return _joined(left, right.lazy().collect(), sought, unit, added)
    return left.map_batches(
        lambda frame: _joined(frame, right.lazy().collect(), sought, unit, added),
        predicate_pushdown=False,
        projection_pushdown=False,
        schema={**asks, **{new: answers[old] for old, new in added.items()}},
    )


class _Sought(NamedTuple):
    """What is joined with what."""

    moment: str  # left
    event: str  # right
    keys: tuple[str, ...]
    known: str
    tolerance: timedelta | None
    suffix: str


def _times(on: str, left_on: str, right_on: str) -> tuple[str, str]:
    """The columns of times, left and right."""
    if on and not (left_on or right_on):
        return on, on
    if left_on and right_on and not on:
        return left_on, right_on
    msg = "a join as of a moment needs the times of both sides: `on`, or `left_on` and `right_on`"
    raise InvalidInput(msg, hint='join_as_of(flights, weather, on="time_hour", by="origin")')


def _refuse_negative(tolerance: timedelta | None) -> None:
    if tolerance is not None and tolerance < timedelta(0):
        msg = f"expected a tolerance of zero or more, got {tolerance}"
        raise InvalidInput(msg, hint="tolerance=timedelta(hours=3)")


def _refuse_different_keys(
    left: Mapping[str, pl.DataType], right: Mapping[str, pl.DataType], keys: tuple[str, ...]
) -> None:
    for what, schema in (("the left table", left), ("the right table", right)):
        require_columns(what, schema, keys)
    for key in keys:
        if left[key] != right[key]:
            msg = f"the key {key!r} is {left[key]} on the left and {right[key]} on the right"
            raise InvalidInput(msg, hint="cast one of them")


def _common_type(
    left: Mapping[str, pl.DataType], right: Mapping[str, pl.DataType], sought: _Sought
) -> pl.DataType:
    """The type in which all times are compared.

    Raises:
        InvalidInput: If they cannot be.
    """
    import polars as pl

    columns = [("left", left, sought.moment), ("right", right, sought.event)]
    columns += [("right", right, sought.known)] if sought.known else []
    types = {
        f"{name!r} on the {side}": require_time(f"the {side} table", schema, name)
        for side, schema, name in columns
    }
    if len({zone(type_) for type_ in types.values()}) > 1:
        said = ", ".join(f"{name} has {zone(type_)}" for name, type_ in types.items())
        msg = f"times of different kinds cannot be compared: {said}"
        hint = "dt.convert_time_zone changes the zone, dt.replace_time_zone gives one"
        raise InvalidInput(msg, hint=hint)
    units = [type_.time_unit for type_ in types.values() if isinstance(type_, pl.Datetime)]
    first = next(iter(types.values()))
    if not isinstance(first, pl.Datetime):
        return first
    # the finest: a time that loses digits would lie earlier than it was
    return pl.Datetime(next(u for u in ("ns", "us", "ms") if u in units), first.time_zone)


def _added(
    left: Mapping[str, pl.DataType], right: Mapping[str, pl.DataType], sought: _Sought
) -> dict[str, str]:
    """The columns that the right gives, with the names they get.

    Raises:
        InvalidInput: If the left has such a name already.
    """
    shared = {*sought.keys, *({sought.event} & {sought.moment})}
    added = {
        name: name + sought.suffix if name in left else name for name in right if name not in shared
    }
    taken = [new for old, new in added.items() if new in left or (new != old and new in right)]
    if taken:
        msg = f"the joined table would have two columns {taken[0]!r}"
        raise InvalidInput(msg, hint="rename one of them, or choose another suffix")
    return added


def _joined(
    left: pl.DataFrame,
    right: pl.DataFrame,
    sought: _Sought,
    unit: pl.DataType,
    added: Mapping[str, str],
) -> pl.DataFrame:
    """The left with what was found beside it.

    Only times and keys are sorted and joined, and tell the rows; columns are gathered once.
    """
    import polars as pl

    found = _rows_found(left, right, sought, unit)
    return left.hstack(
        right.select(pl.col(old).gather(found).alias(new) for old, new in added.items())
    )


def _rows_found(
    left: pl.DataFrame, right: pl.DataFrame, sought: _Sought, unit: pl.DataType
) -> pl.Series:
    """The number of the right row for each left one; null where nothing was known."""
    import numpy as np
    import polars as pl

    asks = left.select(*sought.keys, pl.col(sought.moment).cast(unit).alias(_MOMENT))
    joined = (
        asks.with_row_index(_POSITION)
        .sort(_MOMENT)
        .join_asof(
            _visible(right, sought, unit),
            left_on=_MOMENT,
            right_on=_VISIBLE,
            by=list(sought.keys) or None,
            check_sortedness=False,  # with keys Polars could not see that both are
        )
    )
    row = pl.col(_ROW)
    if sought.tolerance is not None:
        is_recent = pl.col(_EVENT) >= pl.col(_MOMENT) - sought.tolerance
        row = pl.when(is_recent).then(row)
    pairs = joined.select(_POSITION, row.cast(pl.Int64).fill_null(-1))
    found = np.empty(left.height, dtype=np.int64)
    found[pairs[_POSITION].to_numpy()] = pairs[_ROW].to_numpy()  # back in the order of the left
    return pl.select(
        pl.when(pl.lit(pl.Series(found)) >= 0).then(pl.lit(pl.Series(found)))
    ).to_series()


def _visible(right: pl.DataFrame, sought: _Sought, unit: pl.DataType) -> pl.DataFrame:
    """The right rows in the order in which they become the newest known, with that moment.

    A row is seen from the later of its two times on. One that is seen only when something
    newer is known already is never the newest, and left out.
    """
    import polars as pl

    happened, keys = pl.col(sought.event).cast(unit).alias(_EVENT), sought.keys
    if not sought.known:
        answers = right.select(*keys, happened).with_row_index(_ROW).drop_nulls([_EVENT, *keys])
        seen = pl.col(_EVENT).alias(_VISIBLE)
        return answers.sort(_EVENT, maintain_order=True).with_columns(seen)
    rank = pl.col(_RANK)
    is_newest = rank == (rank.cum_max().over(keys) if keys else rank.cum_max())
    return (
        right.select(*keys, happened, pl.col(sought.known).cast(unit).alias(_VISIBLE))
        .with_row_index(_ROW)
        .drop_nulls([_EVENT, _VISIBLE, *keys])
        .sort(_EVENT, _VISIBLE, maintain_order=True)
        .with_row_index(_RANK)
        .with_columns(pl.max_horizontal(_EVENT, _VISIBLE).alias(_VISIBLE))
        .sort(_VISIBLE, maintain_order=True)
        .filter(is_newest)
        .drop(_RANK)
    )
