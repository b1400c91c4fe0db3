"""A stream of rows as Parquet files of bounded size, all with the same columns.

A column's type may only be known when the last row has come (a thousand nulls, then a
number). Files are written as their rows come, each with the types it could see, and
written again at the end where another one saw more.
"""

from __future__ import annotations

import io
from collections.abc import Iterable, Iterator, Sequence
from pathlib import Path
from typing import TYPE_CHECKING

from cd4ml.data.formats import utc
from cd4ml.data.sources.supertype import supertype
from cd4ml.errors import ContractViolated
from cd4ml.records.contract import Contract, FieldType

if TYPE_CHECKING:
    import polars as pl

PATTERN = "part-*.parquet"
MOST_ROWS = 100_000  # of a file
_MOST_BYTES = 64 * 2**20  # of a file's rows in memory, if all weigh what the first ones do
_WEIGHED = 1_000  # rows


def write_parts(
    folder: Path, frames: Iterable[pl.DataFrame], *, contract: Contract | None = None
) -> int:
    """Write rows into `part-00000.parquet`, `part-00001.parquet`, ...; returns how many.

    The same rows in the same order give the same bytes. Times without a zone are taken
    as UTC, columns without any value as text. Where the contract declares it, whole
    numbers become numbers, 0 and 1 booleans, and written times times.

    Args:
        folder: Takes the files.
        frames: The rows, some thousand at a time; at least one frame, even without rows.
        contract: Declares types.

    Raises:
        InvalidInput: If a column's values have no common type.
        ContractViolated: If text in a column of times is no time.
    """
    schemas: list[dict[str, pl.DataType]] = []
    n_rows = 0
    for frame in _cut(frames):
        plain = _plain(frame)
        _write(folder, len(schemas), plain)
        schemas.append(dict(plain.schema))
        n_rows += plain.height
    types = supertype(schemas)
    if contract is not None:
        _refuse_unwritten_times(folder, contract, types, len(schemas), n_rows)
    for number, schema in enumerate(schemas):
        _settle(folder, number, schema, types, contract)
    return n_rows


def _cut(frames: Iterable[pl.DataFrame]) -> Iterator[pl.DataFrame]:
    """The rows in frames of the size of a file, whatever the sizes in which they come.

    How many rows a file has is decided by what the first thousand weigh: by nothing in
    which two reads of the same rows could differ.
    """
    waiting: list[pl.DataFrame] = []
    most = n_waiting = 0
    for frame in frames:
        waiting.append(frame)
        n_waiting += frame.height
        if n_waiting < (most or _WEIGHED):
            continue
        joined = _joined(waiting)
        most = most or _rows_of_a_file(joined)
        full = joined.height // most * most
        yield from (joined.slice(start, most) for start in range(0, full, most))
        waiting, n_waiting = [joined.slice(full)], joined.height - full
    if n_waiting or not most:
        joined = _joined(waiting)
        yield from joined.iter_slices(most or _rows_of_a_file(joined)) if n_waiting else [joined]


def _rows_of_a_file(frame: pl.DataFrame) -> int:
    import polars as pl

    first = frame.head(_WEIGHED)
    lengths = [
        first.get_column(name).cast(pl.Binary).bin.size().sum()
        for name, type_ in first.schema.items()
        if type_ in (pl.String, pl.Binary)
    ]
    weight = int(sum(lengths)) + 8 * first.width * first.height
    return max(1, min(MOST_ROWS, _MOST_BYTES * first.height // max(weight, 1)))


def _joined(frames: Sequence[pl.DataFrame]) -> pl.DataFrame:
    import polars as pl

    plain = [_plain(frame) for frame in frames]
    types = supertype([dict(frame.schema) for frame in plain])
    return pl.concat([frame.cast(types) for frame in plain])  # type: ignore[arg-type]


def _plain(frame: pl.DataFrame) -> pl.DataFrame:
    """Times in microseconds and UTC, as everywhere here; categories as their texts."""
    import polars as pl

    changed = []
    for name, type_ in frame.schema.items():
        column = pl.col(name)
        if isinstance(type_, pl.Datetime) and type_ != pl.Datetime("us", "UTC"):
            zoned = column if type_.time_zone else column.dt.replace_time_zone("UTC")
            changed.append(zoned.dt.convert_time_zone("UTC").dt.cast_time_unit("us"))
        elif type_ in (pl.Categorical, pl.Enum):
            changed.append(column.cast(pl.String))
    return frame.with_columns(changed) if changed else frame


def _settle(
    folder: Path,
    number: int,
    schema: dict[str, pl.DataType],
    types: dict[str, pl.DataType],
    contract: Contract | None,
) -> None:
    """Write a file again with the types of all, and as declared, where that differs."""
    import polars as pl

    declared = _declared(contract, types)
    texts = {name: pl.String() if type_ == pl.Null else type_ for name, type_ in types.items()}
    if schema == texts and not declared:
        return
    frame = _read(folder, number).cast(texts)  # type: ignore[arg-type]
    _write(folder, number, frame.with_columns(declared))


def _declared(contract: Contract | None, types: dict[str, pl.DataType]) -> list[pl.Expr]:
    """The columns whose values mean what the contract declares, and are written otherwise."""
    import polars as pl

    fields: dict[str, FieldType] = {f.name: f.type for f in contract.fields} if contract else {}
    arrival = contract.arrival_time if contract else ""
    found = []
    for name, type_ in types.items():
        match fields.get(name):
            case "datetime" if type_ == pl.String:
                found.append(utc(pl.col(name), ends_day=name == arrival).alias(name))
            case "number" if type_.is_integer():
                found.append(pl.col(name).cast(pl.Float64))
            case "boolean" if type_.is_integer():
                bits = pl.when(pl.col(name).is_in([0, 1]) | pl.col(name).is_null())
                found.append(bits.then(pl.col(name)).cast(pl.Boolean).alias(name))
    return found


def _refuse_unwritten_times(
    folder: Path, contract: Contract, types: dict[str, pl.DataType], n_files: int, n_rows: int
) -> None:
    """What is no time would be read as missing: it is said first, with the first of each."""
    import polars as pl

    names = [f.name for f in contract.fields if f.type == "datetime"]
    said, discreet = "", ""
    for name in (name for name in names if types.get(name) == pl.String):
        wrong = pl.col(name).is_not_null() & utc(pl.col(name)).is_null()
        bad = [
            _read(folder, number, [name]).filter(wrong).get_column(name)
            for number in range(n_files)
        ]
        count = sum(map(len, bad))
        if count:
            first = next(values[0] for values in bad if len(values))
            line = f"\n  - {name} is datetime: {count:,} of {n_rows:,} rows"
            said, discreet = f"{said}{line}, first {first!r}", f"{discreet}{line}"
    if said:
        msg = f"the rows break the contract {contract.name} {contract.version}"
        raise ContractViolated(
            f"{msg}{said}",
            hint="correct the rows; or change the contract",
            discreet=f"{msg}{discreet}",
        )


def _path(folder: Path, number: int) -> Path:
    return folder / f"part-{number:05}.parquet"


def _read(folder: Path, number: int, columns: list[str] | None = None) -> pl.DataFrame:
    import polars as pl

    return pl.read_parquet(_path(folder, number), columns=columns, glob=False)


def _write(folder: Path, number: int, frame: pl.DataFrame) -> None:
    buffer = io.BytesIO()
    # one chunk: how rows happen to lie in memory would show in the bytes
    frame.rechunk().write_parquet(buffer, compression="zstd", statistics=True)
    _path(folder, number).write_bytes(buffer.getbuffer())  # a full disk is an OSError here
