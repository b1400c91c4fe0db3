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
    import polars as pl

    n_before, nulls_before = _sizes(tables.before, tables.key_names)
    n_after, nulls_after = _sizes(tables.after, tables.key_names)
    doubled = _doubled(tables)
    apart = [_count(_of(side, doubled, "semi")) for side in (tables.before, tables.after)]
    joined = _joined(tables, doubled)
    differ = [_differs(name) for name in tables.names]
    counts = joined.select(
        pl.col("after").is_null().sum().alias("removed"),
        pl.col("before").is_null().sum().alias("added"),
        (_is_in_both() & pl.any_horizontal(pl.lit(value=False), *differ)).sum().alias("changed"),
        *(
            (_is_in_both() & each).sum().alias(n)
            for n, each in zip(tables.names, differ, strict=True)
        ),
    )
    found = counts.collect(engine="streaming").row(0, named=True)
    changed_in = [
        (c, found[n]) for c, n in zip(tables.columns, tables.names, strict=True) if found[n]
    ]
    return RowDiff(
        key=tables.key,
        n_before=n_before,
        n_after=n_after,
        n_added=found["added"],
        n_removed=found["removed"],
        n_changed=found["changed"],
        n_same=n_before - apart[0] - found["removed"] - found["changed"],
        n_unmatched_before=apart[0],
        n_unmatched_after=apart[1],
        n_null_keys_before=nulls_before,
        n_null_keys_after=nulls_after,
        duplicates=_some_keys(doubled, tables.key_names, shown),
        changed_in=tuple(sorted(changed_in, key=lambda item: (-item[1], item[0]))),
        left_out=tables.left_out,
        samples=tuple(_samples(tables, joined, found, shown)),
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


def _joined(tables: Aligned, doubled: pl.LazyFrame) -> pl.LazyFrame:
    """One row a key that is unique in both: `c0` before, `c0_after`, and where it occurs."""
    import polars as pl

    before = _of(tables.before, doubled, "anti").with_columns(before=pl.lit(value=True))
    after = _of(tables.after, doubled, "anti").with_columns(after=pl.lit(value=True))
    return before.join(
        after, on=tables.key_names, how="full", coalesce=True, nulls_equal=True, suffix="_after"
    )


def _is_in_both() -> pl.Expr:
    import polars as pl

    return pl.col("before").is_not_null() & pl.col("after").is_not_null()


def _differs(name: str) -> pl.Expr:
    import polars as pl

    return pl.col(name).ne_missing(pl.col(f"{name}_after"))


def _some_keys(doubled: pl.LazyFrame, key: list[str], shown: int) -> tuple[tuple[Cell, ...], ...]:
    rows = doubled.sort(key).head(shown).collect().rows()
    return tuple(tuple(cell(value) for value in row) for row in rows)


def _samples(
    tables: Aligned, joined: pl.LazyFrame, found: Mapping[str, int], shown: int
) -> list[RowChange]:
    import polars as pl

    differs = pl.any_horizontal(pl.lit(value=False), *(_differs(name) for name in tables.names))
    wanted: dict[Literal["added", "removed", "changed"], pl.Expr] = {
        "changed": _is_in_both() & differs,
        "added": pl.col("before").is_null(),
        "removed": pl.col("after").is_null(),
    }
    samples = []
    for change, which in wanted.items():
        if found[change] and shown:
            first = joined.filter(which).sort(tables.key_names).head(shown)
            rows = first.collect(engine="streaming").iter_rows(named=True)
            samples += [_sample(tables, row, change) for row in rows]
    return samples


def _sample(
    tables: Aligned, row: Mapping[str, Any], change: Literal["added", "removed", "changed"]
) -> RowChange:
    cells = [
        CellChange(column=column, before=cell(row[name]), after=cell(row[f"{name}_after"]))
        for column, name in zip(tables.columns, tables.names, strict=True)
    ]
    if change == "changed":
        cells = [each for each in cells if each.before != each.after] or cells
    key = tuple(cell(row[name]) for name in tables.key_names)
    return RowChange(change=change, key=key, cells=tuple(cells))


# --- by content -----------------------------------------------------------------------------


def _by_content(tables: Aligned, shown: int) -> RowDiff:
    import polars as pl

    if not tables.columns:
        n_before, n_after = _count(tables.before), _count(tables.after)
        return _without_columns(tables, n_before, n_after)
    both = _content_counts(tables.before, tables.names).join(
        _content_counts(tables.after, tables.names), on=["h0", "h1"], how="full", coalesce=True,
        suffix="_after",
    ).with_columns(pl.col("n", "n_after").fill_null(0).cast(pl.Int64))  # fmt: skip
    more = pl.col("n_after") - pl.col("n")
    sums = both.select(
        pl.col("n").sum(),
        pl.col("n_after").sum(),
        more.clip(lower_bound=0).sum().alias("added"),
        (-more).clip(lower_bound=0).sum().alias("removed"),
    )
    n_before, n_after, added, removed = sums.collect(engine="streaming").row(0)
    differing = both.filter(more != 0).with_columns(more.alias("more"))
    samples = _content_samples(tables, differing, shown) if added or removed else []
    return RowDiff(
        key=(),
        n_before=n_before,
        n_after=n_after,
        n_added=added,
        n_removed=removed,
        n_changed=0,
        n_same=n_before - removed,
        left_out=tables.left_out,
        samples=tuple(samples),
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
    """How often each row occurs, by two hashes of its values."""
    import polars as pl

    return _hashed(side, names).group_by("h0", "h1").agg(pl.len().alias("n"))


def _hashed(side: pl.LazyFrame, names: list[str], *kept: str) -> pl.LazyFrame:
    import polars as pl

    values = pl.struct(names)
    return side.select(*(values.hash(seed).alias(f"h{i}") for i, seed in enumerate(_SEEDS)), *kept)


def _content_samples(tables: Aligned, differing: pl.LazyFrame, shown: int) -> list[RowChange]:
    """The first rows, in the order of the files, of those that occur more often or less."""
    import polars as pl

    sides: tuple[tuple[Literal["added", "removed"], pl.LazyFrame, pl.Expr], ...] = (
        ("added", tables.after, pl.col("more") > 0),
        ("removed", tables.before, pl.col("more") < 0),
    )
    samples = []
    for change, side, which in sides:
        numbered = side.with_row_index("row")
        counts = _first_differing(numbered, tables.names, differing.filter(which), shown)
        rows = numbered.filter(pl.col("row").is_in(list(counts))).sort("row")
        for row in rows.collect(engine="streaming").iter_rows(named=True):
            cells = tuple(
                CellChange(
                    column=column,
                    before=cell(row[name]) if change == "removed" else None,
                    after=cell(row[name]) if change == "added" else None,
                )
                for column, name in zip(tables.columns, tables.names, strict=True)
            )
            samples.append(RowChange(change=change, cells=cells, n_rows=counts[row["row"]]))
    return samples


def _first_differing(
    numbered: pl.LazyFrame, names: list[str], differing: pl.LazyFrame, shown: int
) -> dict[int, int]:
    """Place of a row -> how many more there are of it, for the first of those that differ."""
    import polars as pl

    first = (
        _hashed(numbered, names, "row")
        .join(differing.select("h0", "h1", "more"), on=["h0", "h1"])
        .group_by("h0", "h1")
        .agg(pl.col("row").min(), pl.col("more").first().abs())
        .sort("row")
        .head(shown)
    )
    return dict(first.select("row", "more").collect(engine="streaming").iter_rows())
