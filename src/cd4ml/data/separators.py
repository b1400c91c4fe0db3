"""Lines of a CSV file whose columns are separated by something else than the others'."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING

from cd4ml.data.formats import Reading, scan_text
from cd4ml.data.places import Places
from cd4ml.data.rules import Rule
from cd4ml.errors import ContractViolated, InvalidInput

if TYPE_CHECKING:
    import polars as pl

_OTHERS = r"[;\t|]"
SEPARATORS = "n_other_separators"  # in the values of a scan
GATE = "columns are separated by ','"


def is_other_separator(columns: Sequence[str]) -> pl.Expr:
    """Where all of a line went into the first column.

    The last column is empty there, and the first has other separators for at least half
    of the columns. Polars fills short lines with nulls, so that nothing else would tell.
    """
    import polars as pl

    if len(columns) == 1:
        return pl.lit(value=False)
    first, last = pl.col(columns[0]), pl.col(columns[-1])
    return last.is_null() & (first.str.count_matches(_OTHERS) >= max(1, (len(columns) - 1) // 2))


def separator_rule(texts: Sequence[str]) -> Rule:
    """The rule that a whole CSV file has one separator, asked of its columns' texts."""
    broken = is_other_separator(texts)
    return Rule(GATE, "separator", (), broken, broken.sum(), shown=(texts[0],))


def separators(reading: Reading | None, schema: Mapping[str, pl.DataType]) -> list[pl.Expr]:
    """What counts such lines in a scan of a CSV file, named `n_other_separators`.

    Nothing is needed where the first column is no text: such a line is no number.
    """
    import polars as pl

    names = list(schema)
    if reading is None or reading.format != "csv" or not names or schema[names[0]] != pl.String:
        return []
    return [is_other_separator(names).sum().alias(SEPARATORS)]


def refuse_other_separators(
    paths: Sequence[Path], reading: Reading, places: Places, what: str, *, has_contract: bool
) -> None:
    """Refuse files in which the separator changes.

    Raises:
        InvalidInput: With the first such line.
        ContractViolated: The same, if they have a contract.
    """
    import polars as pl

    names = [name for name, _ in reading.columns]
    lines = scan_text(paths, reading).select(
        row=pl.int_range(1, pl.len() + 1), line=pl.col(names[0]), is_other=is_other_separator(names)
    )
    first = pl.struct("row", "line").filter("is_other").first()
    n_rows, n_other, found = (
        lines.select(pl.len(), pl.col("is_other").sum(), first=first).collect().row(0)
    )
    if n_other:
        place = places.of(found["row"])
        msg = (
            f"{what}: {GATE} in the first line, but not in {n_other:,} of {n_rows:,} rows,"
            f" first in {place}"
        )
        kind = ContractViolated if has_contract else InvalidInput
        raise kind(
            f"{msg}: {found['line']!r}", hint="write the whole file with commas", discreet=msg
        )
