"""Which rows of two versions differ: counted in joins that stream, a few of them shown."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from datetime import date, datetime, time
from math import isfinite
from typing import TYPE_CHECKING, Any, Literal

from cd4ml.data.aligned import Aligned, aligned
from cd4ml.records.diff import Cell, CellChange, RowChange, RowDiff

if TYPE_CHECKING:
    import polars as pl

SHOWN = 10  # rows of each kind
Change = Literal["added", "removed", "changed"]

_LONGEST = 200  # characters of a value
_INTEGERS = range(-(2**63), 2**64)
_SEEDS = (1, 2)  # two independent hashes of 64 bits tell rows apart


def diff_rows(
    before: pl.LazyFrame, after: pl.LazyFrame, key: Sequence[str] = (), *, shown: int = SHOWN
) -> RowDiff:
    """The rows that came, went or changed.

    With a key, rows of the same key are the same row; null is a value of a key like any
    other. Rows whose key is not unique are set apart, not matched. Without a key rows are
    told apart by all values that both versions have, and counted as often as they occur.

    Args:
        before: The rows of one version.
        after: The rows of the other.
        key: Columns that together say which row is which.
        shown: Rows of each kind that are shown, the first by key.

    Raises:
        InvalidInput: If a column of the key is missing, or cannot be one.
    """
    tables = aligned(before, after, key)
    return _by_key(tables, shown) if key else _by_content(tables, shown)


def cell(value: Any) -> Cell:
    """A value as JSON has it; what it has not is text.

    Examples:
        >>> cell(1.5), cell(float("nan")), cell(date(2013, 1, 1)), cell([1, 2])
        (1.5, 'NaN', '2013-01-01', '[1, 2]')
    """
    match value:
        case None | bool():
            return value
        case int():
            return value if value in _INTEGERS else str(value)
        case float():
            return value if isfinite(value) else str(value).replace("nan", "NaN")
        case datetime() | date() | time():
            return value.isoformat()
    text = value if isinstance(value, str) else str(value)
    return text if len(text) <= _LONGEST else f"{text[:_LONGEST]}..."


# --- by key ---------------------------------------------------------------------------------


def _by_key(tables: Aligned, shown: int) -> RowDiff:
    n_before, nulls_before = _sizes(tables.before, tables.key_names)
    n_after, nulls_after = _sizes(tables.after, tables.key_names)
    doubled = _doubled(tables)
    apart = [_count(_of(side, doubled, "semi")) for side in (tables.before, tables.after)]
    differing = _differing(tables, doubled)
    n_added, n_removed = differing["row"].null_count(), differing["row_after"].null_count()
    n_changed = differing.height - n_added - n_removed
    pairs = zip(tables.columns, tables.names, strict=True)
    changed_in = [(column, int(differing[name].sum())) for column, name in pairs]
    return RowDiff(
        key=tables.key,
        n_before=n_before,
        n_after=n_after,
        n_added=n_added,
        n_removed=n_removed,
        n_changed=n_changed,
        n_same=n_before - apart[0] - n_removed - n_changed,
        n_unmatched_before=apart[0],
        n_unmatched_after=apart[1],
        n_null_keys_before=nulls_before,
        n_null_keys_after=nulls_after,
        duplicates=_some_keys(doubled, tables.key_names, shown),
        changed_in=tuple(
            sorted((each for each in changed_in if each[1]), key=lambda item: (-item[1], item[0]))
        ),
        left_out=tables.left_out,
        samples=tuple(_samples(tables, differing, shown)),
    )


def _sizes(side: pl.LazyFrame, key: list[str]) -> tuple[int, int]:
    """Rows, and those among them with a null in their key."""
    import polars as pl

    has_null = pl.any_horizontal(pl.col(name).is_null() for name in key)
    row = side.select(pl.len().alias("n"), has_null.sum().alias("nulls"))
    n_rows, n_nulls = row.collect(engine="streaming").row(0)
    return int(n_rows), int(n_nulls)


def _doubled(tables: Aligned) -> pl.LazyFrame:
    """The keys that occur more than once in either version, in memory."""
    import polars as pl

    key = tables.key_names
    repeated = [
        side.group_by(key).agg(pl.len().alias("n")).filter(pl.col("n") > 1).select(key)
        for side in (tables.before, tables.after)
    ]
    return pl.concat(repeated).unique().collect(engine="streaming").lazy()


def _of(side: pl.LazyFrame, keys: pl.LazyFrame, how: Literal["semi", "anti"]) -> pl.LazyFrame:
    return side.join(keys, on=keys.collect_schema().names(), how=how, nulls_equal=True)


def _count(frame: pl.LazyFrame) -> int:
    import polars as pl

    return int(frame.select(pl.len()).collect(engine="streaming").item())


def _differing(tables: Aligned, doubled: pl.LazyFrame) -> pl.DataFrame:
    """The keys whose rows differ, in one join: the places of the rows, and which columns do.

    `row` is null if the key came, `row_after` if it went. Values stay where they are, so
    that this is small even if every row of a wide table differs.
    """
    import polars as pl

    before, after = (
        _of(side.with_row_index("row"), doubled, "anti") for side in (tables.before, tables.after)
    )
    joined = before.join(
        after, on=tables.key_names, how="full", coalesce=True, nulls_equal=True, suffix="_after"
    )
    is_in_one = pl.col("row").is_null() | pl.col("row_after").is_null()
    differs = [
        (~is_in_one & pl.col(name).ne_missing(pl.col(f"{name}_after"))).alias(name)
        for name in tables.names
    ]
    found = joined.select(*tables.key_names, "row", "row_after", *differs)
    is_wanted = pl.any_horizontal(is_in_one, *tables.names)
    return found.filter(is_wanted).collect(engine="streaming")


def _some_keys(doubled: pl.LazyFrame, key: list[str], shown: int) -> tuple[tuple[Cell, ...], ...]:
    rows = doubled.sort(key).head(shown).collect().rows()
    return tuple(tuple(cell(value) for value in row) for row in rows)


def _samples(tables: Aligned, differing: pl.DataFrame, shown: int) -> list[RowChange]:
    """The first rows of each kind, by key."""
    import polars as pl

    came, went = pl.col("row").is_null(), pl.col("row_after").is_null()
    wanted: tuple[tuple[Change, pl.Expr], ...] = (
        ("changed", ~(came | went)),
        ("added", came),
        ("removed", went),
    )
    chosen = [
        (change, differing.filter(which).sort(tables.key_names).head(shown))
        for change, which in wanted
    ]
    places = pl.concat(rows.select("row", "row_after") for _, rows in chosen)
    old = _rows_at(tables.before, places["row"].drop_nulls().to_list())
    new = _rows_at(tables.after, places["row_after"].drop_nulls().to_list())
    return [
        RowChange(
            change=change,
            key=tuple(cell(row[name]) for name in tables.key_names),
            cells=_cells(
                tables,
                old.get(row["row"], {}),
                new.get(row["row_after"], {}),
                [n for n in tables.names if row[n] or change != "changed"],
            ),
        )
        for change, rows in chosen
        for row in rows.iter_rows(named=True)
    ]


def _rows_at(side: pl.LazyFrame, places: list[int]) -> dict[int, dict[str, Any]]:
    """Place of a row -> its values."""
    import polars as pl

    if not places:
        return {}
    chosen = side.with_row_index("row").filter(pl.col("row").is_in(places))
    rows = chosen.collect(engine="streaming").iter_rows(named=True)
    return {row["row"]: row for row in rows}


def _cells(
    tables: Aligned, old: Mapping[str, Any], new: Mapping[str, Any], names: Sequence[str]
) -> tuple[CellChange, ...]:
    return tuple(
        CellChange(column=column, before=cell(old.get(name)), after=cell(new.get(name)))
        for column, name in zip(tables.columns, tables.names, strict=True)
        if name in names
    )


# --- by content -----------------------------------------------------------------------------


def _by_content(tables: Aligned, shown: int) -> RowDiff:
    import polars as pl

    if not tables.columns:
        n_before, n_after = _count(tables.before), _count(tables.after)
        return _without_columns(tables, n_before, n_after)
    both = _content_counts(tables.before, tables.names).join(
        _content_counts(tables.after, tables.names),
        on=["h0", "h1"],
        how="full",
        coalesce=True,
        suffix="_after",
    )
    more = pl.col("n_after").fill_null(0).cast(pl.Int64) - pl.col("n").fill_null(0)
    found = both.select("row", "row_after", more=more).filter(pl.col("more") != 0)
    differing = found.collect(engine="streaming")
    n_before, n_after = _count(tables.before), _count(tables.after)
    n_added = int(differing["more"].clip(lower_bound=0).sum())
    n_removed = n_before + n_added - n_after
    return RowDiff(
        key=(),
        n_before=n_before,
        n_after=n_after,
        n_added=n_added,
        n_removed=n_removed,
        n_changed=0,
        n_same=n_before - n_removed,
        left_out=tables.left_out,
        samples=(
            *_content_samples(tables, differing, "added", shown),
            *_content_samples(tables, differing, "removed", shown),
        ),
    )


def _without_columns(tables: Aligned, n_before: int, n_after: int) -> RowDiff:
    """Nothing can be compared: all rows went, and others came."""
    return RowDiff(
        key=(),
        n_before=n_before,
        n_after=n_after,
        n_added=n_after,
        n_removed=n_before,
        n_changed=0,
        n_same=0,
        left_out=tables.left_out,
    )


def _content_counts(side: pl.LazyFrame, names: list[str]) -> pl.LazyFrame:
    """How often each row occurs, by two hashes of its values, and where it does first."""
    import polars as pl

    values = pl.struct(names)
    hashes = [values.hash(seed).alias(f"h{i}") for i, seed in enumerate(_SEEDS)]
    hashed = side.with_row_index("row").select("row", *hashes)
    return hashed.group_by("h0", "h1").agg(pl.len().alias("n"), pl.col("row").min())


def _content_samples(
    tables: Aligned, differing: pl.DataFrame, change: Change, shown: int
) -> list[RowChange]:
    """The first rows, in the order of the files, that occur more often on one side."""
    import polars as pl

    is_added = change == "added"
    place = "row_after" if is_added else "row"
    which = pl.col("more") > 0 if is_added else pl.col("more") < 0
    first = differing.filter(which).sort(place).head(shown)
    counts = dict(first.select(pl.col(place), pl.col("more").abs()).iter_rows())
    rows = _rows_at(tables.after if is_added else tables.before, list(counts))
    return [
        RowChange(
            change=change,
            cells=_cells(
                tables, {} if is_added else rows[at], rows[at] if is_added else {}, tables.names
            ),
            n_rows=n,
        )
        for at, n in counts.items()
    ]
