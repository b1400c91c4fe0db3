"""Do these rows keep their contract? One scan finds out about all of it."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from datetime import date
from typing import TYPE_CHECKING, Any, NamedTuple

import msgspec

from cd4ml.data.conditions import first_line
from cd4ml.data.pandera_schema import PanderaContract, pandera_findings
from cd4ml.data.places import Places
from cd4ml.data.rules import Context, Rule, rules_of
from cd4ml.errors import ContractViolated
from cd4ml.models.impossible import refuse_impossible
from cd4ml.records.contract import Contract
from cd4ml.records.finding import Finding

if TYPE_CHECKING:
    import polars as pl

_LISTED = 10  # broken rules in one message
_LONGEST = 200  # characters of a value in a reason


class Check:
    """A contract compiled for a table with these columns, to be part of any scan of it.

    `expressions` compute one number each; `findings` reads them.

    Raises:
        InvalidInput: If no row can keep the contract, or a condition cannot be computed.
    """

    def __init__(
        self,
        contract: Contract,
        schema: Mapping[str, pl.DataType],
        context: Context = Context(),  # noqa: B008 - immutable
    ) -> None:
        refuse_impossible(contract)
        self.contract = contract
        self.rules = rules_of(contract, schema, context)

    @property
    def expressions(self) -> list[pl.Expr]:
        """One aggregation per rule on rows or on the table, named `rule0`, `rule1`, ..."""
        return [r.count.alias(f"rule{i}") for i, r in enumerate(self.rules) if r.count is not None]

    def findings(self, counts: Mapping[str, Any], n_rows: int) -> tuple[Finding, ...]:
        """What the scan found: one finding per rule, kept or broken."""
        found = [
            _finding(rule, counts.get(f"rule{i}"), n_rows) for i, rule in enumerate(self.rules)
        ]
        return (*found, *_row_count(self.contract, n_rows))


class Checked(NamedTuple):
    """What a scan found out: the findings, and the values of expressions asked along."""

    findings: tuple[Finding, ...]
    n_rows: int
    values: dict[str, Any]


def check(
    frame: pl.LazyFrame,
    contract: Contract,
    context: Context = Context(),  # noqa: B008 - immutable
    *,
    places: Places | None = None,
) -> tuple[Finding, ...]:
    """All findings of a contract on a table, in one scan; a second one shows what breaks it.

    Whether broken rules block is the caller's decision (`refuse_unless_kept`). A value
    that is null or missing breaks no limit but "never null". NaN and infinity are no
    numbers and break one of their own.

    Args:
        frame: The table.
        contract: What it has to keep.
        context: The time, and the tables that fields refer to.
        places: The files that the rows stand in, to say so.

    Returns:
        A finding per rule: `metric` says which kind, `slice` which column, `value` how
        many rows break it (how many rows there are, for `rows`).
    """
    return check_along(frame, contract, context, places=places).findings


def check_along(
    frame: pl.LazyFrame,
    contract: Contract,
    context: Context = Context(),  # noqa: B008 - immutable
    *,
    along: Sequence[pl.Expr] = (),
    places: Places | None = None,
) -> Checked:
    """The same, with other aggregations computed in the same scan."""
    if isinstance(contract, PanderaContract):
        table = frame.collect()
        seen = _scanned(table.lazy(), None, along)
        findings = pandera_findings(table, contract, places)
        return Checked(findings, seen["n_rows"], seen)
    compiled = Check(contract, frame.collect_schema(), context)
    counted = count(frame, compiled, along)
    findings = explained(frame, compiled, counted.findings, places)
    return counted._replace(findings=findings)


def count(frame: pl.LazyFrame, compiled: Check, along: Sequence[pl.Expr] = ()) -> Checked:
    """How many rows break each rule, in one scan; where they stand is not looked for."""
    seen = _scanned(frame, compiled, along)
    return Checked(compiled.findings(seen, seen["n_rows"]), seen["n_rows"], seen)


def explained(
    frame: pl.LazyFrame,
    compiled: Check,
    findings: tuple[Finding, ...],
    places: Places | None = None,
) -> tuple[Finding, ...]:
    """The findings with the first row that breaks each broken rule, read in one scan."""
    import polars as pl

    broken = broken_on_rows(compiled, findings)
    if not broken:
        return findings
    flags = {f"broken{i}": rule.is_broken for i, rule in broken.items()}
    names = list(dict.fromkeys(name for rule in broken.values() for name in rule.examples))
    columns = {f"value{i}": pl.col(name) for i, name in enumerate(names)}
    bad = frame.select(row=pl.int_range(1, pl.len() + 1), **columns, **flags).filter(
        pl.any_horizontal(*flags)
    )
    first = pl.struct("row", *columns)
    seen = bad.select(first.filter(flag).first().alias(flag) for flag in flags).collect()
    examples = {}
    for i, rule in broken.items():
        row, *values = seen[f"broken{i}"][0].values()
        known = dict(zip(names, values, strict=True))
        examples[i] = Example(row, {name: known[name] for name in rule.examples} or {"row": row})
    return with_examples(findings, examples, places)


class Example(NamedTuple):
    """A row that breaks a rule, from 1, and its values in the columns of the rule."""

    row: int
    values: Mapping[str, Any]


def broken_on_rows(compiled: Check, findings: tuple[Finding, ...]) -> dict[int, Rule]:
    """The rules that rows break, by their place among the findings."""
    return {
        i: rule
        for i, (rule, finding) in enumerate(zip(compiled.rules, findings, strict=False))
        if finding.outcome == "fail" and rule.broken is not None
    }


def with_examples(
    findings: tuple[Finding, ...], examples: Mapping[int, Example], places: Places | None
) -> tuple[Finding, ...]:
    """The findings, saying where the first row stands that breaks them."""
    places = places or Places()
    return tuple(
        finding
        if i not in examples
        else _with_example(finding, places.of(examples[i].row), value_shown(examples[i].values))
        for i, finding in enumerate(findings)
    )


def _with_example(finding: Finding, place: str, example: str) -> Finding:
    reason = f"{finding.reason}, first in {place}: {example}"
    return msgspec.structs.replace(finding, reason=reason, example=example)


def value_shown(values: Mapping[str, Any]) -> str:
    """The values of a row in some columns, cut when they are long.

    Examples:
        >>> value_shown({"hour": 25}), value_shown({"leaves": 5, "arrives": 3})
        ('25', 'leaves=5, arrives=3')
    """
    texts = {name: _shown(value) for name, value in values.items()}
    if len(texts) == 1:
        text = next(iter(texts.values()))
    else:
        text = ", ".join(f"{name}={text}" for name, text in texts.items())
    return text if len(text) <= _LONGEST else f"{text[:_LONGEST]}..."


def _shown(value: object) -> str:
    return str(value) if isinstance(value, date) else repr(value)


def refuse_unless_kept(what: str, contract: Contract, findings: tuple[Finding, ...]) -> None:
    """Let nothing through that breaks its contract.

    Raises:
        ContractViolated: With the broken rules, those with most rows first.
    """
    broken = [finding for finding in findings if finding.outcome != "pass" and finding.is_gated]
    if not broken:
        return
    broken.sort(key=lambda finding: -(finding.value or 0))
    more = f"\n  ... and {len(broken) - _LISTED} more" if len(broken) > _LISTED else ""
    msg = (
        f"{what} breaks {len(broken)} of {len(findings)} rules of the contract"
        f" {contract.name} {contract.version}"
    )
    raise ContractViolated(
        f"{msg}{listed(broken[:_LISTED])}{more}",
        hint="correct the rows; or change the contract, as a new version",
        discreet=f"{msg}{listed(each.without_example for each in broken[:_LISTED])}{more}",
    )


def listed(findings: Iterable[Finding]) -> str:
    r"""Findings as the lines of a message.

    Examples:
        >>> listed([Finding(gate="hour at most 24", metric="m", outcome="fail", reason="1 row")])
        '\n  - hour at most 24: 1 row'
    """
    return "".join(f"\n  - {finding.gate}: {finding.reason}" for finding in findings)


def _scanned(
    frame: pl.LazyFrame, compiled: Check | None, along: Sequence[pl.Expr]
) -> dict[str, Any]:
    """The values of one scan; conditions that cannot be computed on these rows are set aside."""
    import polars as pl

    rules = compiled.expressions if compiled else []
    try:
        scan = frame.select(pl.len().alias("n_rows"), *along, *rules)
        return scan.collect().row(0, named=True)
    except pl.exceptions.PolarsError:
        if compiled is None or not _set_aside(frame, compiled):
            raise
        return _scanned(frame, compiled, along)


def _set_aside(frame: pl.LazyFrame, compiled: Check) -> bool:
    """Mark the conditions that fail on these rows as not computable; whether there are any."""
    import polars as pl

    is_any = False
    for i, rule in enumerate(compiled.rules):
        if rule.metric != "condition" or rule.count is None:
            continue
        try:
            frame.select(rule.count).collect()
        except pl.exceptions.PolarsError as error:
            why = first_line(error)  # may quote values
            compiled.rules[i] = Rule(
                rule.gate,
                rule.metric,
                rule.columns,
                unknown=f"cannot be computed: {why}",
                quoted=why,
            )
            is_any = True
    return is_any


def _finding(rule: Rule, seen: Any, n_rows: int) -> Finding:
    value, reason = _read(rule, seen, n_rows)
    outcome = "fail" if reason else "pass"
    if rule.unknown:
        outcome = "error" if rule.is_gated else "inconclusive"
    return Finding(
        gate=rule.gate,
        metric=rule.metric,
        slice=", ".join(rule.columns),
        value=value,
        limit=rule.limit,
        n_rows=n_rows,
        is_gated=rule.is_gated,
        outcome=outcome,  # type: ignore[arg-type]
        reason=rule.unknown or reason,
        example=rule.quoted if rule.unknown else "",
    )


def _read(rule: Rule, seen: Any, n_rows: int) -> tuple[float | None, str]:
    """How much a rule is broken, and the reason ("": it is kept)."""
    if rule.unknown:
        return None, ""
    if rule.judge is not None:
        return rule.judge(seen)
    if rule.wrong or seen is None:
        return float(n_rows if rule.wrong else 0), rule.wrong
    return float(seen), f"{seen:,} of {n_rows:,} rows" if seen else ""


def _row_count(contract: Contract, n_rows: int) -> list[Finding]:
    least, most = contract.minimum_rows, contract.maximum_rows
    limits = [(f"at least {_rows(least)}", least, n_rows >= least)]
    if most is not None:
        limits.append((f"at most {_rows(most)}", most, n_rows <= most))
    return [
        Finding(
            gate=gate,
            metric="rows",
            value=float(n_rows),
            limit=float(limit),
            n_rows=n_rows,
            outcome="pass" if is_kept else "fail",
            reason="" if is_kept else f"there are {n_rows:,}",
        )
        for gate, limit, is_kept in limits
    ]


def _rows(number: int) -> str:
    return "1 row" if number == 1 else f"{number:,} rows"
