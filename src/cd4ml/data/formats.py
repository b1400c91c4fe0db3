"""How files become a table: CSV, Parquet and newline-delimited JSON.

What a CSV file's columns mean is decided once, when a version is made, and kept with it
as its `Reading`; from then on the same bytes are the same table.
"""

from __future__ import annotations

import codecs
from collections.abc import Collection, Mapping, Sequence
from glob import escape
from itertools import chain
from pathlib import Path
from typing import IO, TYPE_CHECKING, Literal

import msgspec

from cd4ml.data.blank_lines import has_blank_lines
from cd4ml.data.csv_scan import header_of, names_of, scan_csv
from cd4ml.data.json_lines import mixed_columns
from cd4ml.data.large_numbers import with_inexact
from cd4ml.data.leading_zeros import with_leading_zeros
from cd4ml.data.unreadable import unreadable
from cd4ml.errors import InvalidInput
from cd4ml.records.contract import Contract, Field, FieldType

if TYPE_CHECKING:
    import polars as pl

Format = Literal["csv", "parquet", "ndjson"]

SUFFIXES: dict[str, Format] = {
    ".csv": "csv",
    ".parquet": "parquet",
    ".ndjson": "ndjson",
    ".jsonl": "ndjson",
}

_LONGEST_LINE = 1 << 20  # bytes that are looked at at once
_WRITTEN_TIME = ("datetime", "String")

MISSING = "NA"  # how R, and much public data, writes a missing value; so is an empty field


class Reading(msgspec.Struct, frozen=True, kw_only=True):
    """How the files of a version are read.

    `columns` holds the columns in order with the names of their Polars types; empty for
    Parquet, which knows its own. Columns in `times` are written as text and read as UTC; a
    date alone is the beginning of its day, in the columns of `arrivals` its end.
    In the columns of `keeps_na` the text "NA" is a value, in all others it is missing.
    `skips_empty`: rows without any value are blank lines, and left out; said only where it is so.
    """

    format: Format
    columns: tuple[tuple[str, str], ...] = ()
    times: tuple[str, ...] = ()
    arrivals: tuple[str, ...] = ()
    keeps_na: tuple[str, ...] = ()
    skips_empty: bool | msgspec.UnsetType = msgspec.UNSET  # other readings stay the same record


def reading_of(paths: Sequence[Path], contract: Contract | None = None) -> Reading:
    """How these files are to be read: as the contract declares their columns, else as they look.

    Without a contract a column has the narrowest type that all of its values fit (integer,
    number, boolean, else text); times stay text, and so do integers of a CSV file of which
    some are written with leading zeros, whole numbers of more than 64 bits, and numbers
    with a whole one among them that a float cannot hold exactly.

    Raises:
        InvalidInput: If a file is of no known format, of another one than the first, cannot
            be read, or has other columns than the first.
    """
    format_ = _format_of(paths)
    if format_ == "parquet":
        refuse_differences(paths, [_parquet_types(path) for path in paths])
        return Reading(format=format_)
    declared = {field.name: field for field in contract.fields} if contract else {}
    keeps_na = tuple(name for name, field in declared.items() if MISSING in field.categories)
    seen = [_seen_types(path, format_, keeps_na) for path in paths]
    refuse_differences(paths, [dict.fromkeys(types, "") for types in seen])
    types = {name: _common([types[name] for types in seen]) for name in seen[0]}
    types |= dict.fromkeys(_texts(paths, format_, types, declared), "String")
    for name, field in declared.items():
        if name in types:
            types[name] = _declared(types[name], field.type, format_)
    times = tuple(n for n, f in declared.items() if (f.type, types.get(n)) == _WRITTEN_TIME)
    return Reading(
        format=format_,
        columns=tuple(types.items()),
        times=times,
        arrivals=_arrivals(times, contract),
        keeps_na=keeps_na,
        skips_empty=_has_blank_lines(paths, format_, len(types)) or msgspec.UNSET,
    )


def _has_blank_lines(paths: Sequence[Path], format_: Format, n_columns: int) -> bool:
    # in a single column a blank line is how a missing value is written
    return format_ == "csv" and n_columns > 1 and any(map(has_blank_lines, paths))


def _texts(
    paths: Sequence[Path], format_: Format, types: dict[str, str], declared: Mapping[str, Field]
) -> Collection[str]:
    """The columns that look like numbers, and would not be the same as numbers."""
    if format_ == "ndjson":
        numbers = tuple(name for name, field in declared.items() if field.type != "string")
        mixed = (mixed_columns(path, types, numbers) for path in paths)
        large = (n for n, type_ in types.items() if type_ == "Int128" and n not in numbers)
        return {*large, *chain.from_iterable(mixed)}
    free = {name: type_ for name, type_ in types.items() if name not in declared}
    large = (name for name, type_ in free.items() if type_ == "Int128")
    whole = [name for name, type_ in free.items() if type_ == "Int64"]
    floats = [name for name, type_ in free.items() if type_ == "Float64"]
    return {*large, *with_leading_zeros(paths, whole), *with_inexact(paths, floats)}


def reread(reading: Reading, contract: Contract) -> Reading:
    """How the same files are read when a contract declares their columns.

    Parquet knows its own types.
    """
    if reading.format == "parquet":
        return reading
    declared = {field.name: field for field in contract.fields}
    types = {
        name: _declared(type_, declared[name].type, reading.format) if name in declared else type_
        for name, type_ in reading.columns
    }
    times = tuple(n for n, f in declared.items() if (f.type, types.get(n)) == _WRITTEN_TIME)
    keeps_na = tuple(name for name, field in declared.items() if MISSING in field.categories)
    return Reading(
        format=reading.format,
        columns=tuple(types.items()),
        times=times,
        arrivals=_arrivals(times, contract),
        keeps_na=keeps_na,
        skips_empty=reading.skips_empty,
    )


def _arrivals(times: tuple[str, ...], contract: Contract | None) -> tuple[str, ...]:
    return tuple(name for name in times if contract and name == contract.arrival_time)


def scan(paths: Sequence[Path], reading: Reading) -> pl.LazyFrame:
    """The table in these files, not read yet.

    Reading it later raises Polars' own errors for values that do not fit.
    """
    import polars as pl

    if reading.format == "parquet":
        return pl.scan_parquet(list(paths), glob=False, hive_partitioning=False)
    types = {name: getattr(pl, type_) for name, type_ in reading.columns}
    if reading.format == "csv":
        frame = scan_csv(paths, types, missing=_null_values(reading))
        if reading.skips_empty:
            frame = frame.filter(~pl.all_horizontal(pl.all().is_null()))
    else:
        frame = pl.scan_ndjson(_literal(paths), schema=types)
    return frame.with_columns(
        utc(pl.col(name), ends_day=name in reading.arrivals).alias(name) for name in reading.times
    )


def scan_text(paths: Sequence[Path], reading: Reading) -> pl.LazyFrame:
    """The same table with times, and in CSV everything, as the text that is written there."""
    if reading.format == "csv":
        texts = tuple((name, "String") for name, _ in reading.columns)
        reading = msgspec.structs.replace(reading, columns=texts)
    return scan(paths, msgspec.structs.replace(reading, times=()))


def utc(text: pl.Expr, *, ends_day: bool = False) -> pl.Expr:
    """Written times as UTC datetimes; what cannot be read is null.

    Accepts ISO 8601 dates and times, with "T" or a space, with "Z", an offset, or
    neither, which then means UTC.

    Args:
        text: What is written.
        ends_day: Whether a date alone is the end of its day: what arrived on a date was not
            known at every hour of it. Otherwise it is the beginning.
    """
    import polars as pl

    iso = text.str.replace(" ", "T", literal=True).str.replace(r"Z$", "+00:00")
    has_zone = iso.str.contains(r"T.*[+-]\d\d:?\d\d$")
    is_date = iso.str.contains(r"^\d{4}-\d\d-\d\d$")
    whole = (
        pl.when(is_date)
        .then(iso + "T00:00:00+00:00")
        .when(has_zone)
        .then(iso)
        .otherwise(iso + "+00:00")
    )
    patterns = ("%Y-%m-%dT%H:%M:%S%.f%z", "%Y-%m-%dT%H:%M%z")
    times = pl.coalesce(
        whole.str.to_datetime(pattern, time_unit="us", time_zone="UTC", strict=False)
        for pattern in patterns
    )
    return pl.when(is_date).then(times.dt.offset_by("1d")).otherwise(times) if ends_day else times


def unreadable_among(paths: Sequence[Path], reading: Reading, error: Exception) -> InvalidInput:
    """The refusal that names which of the files Polars cannot read.

    A file that is no table is named before one with a value of another type.
    """
    import polars as pl

    for scanned in (scan_text, scan):
        for path in paths:
            try:
                scanned([path], reading).select(pl.len(), pl.all().null_count()).collect()
            except pl.exceptions.PolarsError as own:
                return unreadable(path, reading.format, own)
    if len(paths) == 1:
        return unreadable(paths[0], reading.format, error)
    first = str(error).strip().partition("\n")[0]
    msg = f"{paths[0]} to {paths[-1]} can be read as {reading.format} one by one, not as one table"
    hint = "write all of them in the same way"
    return InvalidInput(f"{msg}: {first}", hint=hint, discreet=msg)


def _literal(paths: Sequence[Path]) -> list[str]:
    # the one reader of Polars that cannot be told not to look for globs
    return [escape(str(path)) for path in paths]


def _null_values(reading: Reading) -> dict[str, str]:
    return {name: MISSING for name, _ in reading.columns if name not in reading.keeps_na}


def _format_of(paths: Sequence[Path]) -> Format:
    known = ", ".join(SUFFIXES)
    formats: dict[Format, Path] = {}
    for path in paths:
        format_ = SUFFIXES.get(path.suffix.lower())
        if format_ is None:
            msg = f"expected a file whose name ends in {known}, got {path}"
            raise InvalidInput(msg, hint="convert it, or choose the files by a glob: data/*.csv")
        formats.setdefault(format_, path)
    if len(formats) > 1:
        first, second = list(formats.values())[:2]
        msg = f"the files of one dataset have one format, got {first} and {second}"
        raise InvalidInput(msg, hint="choose the files by a glob: data/*.parquet")
    return next(iter(formats))


def _parquet_types(path: Path) -> dict[str, str]:
    import polars as pl

    try:
        frame = pl.scan_parquet([path], glob=False, hive_partitioning=False)
        return {name: str(type_) for name, type_ in frame.collect_schema().items()}
    except pl.exceptions.PolarsError as error:
        raise unreadable(path, "parquet", error) from None


def _seen_types(path: Path, format_: Format, keeps_na: tuple[str, ...]) -> dict[str, str]:
    """The types that a whole file's values fit, by column."""
    import polars as pl

    _refuse_other_text(path, format_)
    try:
        if format_ == "ndjson":
            frame = pl.scan_ndjson(_literal([path]), infer_schema_length=None)
        else:
            _refuse_header(path)
            frame = _inferred(path, keeps_na)
        schema = frame.collect_schema()
    except pl.exceptions.PolarsError as error:
        raise unreadable(path, format_, error) from None
    return {name: _plain_type(path, name, type_) for name, type_ in schema.items()}


def _inferred(path: Path, keeps_na: tuple[str, ...]) -> pl.LazyFrame:
    import polars as pl

    texts = pl.scan_csv([path], infer_schema=False, glob=False)
    names = dict(zip(texts.collect_schema().names(), names_of(path), strict=True))
    _refuse_other_separators(path, list(names))
    nulls = {raw: MISSING for raw, name in names.items() if name not in keeps_na}
    frame = pl.scan_csv([path], infer_schema_length=None, null_values=nulls, glob=False)
    return frame.rename(names)


def _plain_type(path: Path, name: str, type_: pl.DataType) -> str:
    import polars as pl

    if type_.is_nested():
        msg = f"{path}: column {name!r} holds lists or objects ({type_})"
        raise InvalidInput(msg, hint="write one column per value, or use Parquet")
    if type_ == pl.Null:
        return "String"  # all values are missing: anything fits
    return str(type_)


def _refuse_other_text(path: Path, format_: Format) -> None:
    """Text in UTF-16, or without line ends: Polars would find no rows, or columns like dust."""
    with path.open("rb") as file:
        first = file.readline(_LONGEST_LINE)
        if first.startswith((codecs.BOM_UTF16_LE, codecs.BOM_UTF16_BE)) or b"\0" in first:
            msg = f"{path}: expected UTF-8 text, got UTF-16 or bytes that are no text"
            raise InvalidInput(msg, hint="save it as UTF-8")
        if format_ == "csv" and b"\r" in first and not _has_line_ends(first, file):
            msg = f"{path}: its lines end in carriage returns alone, as on a Mac before 2001"
            raise InvalidInput(msg, hint="save it with the line ends of Unix or Windows")


def _has_line_ends(first: bytes, rest: IO[bytes]) -> bool:
    chunk = first
    while chunk and b"\n" not in chunk:
        chunk = rest.read(_LONGEST_LINE)
    return bool(chunk)


def _refuse_header(path: Path) -> None:
    """Polars would give a second name to a column, and none to one without."""
    names = header_of(path)
    if len(names) > 1 and "" in names:
        msg = f"{path}: column {names.index('') + 1} has no name"
        raise InvalidInput(msg, hint="name it, or write the file without it (to_csv(index=False))")
    if twice := [name for name in names if names.count(name) > 1]:
        msg = f"{path}: the column {twice[0]!r} stands twice in the first line"
        raise InvalidInput(msg, hint="a column is known by its name: rename one of them")


def _refuse_other_separators(path: Path, names: list[str]) -> None:
    for separator in (";", "\t", "|"):
        if len(names) == 1 and separator in names[0]:
            msg = f"{path}: expected columns separated by ',', got {separator!r} in the first line"
            raise InvalidInput(msg, hint="write the file with commas")


def refuse_differences(
    paths: Sequence[Path | str],
    types: list[dict[str, str]],
    *,
    hint: str = "the files of one version are one table",
) -> None:
    """Let no files through of which one has other columns, or other types, than the first.

    Args:
        paths: The files.
        types: Of each file, name -> type of its columns, in their order.
        hint: What to do.

    Raises:
        InvalidInput: With the file, and what it has or lacks.
    """
    first = types[0]
    for path, other in zip(paths, types, strict=True):
        if list(other.items()) == list(first.items()):
            continue
        words = [f"lacks {name!r}" for name in first if name not in other]
        words += [f"has {name!r} besides" for name in other if name not in first]
        words += [
            f"has {name!r} as {other[name]} instead of {first[name]}"
            for name in first
            if name in other and other[name] != first[name]
        ]
        said = ", ".join(words) or "has them in another order"
        msg = f"{path} has other columns than {paths[0]}: it {said}"
        raise InvalidInput(msg, hint=hint)


def _common(types: list[str]) -> str:
    """The narrowest type that takes the values of all files."""
    kinds = set(types)
    if len(kinds) == 1:
        return types[0]
    return "Float64" if kinds == {"Int64", "Float64"} else "String"


def _declared(seen: str, declared: FieldType, format_: Format) -> str:
    """The type to read a declared column with; what does not fit it is found by the check."""
    if declared == "datetime":
        return "String" if format_ == "csv" else seen
    wanted = {"integer": "Int64", "number": "Float64", "string": "String", "boolean": "Boolean"}
    if format_ == "csv" or (seen, declared) == ("Int64", "number"):
        return wanted[declared]
    # of ids that are text because some are too large, a file may hold none of these
    return "String" if declared == "string" and seen in ("Int64", "Int128") else seen
