"""Builders of small tables, files and contracts."""

from pathlib import Path

import polars as pl

from cd4ml.records.contract import Contract, Field

FLIGHTS = Contract(
    name="Flights",
    version="1.2.0",
    fields=(
        Field("flight", "integer", minimum=1),
        Field("carrier", "string", categories=("AA", "UA")),
        Field("hour", "number", nullable=True, minimum=0, maximum=23),
        Field("is_late", "boolean"),
        Field("left_at", "datetime"),
    ),
    key=("flight",),
    minimum_rows=2,
)

CSV = """\
flight,carrier,hour,is_late,left_at
1,AA,5,true,2013-01-01T05:00:00Z
2,UA,NA,false,2013-01-01 06:30:00
3,UA,7.5,true,2013-01-01
"""


def flights(**columns: object) -> pl.DataFrame:
    """Three flights that keep the contract, with some columns replaced."""
    table = pl.DataFrame(
        {"flight": [1, 2, 3], "carrier": ["AA", "UA", "UA"], "hour": [5.0, None, 7.5],
         "is_late": [True, False, True]}
    ).with_columns(
        left_at=pl.Series(["2013-01-01T05:00:00", "2013-01-01T06:30:00", "2013-01-01T00:00:00"])
        .str.to_datetime("%Y-%m-%dT%H:%M:%S", time_unit="us", time_zone="UTC")
    )  # fmt: skip
    return table.with_columns(
        values if isinstance(values, pl.Series) else pl.Series(name, values)
        for name, values in columns.items()
    )


def file(folder: Path, name: str, text: str = CSV) -> Path:
    """Write a file into a folder."""
    path = folder / name
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(text)
    return path
