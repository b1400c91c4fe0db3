"""The rows that keep a contract, and those that do not with every rule they broke."""

from __future__ import annotations

from collections.abc import Iterable
from typing import TYPE_CHECKING, Any, NamedTuple

from cd4ml.data.contract import (
    Check,
    Example,
    broken_on_rows,
    check_along,
    count,
    with_examples,
)
from cd4ml.data.pandera_schema import PanderaContract, failures
from cd4ml.data.places import Places
from cd4ml.data.rules import Context, Rule
from cd4ml.errors import InvalidInput
from cd4ml.records.contract import Contract
from cd4ml.records.finding import Finding

if TYPE_CHECKING:
    import polars as pl

FILE = "broken_file"
ROW = "broken_row"
RULES = "broken_rules"


class Sifted(NamedTuple):
    """A table taken apart by its contract.

    `good` has the columns of the table. `bad` has them too, and before them `broken_row`
    (the row's number in the table, from 1) and `broken_rules` (every rule that the row
    broke, in words). Rules on columns, on the number of rows and on the table as a whole
    have no rows: where they are broken, only `findings` says so.
    """

    good: pl.LazyFrame
    bad: pl.DataFrame
    findings: tuple[Finding, ...]


def sift(
    frame: pl.LazyFrame | pl.DataFrame,
    contract: Contract,
    context: Context = Context(),  # noqa: B008 - immutable
    *,
    places: Places | None = None,
) -> Sifted:
    """Take the rows apart. Of rows that are the same in a key, the first one is good.

    One scan counts; a second one, only if rules are broken, finds the rows.

    Raises:
        InvalidInput: If no row can keep the contract, or the table has a column of a name
            that `bad` needs.
    """
    frame = frame.lazy()
    refuse_taken_names(frame.collect_schema().names())
    if isinstance(contract, PanderaContract):
        return _pandera_sift(frame.collect(), contract, context, places)
    compiled = Check(contract, frame.collect_schema(), context)
    return sift_with(frame, compiled, places)


def refuse_taken_names(names: Iterable[str]) -> None:
    """Refuse a table with a column of a name that is needed to say what is broken.

    Raises:
        InvalidInput: With the name.
    """
    taken = sorted({FILE, ROW, RULES} & set(names))
    if taken:
        msg = f"a table to be sifted has a column named {taken[0]!r}"
        raise InvalidInput(msg, hint="give the column another name")


def sift_with(frame: pl.LazyFrame, compiled: Check, places: Places | None = None) -> Sifted:
    """The same, for a contract that is compiled already."""
    counted = count(frame, compiled)
    broken = broken_on_rows(compiled, counted.findings)
    good, bad = taken_apart(frame, {rule.gate: rule.is_broken for rule in broken.values()})
    examples = {i: _first(bad, rule) for i, rule in broken.items()}
    return Sifted(good, bad, with_examples(counted.findings, examples, places))


def _first(bad: pl.DataFrame, rule: Rule) -> Example:
    import polars as pl

    first = bad.filter(pl.col(RULES).list.contains(rule.gate)).head(1)
    return Example(first[ROW][0], first.select(rule.examples or ROW).row(0, named=True))


def taken_apart(
    frame: pl.LazyFrame, rules: dict[str, pl.Expr]
) -> tuple[pl.LazyFrame, pl.DataFrame]:
    """The rows in which no rule is broken, and the others with the rules they broke.

    Args:
        frame: The table.
        rules: What is asked, in words -> true in the rows that break it, never null.
    """
    import polars as pl

    if not rules:
        nothing = frame.clear().select(_row().alias(ROW), _named_rules({}).alias(RULES), pl.all())
        return frame, nothing.collect()
    flags = {f"{RULES}{i}": broken for i, broken in enumerate(rules.values())}
    bad = (
        frame.with_columns(_row().alias(ROW), **flags)
        .filter(pl.any_horizontal(*flags))
        .with_columns(_named_rules(dict(zip(flags, rules, strict=True))).alias(RULES))
        .select(ROW, RULES, pl.all().exclude(ROW, RULES, *flags))
    )
    good = frame.filter(~pl.any_horizontal(*rules.values()))
    return good, bad.collect()


def _row() -> pl.Expr:
    import polars as pl

    return pl.int_range(1, pl.len() + 1, dtype=pl.Int64)


def _named_rules(gates: dict[str, str]) -> pl.Expr:
    """For each row, the gates whose flag is up."""
    import polars as pl

    if not gates:
        return pl.lit([], dtype=pl.List(pl.String))
    named = [pl.when(flag).then(pl.lit(gate)) for flag, gate in gates.items()]
    return pl.concat_list(named).list.drop_nulls()


def _pandera_sift(
    table: pl.DataFrame, contract: PanderaContract, context: Context, places: Places | None
) -> Sifted:
    import polars as pl

    findings = check_along(table.lazy(), contract, context, places=places).findings
    rows = pl.int_range(pl.len())
    rules: dict[str, Any] = {
        failure.gate: rows.is_in(list(failure.rows))
        for failure in failures(table, contract)
        if failure.rows
    }
    return Sifted(*taken_apart(table.lazy(), rules), findings)
