"""Files of text as typed tables, beside what is written in them.

Reading a CSV file as numbers fails at the first value that is none. Here every value is
read as the text it is, so that all values of a wrong type are found, with their rows, and the
other rows can go on.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, NamedTuple

from cd4ml.data.contract import Check, check, count, explained
from cd4ml.data.formats import Reading, scan, scan_text, unreadable_among, utc
from cd4ml.data.pandera_schema import PanderaContract
from cd4ml.data.rules import Context, Rule, among_readable
from cd4ml.data.separators import refuse_other_separators, separator_rule
from cd4ml.data.sift import FILE, ROW, Sifted, refuse_taken_names, sift, sift_with, taken_apart
from cd4ml.data.values import fits, places_in, wrong_values
from cd4ml.records.contract import Contract, Field
from cd4ml.records.finding import Finding

if TYPE_CHECKING:
    import polars as pl

    from cd4ml.data.places import Places

_TEXT = "written "  # before the name of a column: what stands in the file


class _Compiled(NamedTuple):
    frame: pl.LazyFrame  # typed columns, and those of `texts` as they are written
    check: Check
    texts: dict[str, str]  # column -> the column with its text


def check_files(
    paths: Sequence[Path],
    reading: Reading,
    contract: Contract,
    context: Context = Context(),  # noqa: B008 - immutable
) -> tuple[Finding, ...]:
    """All findings of a contract on files, also on values that are not of their type."""
    places = places_in(paths, reading)
    if not _is_text(reading, contract):
        with _readable(paths, reading):
            wrong = _wrong_text(paths, reading, contract, places)
            return wrong or check(scan(paths, reading), contract, context, places=places)
    compiled = _compiled(paths, reading, contract, context)
    with _readable(paths, reading):
        found = count(compiled.frame, compiled.check).findings
        return explained(compiled.frame, compiled.check, found, places)


def sift_files(
    paths: Sequence[Path],
    reading: Reading,
    contract: Contract,
    context: Context = Context(),  # noqa: B008 - immutable
) -> Sifted:
    """The rows of files taken apart; bad rows of text files keep what is written in them.

    With several files, `broken_file` says which one a bad row stands in, and `broken_row`
    counts from the beginning of that file.

    Raises:
        InvalidInput: If no row can keep the contract, or a column has a name that is needed.
    """
    places = places_in(paths, reading)
    if not _is_text(reading, contract):
        frame = scan(paths, reading)
        with _readable(paths, reading):
            wrong = _wrong_text(paths, reading, contract, places)
            if wrong:
                return Sifted(*taken_apart(frame, {}), findings=wrong)
            found = sift(frame, contract, context, places=places)
        return found._replace(bad=_with_files(found.bad, places))
    compiled = _compiled(paths, reading, contract, context)
    refuse_taken_names(compiled.texts)
    with _readable(paths, reading):
        found = sift_with(compiled.frame, compiled.check, places)
    texts = compiled.texts
    return Sifted(
        good=found.good.drop(texts.values()),
        bad=_with_files(
            found.bad.drop(texts).rename({text: name for name, text in texts.items()}), places
        ),
        findings=found.findings,
    )


def _with_files(bad: pl.DataFrame, places: Places) -> pl.DataFrame:
    import polars as pl

    if len(places.parts) < 2:
        return bad
    found = [places.part_of(row) for row in bad[ROW].to_list()]
    files = pl.Series(FILE, [part.path for part in found], dtype=pl.String)
    rows = pl.Series(ROW, [part.n_rows for part in found], dtype=pl.Int64)
    return bad.with_columns(rows).insert_column(0, files)


@contextmanager
def _readable(paths: Sequence[Path], reading: Reading) -> Iterator[None]:
    import polars as pl

    try:
        yield
    except pl.exceptions.PolarsError as error:
        raise unreadable_among(paths, reading, error) from None


def _wrong_text(
    paths: Sequence[Path], reading: Reading, contract: Contract, places: Places
) -> tuple[Finding, ...]:
    """Text that is not of the type that a Pandera schema has: all else cannot be asked then."""
    if reading.format == "parquet":
        return ()
    if reading.format == "csv":
        refuse_other_separators(paths, reading, places, contract.name, has_contract=True)
    found = wrong_values(paths, reading, contract, places=places)
    return tuple(finding for finding in found if finding.outcome != "pass")


def _is_text(reading: Reading, contract: Contract) -> bool:
    # Pandera's checks need the typed table
    return reading.format != "parquet" and not isinstance(contract, PanderaContract)


def _compiled(
    paths: Sequence[Path], reading: Reading, contract: Contract, context: Context
) -> _Compiled:
    import polars as pl

    text = scan_text(paths, reading)
    declared = {field.name: field for field in contract.fields}
    texts = {name: f"{_TEXT}{name}" for name, _ in reading.columns}
    frame = text.select(
        *(
            _typed(name, type_, declared.get(name), reading).alias(name)
            for name, type_ in reading.columns
        ),
        *(pl.col(name).alias(text) for name, text in texts.items()),
    )
    schema = {name: type_ for name, type_ in frame.collect_schema().items() if name in texts}
    compiled = Check(contract, schema, context)
    types = text.collect_schema()
    written = {name: text for name, text in texts.items() if types[name] == pl.String}
    compiled.rules = [_of_text(rule, declared, written) for rule in compiled.rules]
    if reading.format == "csv":
        compiled.rules.append(separator_rule(list(texts.values())))
    return _Compiled(frame, compiled, texts)


def _typed(name: str, type_: str, field: Field | None, reading: Reading) -> pl.Expr:
    """A column as its text is read; what cannot be read is null."""
    import polars as pl

    column = pl.col(name)
    if name in reading.times:
        return utc(column, ends_day=name in reading.arrivals)
    if reading.format != "csv":
        return _declared(column, type_, field)
    text = column.str.strip_chars_start()
    if type_ == "Boolean":
        lower = text.str.to_lowercase()
        return pl.when(lower.is_in(["true", "false"])).then(lower == "true")
    return column if type_ == "String" else text.cast(getattr(pl, type_), strict=False)


def _declared(column: pl.Expr, type_: str, field: Field | None) -> pl.Expr:
    """JSON's values have types; texts that should be something else are read as that."""
    import polars as pl

    wanted = {"integer": pl.Int64, "number": pl.Float64}
    if type_ != "String" or field is None or field.type not in wanted:
        return column
    return column.cast(wanted[field.type], strict=False)


def _of_text(rule: Rule, declared: dict[str, Field], texts: dict[str, str]) -> Rule:
    """The rule on types and on missing values, asked of what is written."""
    import polars as pl

    if rule.metric == "duplicates" and rule.broken is not None:
        unread = {
            name: pl.col(name).is_null() & pl.col(texts[name]).is_not_null() for name in texts
        }
        return among_readable(rule, unread)
    if rule.metric not in ("wrong type", "nulls") or rule.wrong or rule.columns[0] not in texts:
        return rule
    name = rule.columns[0]
    text = pl.col(texts[name])
    if rule.metric == "nulls":
        return replace(rule, broken=text.is_null(), count=text.null_count())
    if declared[name].type == "string":
        return rule
    broken = text.is_not_null() & ~fits(declared[name], text)
    return replace(rule, broken=broken, count=broken.sum(), shown=(texts[name],))
