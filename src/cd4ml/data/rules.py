"""A contract compiled to Polars expressions: one rule for each limit on a table."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field, replace
from datetime import date, datetime, timedelta
from typing import TYPE_CHECKING, Any, NamedTuple

from cd4ml.data.conditions import compiled
from cd4ml.data.references import known_values
from cd4ml.errors import InvalidInput
from cd4ml.records.contract import Condition, Contract, Field

if TYPE_CHECKING:
    import polars as pl

_HOUR = timedelta(hours=1)
_NAMED = 3  # categories in the words of a rule


class Judgement(NamedTuple):
    """What one value says about a whole table; the reason is empty if the rule is kept."""

    value: float | None
    reason: str


@dataclass(frozen=True)
class Rule:
    """One limit of a contract on a table.

    A rule on rows has `broken`, true in the rows that break it, and `count`, how many
    there are. A rule on the whole table computes one value, `count`, which `judge` reads.
    A rule on the columns themselves needs no rows: `wrong` says what is wrong with them ("" if
    nothing is). What `unknown` names stands in the way of asking.
    """

    gate: str  # what is asked, in words
    metric: str
    columns: tuple[str, ...] = ()
    broken: pl.Expr | None = None
    count: pl.Expr | None = None
    judge: Callable[[Any], Judgement] | None = None
    limit: float = 0.0
    wrong: str = ""
    unknown: str = ""
    quoted: str = ""  # the end of `unknown` that may quote values of rows
    is_gated: bool = True
    shown: tuple[str, ...] = ()  # columns that an example shows; () as `columns`

    @property
    def examples(self) -> tuple[str, ...]:
        """The columns whose values show how the rule was broken."""
        return self.shown or self.columns

    @property
    def is_broken(self) -> pl.Expr:
        """`broken`, and false where it is null."""
        import polars as pl

        return pl.lit(value=False) if self.broken is None else self.broken.fill_null(value=False)


@dataclass(frozen=True)
class Context:
    """What a table is compared with besides its contract.

    `now` is the time by which rows are fresh. `tables` has the datasets that fields refer
    to, by the name they are referred to with: "stations" or "stations@3".
    """

    now: datetime | None = None
    tables: Mapping[str, pl.LazyFrame] = field(default_factory=dict)


def rules_of(contract: Contract, schema: Mapping[str, pl.DataType], context: Context) -> list[Rule]:
    """Everything that a contract asks of a table with these columns.

    Raises:
        InvalidInput: If a condition cannot be computed from the declared columns.
    """
    return [
        *(rule for field in contract.fields for rule in _field_rules(field, schema, context)),
        *([] if contract.open else _undeclared(contract, schema)),
        *_unique(contract, schema),
        *(_condition(contract, condition, schema) for condition in contract.conditions),
        *_fresh(contract, schema, context),
        *(_unchecked(text) for text in contract.unchecked),
    ]


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


def _field_rules(field: Field, schema: Mapping[str, pl.DataType], context: Context) -> list[Rule]:
    name = field.name
    if name not in schema and field.optional:
        return []
    if name not in schema:
        wrong = "there is no such column"
        return [Rule(f"{name} is there", "missing column", (name,), wrong=wrong)]
    type_rule = Rule(f"{name} is {field.type}", "wrong type", (name,))
    if not of_type(schema[name], field):
        # what is no number has no minimum: the other rules cannot be asked
        return [replace(type_rule, wrong=f"its type is {schema[name]}")]
    return [
        type_rule,
        *_null(field),
        *_numeric_limits(field, schema[name]),
        *_text_limits(field, schema[name]),
        *_reference(field, schema[name], context),
    ]


def _null(field: Field) -> list[Rule]:
    import polars as pl

    if field.nullable:
        return []
    column = pl.col(field.name)
    rule = _on_rows(f"{field.name} is never null", "nulls", field.name, column.is_null())
    return [replace(rule, count=column.null_count())]


def _numeric_limits(field: Field, type_: pl.DataType) -> list[Rule]:
    import polars as pl

    column, name = pl.col(field.name), field.name
    rules = []
    if type_.is_float():
        if field.finite:
            rules.append(_on_rows(f"{name} is finite", "not finite", name, ~column.is_finite()))
        column = column.fill_nan(None)  # NaN would be above every maximum
    if field.minimum is not None:
        gate = f"{name} at least {field.minimum:g}"
        rules.append(_on_rows(gate, "below minimum", name, column < field.minimum))
    if field.maximum is not None:
        gate = f"{name} at most {field.maximum:g}"
        rules.append(_on_rows(gate, "above maximum", name, column > field.maximum))
    return rules


def _text_limits(field: Field, type_: pl.DataType) -> list[Rule]:
    import polars as pl

    name = field.name
    text = pl.col(name) if type_ == pl.String else pl.col(name).cast(pl.String)
    rules = []
    if field.categories and not field.open:
        gate = f"{name} is one of {_some(field.categories)}"
        outside = ~text.is_in(list(field.categories))
        rules.append(_on_rows(gate, "unknown category", name, outside))
    if field.pattern:
        whole = rf"\A(?:{field.pattern})\z"
        _refuse_unknown_pattern(field, whole)
        unlike = ~text.str.contains(whole)
        rules.append(_on_rows(f"{name} like {field.pattern}", "wrong pattern", name, unlike))
    return rules


def _refuse_unknown_pattern(field: Field, whole: str) -> None:
    """Requests are matched by Python, tables by Polars, which knows no look-around."""
    import polars as pl

    try:
        pl.Series([""]).str.contains(whole)
    except pl.exceptions.PolarsError:
        msg = f"the pattern of {field.name!r} is none for tables: {field.pattern}"
        hint = "look-around and back-references cannot be used"
        raise InvalidInput(msg, hint=hint) from None


def _reference(field: Field, type_: pl.DataType, context: Context) -> list[Rule]:
    import polars as pl

    if not field.references:
        return []
    rule = Rule(f"{field.name} in {field.references}", "unknown reference", (field.name,))
    known = known_values(field.references, type_, context.tables)
    if isinstance(known, str):
        return [replace(rule, unknown=known)]
    column = pl.col(field.name)
    if known.dtype == pl.String and type_ != pl.String:
        column = column.cast(pl.String)
    outside = ~column.is_in(known.implode())
    return [replace(rule, broken=outside, count=outside.sum())]


def _undeclared(contract: Contract, schema: Mapping[str, pl.DataType]) -> list[Rule]:
    wrong = "the contract does not know it"
    return [
        Rule(f"{name} is not there", "extra column", (name,), wrong=wrong)
        for name in schema
        if name not in contract.names
    ]


def _unique(contract: Contract, schema: Mapping[str, pl.DataType]) -> list[Rule]:
    # a later arrival with the same key is a correction, not a repetition
    key = (*contract.key, contract.arrival_time) if contract.arrival_time else contract.key
    rules = [_unique_rule(key, schema, is_key=True)] if contract.key else []
    singles = [(field.name,) for field in contract.fields if field.unique and field.name in schema]
    met = {frozenset(contract.key)}
    for names in (*singles, *contract.unique):
        if frozenset(names) not in met:
            rules.append(_unique_rule(names, schema, is_key=False))
        met.add(frozenset(names))
    return rules


def _unique_rule(
    names: tuple[str, ...], schema: Mapping[str, pl.DataType], *, is_key: bool
) -> Rule:
    import polars as pl

    rule = Rule(f"{', '.join(names)} unique", "duplicates", names)
    missing = [name for name in names if name not in schema]
    if missing:
        return replace(rule, wrong=f"there is no column {missing[0]!r}")
    values = pl.col(names[0]) if len(names) == 1 else pl.struct(names)
    repeated = ~values.is_first_distinct()
    if is_key:
        return replace(rule, broken=repeated, count=pl.len() - values.n_unique())
    compared = pl.all_horizontal(pl.col(name).is_not_null() for name in names)
    count = compared.sum() - values.filter(compared).n_unique()
    return replace(rule, broken=compared & repeated, count=count)


def among_readable(rule: Rule, unread: Mapping[str, pl.Expr]) -> Rule:
    """A rule on keys that takes no value that could not be read for a missing one.

    Args:
        rule: Asks that rows are different.
        unread: By column, where its value is null because it is of another type.
    """
    import polars as pl

    flags = [unread[name].alias(f"{i}") for i, name in enumerate(rule.columns) if name in unread]
    if not flags or rule.broken is None:
        return rule
    values = pl.struct(pl.struct(rule.columns).alias("values"), *flags)
    broken = rule.broken & ~values.is_first_distinct() & ~pl.any_horizontal(flags)
    return replace(rule, broken=broken, count=broken.sum())


def _condition(contract: Contract, condition: Condition, schema: Mapping[str, pl.DataType]) -> Rule:
    found = compiled(contract, condition, schema)
    rule = Rule(condition.name, "condition", found.columns)
    if found.expression is None:
        return replace(rule, wrong=found.wrong)
    if found.is_of_table:
        return replace(rule, count=found.expression, judge=_true)
    broken = ~found.expression
    return replace(rule, broken=broken, count=broken.sum())


def _true(value: bool | None) -> Judgement:
    is_kept = value is None or value
    return Judgement(0.0 if is_kept else 1.0, "" if is_kept else "the table as a whole breaks it")


def _fresh(contract: Contract, schema: Mapping[str, pl.DataType], context: Context) -> list[Rule]:
    import polars as pl

    hours, column = contract.fresh_within_hours, contract.event_time
    if hours is None:
        return []
    rule = Rule(f"newest {column} at most {hours:g} hours old", "hours since newest", (column,))
    if column not in schema:
        return [replace(rule, wrong=f"there is no column {column!r}")]
    now = context.now
    if now is None:
        return [replace(rule, unknown="no time was given to compare it with")]
    return [
        replace(
            rule,
            limit=hours,
            count=pl.col(column).cast(pl.Datetime("us", _zone(schema[column]))).max(),
            judge=lambda newest: _age(newest, now, hours),
        )
    ]


def _zone(type_: pl.DataType) -> str | None:
    return getattr(type_, "time_zone", None)


def _age(newest: datetime | date | None, now: datetime, hours: float) -> Judgement:
    if not isinstance(newest, datetime):
        return Judgement(None, "no row has one")
    newest = newest if newest.tzinfo else newest.replace(tzinfo=now.tzinfo)
    age = (now - newest) / _HOUR
    reason = (
        f"the newest is of {newest:%Y-%m-%d %H:%M}, {age:,.1f} hours before {now:%Y-%m-%d %H:%M}"
    )
    return Judgement(age, reason if age > hours else "")


def _unchecked(text: str) -> Rule:
    return Rule(text, "not checked", unknown="cd4ml cannot check it", is_gated=False)


def _on_rows(gate: str, metric: str, column: str, broken: pl.Expr) -> Rule:
    return Rule(gate, metric, (column,), broken, broken.sum())


def _some(names: tuple[str, ...]) -> str:
    more = f" and {len(names) - _NAMED} others" if len(names) > _NAMED else ""
    return ", ".join(names[:_NAMED]) + more
