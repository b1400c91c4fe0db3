"""Text in files that is not of the type its contract declares."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

from cd4ml.data.formats import Reading, scan_text, utc
from cd4ml.data.places import Part, Places
from cd4ml.records.contract import Contract, Field
from cd4ml.records.finding import Finding

if TYPE_CHECKING:
    import polars as pl


def wrong_values(
    paths: Sequence[Path],
    reading: Reading,
    contract: Contract,
    *,
    only_times: bool = False,
    places: Places | None = None,
) -> tuple[Finding, ...]:
    """A finding per declared column: how many of its values are not of the declared type.

    Args:
        paths: CSV files, or others with written times.
        reading: How they are read.
        contract: Declares the types.
        only_times: Leave out what reading itself finds out.
        places: The files that the rows stand in, to say so.
    """
    import polars as pl

    columns = dict(reading.columns)
    fields = [
        field
        for field in contract.fields
        if field.name in columns
        and (field.name in reading.times or not (only_times or field.type == "string"))
    ]
    frame = scan_text(paths, reading)
    types = frame.collect_schema()
    fields = [field for field in fields if types[field.name] == pl.String]
    if not fields:
        return ()
    rows = pl.int_range(1, pl.len() + 1)
    expressions = [pl.len().alias("n_rows")]
    for field in fields:
        wrong = pl.col(field.name).is_not_null() & ~fits(field, pl.col(field.name))
        expressions += [
            wrong.sum().alias(f"count {field.name}"),
            rows.filter(wrong).first().alias(f"row {field.name}"),
            pl.col(field.name).filter(wrong).first().alias(f"value {field.name}"),
        ]
    seen = frame.select(expressions).collect().row(0, named=True)
    return tuple(_finding(field, seen, places or Places()) for field in fields)


def places_in(paths: Sequence[Path], reading: Reading) -> Places:
    """Where the rows of these files stand; the rows are counted when somebody asks."""
    import polars as pl

    def counted() -> list[Part]:
        frames = [scan_text([path], reading) for path in paths]
        return [
            Part(str(path), frame.select(pl.len()).collect().item())
            for path, frame in zip(paths, frames, strict=True)
        ]

    return Places(counted) if len(paths) > 1 else Places()


def fits(field: Field, written: pl.Expr) -> pl.Expr:
    """Where a column's text is of the declared type, as Polars reads it."""
    import polars as pl

    text = written.str.strip_chars_start()
    match field.type:
        case "integer":
            return text.cast(pl.Int64, strict=False).is_not_null()
        case "number":
            return text.cast(pl.Float64, strict=False).is_not_null()
        case "boolean":
            return text.str.to_lowercase().is_in(["true", "false"])
        case "datetime":
            return utc(written).is_not_null()
        case "string":
            return pl.lit(value=True)


def _finding(field: Field, seen: Mapping[str, Any], places: Places) -> Finding:
    count, n_rows = seen[f"count {field.name}"], seen["n_rows"]
    row, value = seen[f"row {field.name}"], seen[f"value {field.name}"]
    reason = example = ""
    if count:
        example = repr(value)
        reason = f"{count:,} of {n_rows:,} rows, first in {places.of(row)}: {example}"
    return Finding(
        gate=f"{field.name} is {field.type}",
        metric="wrong type",
        slice=field.name,
        value=float(count),
        limit=0.0,
        n_rows=n_rows,
        outcome="fail" if count else "pass",
        reason=reason,
        example=example,
    )
