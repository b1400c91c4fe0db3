"""Do these rows keep their contract? One scan finds out about all of it."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Any

import msgspec

from cd4ml.errors import ContractViolated
from cd4ml.models.contract import refuse_impossible
from cd4ml.records.contract import Contract, Field
from cd4ml.records.finding import Finding

if TYPE_CHECKING:
    import polars as pl

_LISTED = 10  # broken rules in one message


@dataclass(frozen=True)
class Rule:
    """One limit of a contract on a table.

    `count` computes how many rows break it, and `broken` is true in them (None for rules
    on several rows together). Rules on the columns themselves need no rows: they have
    neither, and `wrong` says what is wrong ("" if nothing is).
    """

    gate: str  # what is asked, in words
    metric: str
    column: str
    broken: pl.Expr | None = None
    count: pl.Expr | None = None
    wrong: str = ""


class Check:
    """A contract compiled for a table with these columns, to be part of any scan of it.

    `expressions` compute one number each; `findings` reads them.

    Raises:
        InvalidInput: If no row can keep the contract.
    """

    def __init__(self, contract: Contract, schema: Mapping[str, pl.DataType]) -> None:
        refuse_impossible(contract)
        self.contract = contract
        self.rules = [
            *(rule for field in contract.fields for rule in _rules_of(field, schema)),
            *_extra(contract, schema),
            *_key(contract, schema),
        ]

    @property
    def expressions(self) -> list[pl.Expr]:
        """One aggregation per rule on rows, named `rule0`, `rule1`, ..."""
        return [r.count.alias(f"rule{i}") for i, r in enumerate(self.rules) if r.count is not None]

    def findings(self, counts: Mapping[str, Any], n_rows: int) -> tuple[Finding, ...]:
        """What the scan found: one finding per rule, kept or broken."""
        found = [
            _finding(rule, counts.get(f"rule{i}"), n_rows) for i, rule in enumerate(self.rules)
        ]
        return (*found, _enough_rows(self.contract, n_rows))


def check(frame: pl.LazyFrame, contract: Contract) -> tuple[Finding, ...]:
    """All findings of a contract on a table, in one scan; a second one shows what breaks it.

    Whether broken rules block is the caller's decision (`refuse_unless_kept`). A value
    that is null or missing breaks no limit but "never null". NaN and infinity are no
    numbers and break one of their own.

    Returns:
        A finding per rule: `metric` says which kind, `slice` which column, `value` how
        many rows break it (how many rows there are, for `rows`).
    """
    import polars as pl

    compiled = Check(contract, frame.collect_schema())
    counts = (
        frame.select(pl.len().alias("n_rows"), *compiled.expressions).collect().row(0, named=True)
    )
    return explained(frame, compiled, compiled.findings(counts, counts["n_rows"]))


def explained(
    frame: pl.LazyFrame, compiled: Check, findings: tuple[Finding, ...]
) -> tuple[Finding, ...]:
    """The findings with the first row that breaks each broken rule, read in one scan."""
    import polars as pl

    broken = {
        i: (rule.column, rule.broken)
        for i, (rule, finding) in enumerate(zip(compiled.rules, findings, strict=False))
        if finding.outcome == "fail" and rule.broken is not None
    }
    if not broken:
        return findings
    firsts = [
        expression.first().alias(f"{name}{i}")
        for i, (column, is_broken) in broken.items()
        for name, expression in (
            ("row", pl.int_range(1, pl.len() + 1).filter(is_broken)),
            ("value", pl.col(column).filter(is_broken)),
        )
    ]
    shown = frame.select(firsts).collect().row(0, named=True)
    reasons = {
        i: f"{findings[i].reason}, first in row {shown[f'row{i}']:,}: {shown[f'value{i}']!r}"
        for i in broken
    }
    return tuple(
        msgspec.structs.replace(finding, reason=reasons.get(i, finding.reason))
        for i, finding in enumerate(findings)
    )


def refuse_unless_kept(what: str, contract: Contract, findings: tuple[Finding, ...]) -> None:
    """Let nothing through that breaks its contract.

    Raises:
        ContractViolated: With the broken rules, those with most rows first.
    """
    broken = [finding for finding in findings if finding.outcome != "pass" and finding.is_gated]
    if not broken:
        return
    broken.sort(key=lambda finding: -(finding.value or 0))
    listed = "".join(f"\n  - {finding.gate}: {finding.reason}" for finding in broken[:_LISTED])
    more = f"\n  ... and {len(broken) - _LISTED} more" if len(broken) > _LISTED else ""
    msg = (
        f"{what} breaks {len(broken)} of {len(findings)} rules of the contract"
        f" {contract.name} {contract.version}{listed}{more}"
    )
    raise ContractViolated(msg, hint="correct the rows; or change the contract, as a new version")


def of_type(type_: pl.DataType, field: Field) -> bool:
    """Whether a column's type is the declared one."""
    import polars as pl

    match field.type:
        case "integer":
            return type_.is_integer()
        case "number":
            return type_.is_numeric()
        case "boolean":
            return type_ == pl.Boolean
        case "datetime":
            return type_ in (pl.Datetime, pl.Date)
        case "string":
            return type_ in (pl.String, pl.Categorical, pl.Enum)


def _rules_of(field: Field, schema: Mapping[str, pl.DataType]) -> list[Rule]:
    name = field.name
    if name not in schema:
        return [Rule(f"{name} is there", "missing column", name, wrong="there is no such column")]
    type_rule = Rule(f"{name} is {field.type}", "wrong type", name)
    if not of_type(schema[name], field):
        # what is no number has no minimum: the other rules cannot be asked
        return [replace(type_rule, wrong=f"its type is {schema[name]}")]
    return [type_rule, *_limits(field, schema[name])]


def _limits(field: Field, type_: pl.DataType) -> list[Rule]:
    import polars as pl

    column, name = pl.col(field.name), field.name
    rules = []
    if not field.nullable:
        rules.append(_rule(f"{name} is never null", "nulls", name, column.is_null()))
    if type_.is_float():
        rules.append(_rule(f"{name} is finite", "not finite", name, ~column.is_finite()))
        column = column.fill_nan(None)  # NaN would be above every maximum
    if field.minimum is not None:
        gate = f"{name} at least {field.minimum:g}"
        rules.append(_rule(gate, "below minimum", name, column < field.minimum))
    if field.maximum is not None:
        gate = f"{name} at most {field.maximum:g}"
        rules.append(_rule(gate, "above maximum", name, column > field.maximum))
    if field.categories and not field.open:
        gate = f"{name} is one of {_some(field.categories)}"
        outside = ~column.cast(pl.String).is_in(list(field.categories))
        rules.append(_rule(gate, "unknown category", name, outside))
    return rules


def _rule(gate: str, metric: str, column: str, broken: pl.Expr) -> Rule:
    broken = broken.fill_null(value=False)
    return Rule(gate, metric, column, broken, broken.sum())


def _extra(contract: Contract, schema: Mapping[str, pl.DataType]) -> list[Rule]:
    return [
        Rule(f"{name} is not there", "extra column", name, wrong="the contract does not know it")
        for name in schema
        if name not in contract.names
    ]


def _key(contract: Contract, schema: Mapping[str, pl.DataType]) -> list[Rule]:
    import polars as pl

    if not contract.key:
        return []
    # a later arrival with the same key is a correction, not a repetition
    key = (*contract.key, contract.arrival_time) if contract.arrival_time else contract.key
    names = ", ".join(key)
    rule = Rule(f"{names} unique", "duplicates", names)
    missing = [name for name in key if name not in schema]
    if missing:
        return [replace(rule, wrong=f"there is no column {missing[0]!r}")]
    return [replace(rule, count=pl.len() - pl.struct(key).n_unique())]


def _finding(rule: Rule, count: int | None, n_rows: int) -> Finding:
    value = count if count is not None else (n_rows if rule.wrong else 0)
    reason = rule.wrong or (f"{value:,} of {n_rows:,} rows" if value else "")
    return Finding(
        gate=rule.gate,
        metric=rule.metric,
        slice=rule.column,
        value=float(value),
        limit=0.0,
        n_rows=n_rows,
        outcome="fail" if reason else "pass",
        reason=reason,
    )


def _enough_rows(contract: Contract, n_rows: int) -> Finding:
    is_enough = n_rows >= contract.minimum_rows
    return Finding(
        gate=f"at least {contract.minimum_rows:,} rows",
        metric="rows",
        value=float(n_rows),
        limit=float(contract.minimum_rows),
        n_rows=n_rows,
        outcome="pass" if is_enough else "fail",
        reason="" if is_enough else f"there are {n_rows:,}",
    )


def _some(names: tuple[str, ...]) -> str:
    return ", ".join(names[:3]) + (f" and {len(names) - 3} others" if len(names) > 3 else "")
