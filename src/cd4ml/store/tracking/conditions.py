"""Filters as SQL, for both databases; every name and value is a bound parameter."""

from __future__ import annotations

import re
from collections.abc import Callable, Sequence
from datetime import datetime
from math import isfinite, isnan
from typing import Any

import sqlalchemy as sa

from cd4ml.records.run import Metric, Run
from cd4ml.store.storable import problem
from cd4ml.store.tables import TABLES
from cd4ml.store.tracking import where
from cd4ml.store.tracking.where import ATTRIBUTES, Condition, Field, Tree, Value, parse, pointed

_RUNS, _METRICS = TABLES[Run], TABLES[Metric]

_NUMBERS = ("number", "search")
_MOMENTS = ("started", "finished")
_SIMPLE = re.compile(r"[A-Za-z0-9_.:/@-]+")  # names that SQLite's JSON finds by a path
# no larger and no smaller than floats are: PostgreSQL refuses to cast others
_NUMERIC = (
    r"^[-+]?([0-9]{16,255}(\.[0-9]{0,25})?"
    r"|([0-9]{1,15}(\.[0-9]{0,25})?|\.[0-9]{1,25})([eE][-+]?([0-9]{1,2}|[12][0-8][0-9]))?)$"
)

Bool = sa.ColumnElement[bool]


def condition_of(connection: sa.Connection, text: str, *, is_asked_by_run: bool = False) -> Bool:
    """What a filter asks of the rows of runs.

    Args:
        connection: To the database.
        text: The filter.
        is_asked_by_run: Whether few runs are looked at, one by one; else the runs that a metric
            lets through are found together first.

    Raises:
        InvalidInput: If it is none, or a value does not fit its field; the message points at
            the place.
    """
    return _Compiler(connection, text, is_asked_by_run).compiled(parse(text))


def column_of(connection: sa.Connection, field: Field) -> sa.ColumnElement[Any]:
    """A parameter, tag or attribute of a run as one sortable column; not for metrics."""
    if field.kind == "attributes":
        return _RUNS.c[ATTRIBUTES[field.name]]
    json = _Json(connection, field)
    return json.text


def number_column_of(connection: sa.Connection, field: Field) -> sa.ColumnElement[Any]:
    """The same where it is a number, null elsewhere."""
    if field.kind == "attributes":
        return sa.null()
    return _Json(connection, field).number


class _Compiler:
    def __init__(self, connection: sa.Connection, text: str, is_asked_by_run: bool) -> None:
        self._connection = connection
        self._text = text
        self._is_asked_by_run = is_asked_by_run

    def compiled(self, tree: Tree) -> Bool:
        match tree:
            case where.All(parts):
                return sa.and_(*(self.compiled(part) for part in parts))
            case where.Any(parts):
                return sa.or_(*(self.compiled(part) for part in parts))
            case where.Not(part):
                # what is null (no such metric) is not so: the opposite holds
                return sa.not_(sa.func.coalesce(self.compiled(part), sa.false()))
        return self._condition(tree)

    def _condition(self, condition: Condition) -> Bool:
        for value in (condition.field.name, *condition.values):
            if found := problem(value) if isinstance(value, str) else "":
                raise self._wrong(found, condition.place or condition.field.place)
        kinds: dict[str, Callable[[Condition], Bool]] = {
            "metrics": self._metric,
            "params": self._json,
            "tags": self._json,
            "attributes": self._attribute,
        }
        return kinds[condition.field.kind](condition)

    def _metric(self, condition: Condition) -> Bool:
        named = _METRICS.c.name == condition.field.name
        value = _METRICS.c.value
        if condition.operator == "is null":
            there = sa.or_(value.is_not(None), _METRICS.c.is_nan)
            return sa.not_(self._has_metric(named, there))
        numbers = [self._number(condition, each) for each in condition.values]
        asked = sa.or_(*(_compared(condition.operator, value, each) for each in numbers))
        return self._has_metric(named, asked)

    def _has_metric(self, *conditions: Bool) -> Bool:
        if self._is_asked_by_run:
            return sa.exists().where(_METRICS.c.run == _RUNS.c.number, *conditions)
        return _RUNS.c.number.in_(sa.select(_METRICS.c.run).where(*conditions))

    def _number(self, condition: Condition, value: Value) -> float:
        if condition.operator in ("like", "ilike"):
            msg = f"{condition.field} is a number, which is not like a text"
            raise self._wrong(msg, condition.field.place)
        if isinstance(value, bool) or not isinstance(value, (int, float)):
            shown = value if isinstance(value, datetime) else repr(value)
            msg = f"{condition.field} is a number, so expected a number, got {shown}"
            raise self._wrong(msg, condition.place)
        return float(value)

    def _json(self, condition: Condition) -> Bool:
        json = _Json(self._connection, condition.field)
        if condition.operator == "is null":
            return json.text.is_(None)
        if condition.operator in ("like", "ilike"):
            return self._like(json.text, condition)
        return sa.or_(*(self._json_compared(json, condition, each) for each in condition.values))

    def _json_compared(self, json: _Json, condition: Condition, value: Value) -> Bool:
        operator = "=" if condition.operator == "in" else condition.operator
        if isinstance(value, bool):
            self._refuse_order(condition)
            said = "true" if value else "false"
            return _operated(operator, sa.func.lower(json.text), said)
        if isinstance(value, float):
            if not isfinite(value) and operator in ("=", "!="):
                return _not_finite(operator, json.text, value)
            if isnan(value):
                return sa.false()
            if operator == "!=":
                other = sa.or_(json.number.is_(None), json.number != value)
                return sa.and_(json.text.is_not(None), other)
            return _operated(operator, json.number, value)
        text = value.isoformat() if isinstance(value, datetime) else value
        return _operated(operator, json.text, text)

    def _attribute(self, condition: Condition) -> Bool:
        name = condition.field.name
        column: sa.ColumnElement[Any] = _RUNS.c[ATTRIBUTES[name]]
        if name == "search":
            column = sa.func.nullif(column, 0)  # 0: of none
        if condition.operator == "is null":
            return column.is_(None)
        if condition.operator in ("like", "ilike"):
            if name in (*_NUMBERS, *_MOMENTS):
                what = "number" if name in _NUMBERS else "moment"
                raise self._wrong(
                    f"{name} is a {what}, which is not like a text", condition.field.place
                )
            return self._like(column, condition)
        operator = "=" if condition.operator == "in" else condition.operator
        values = [self._attribute_value(condition, each) for each in condition.values]
        return sa.or_(*(_operated(operator, column, each) for each in values))

    def _attribute_value(self, condition: Condition, value: Value) -> Any:
        name = condition.field.name
        if name in _NUMBERS:
            number = self._number(condition, value)
            if number != number or abs(number) >= 2**63:
                raise self._wrong(f"{name} is no such number", condition.place)
            return number
        if name in _MOMENTS:
            return self._moment(condition, value)
        if isinstance(value, str):
            return value
        shown = value if isinstance(value, (datetime, bool)) else f"{value:g}"
        raise self._wrong(
            f"{name} is a text, so expected text in quotes, got {shown}", condition.place
        )

    def _moment(self, condition: Condition, value: Value) -> datetime:
        if isinstance(value, str):
            try:
                return where.moment_of(value)
            except ValueError:
                pass
        if isinstance(value, datetime):
            return value
        msg = f"{condition.field} is a moment, so expected one like 2026-11-26, got {value!r}"
        raise self._wrong(msg, condition.place)

    def _like(self, column: sa.ColumnElement[Any], condition: Condition) -> Bool:
        (pattern,) = condition.values
        if condition.operator == "ilike":
            return sa.func.lower(column).like(sa.func.lower(pattern), escape="\\")
        if self._connection.dialect.name == "sqlite":  # whose LIKE does not see capitals
            return column.bool_op("GLOB")(_glob(str(pattern)))
        return column.like(pattern, escape="\\")

    def _refuse_order(self, condition: Condition) -> None:
        if condition.operator not in ("=", "!=", "in"):
            msg = "true and false are equal or not, neither is above the other"
            raise self._wrong(msg, condition.place)

    def _wrong(self, message: str, place: int) -> Exception:
        return pointed(message, self._text, place)


class _Json:
    """A value of a JSON column by its name: as text, and as a number where it is one."""

    def __init__(self, connection: sa.Connection, field: Field) -> None:
        column = _RUNS.c.parameters if field.kind == "params" else _RUNS.c.tags
        names = [field.name]
        if field.kind == "params" and "." not in field.name:
            names += names_ending(connection, field.name)
        if connection.dialect.name == "sqlite":
            raw: sa.ColumnElement[Any] = sa.type_coerce(column, sa.Text())
            found = [_in_sqlite(raw, name) for name in names]
        else:
            found = [_in_postgres(column, name) for name in names]
        texts, numbers = [text for text, _ in found], [number for _, number in found]
        self.text = texts[0] if len(texts) == 1 else sa.func.coalesce(*texts)
        self.number = numbers[0] if len(numbers) == 1 else sa.func.coalesce(*numbers)


def _in_sqlite(
    raw: sa.ColumnElement[Any], name: str
) -> tuple[sa.ColumnElement[Any], sa.ColumnElement[Any]]:
    if _SIMPLE.fullmatch(name):
        path = f'$."{name}"'
        kind: sa.ColumnElement[Any] = sa.func.json_type(raw, path)
        value: sa.ColumnElement[Any] = sa.func.json_extract(raw, path)
        plain: sa.ColumnElement[Any] = raw.op("->")(path)
    else:  # a path finds no name that is written with escapes
        each = sa.func.json_each(raw).table_valued("key", "type", "value", "atom")
        found = [sa.select(c).where(each.c.key == name) for c in (each.c.type, each.c.value)]
        kind, value = (select.scalar_subquery() for select in found)
        plain = sa.cast(value, sa.Text())
    text = sa.case(
        (kind == "text", value), (kind == "null", sa.null()), (kind == "true", "true"),
        (kind == "false", "false"), else_=plain,
    )  # fmt: skip
    looks_so = sa.and_(
        value.bool_op("GLOB")("[-+.0-9]*"),
        value.bool_op("GLOB")("*[0-9]*"),
        sa.not_(value.bool_op("GLOB")("*[^-+.0-9eE]*")),
        sa.not_(value.bool_op("GLOB")("*[0-9.][-+]*")),
        sa.not_(value.bool_op("GLOB")("*.*.*")),
        sa.not_(value.bool_op("GLOB")("*[eE]*[eE]*")),
        sa.not_(value.bool_op("GLOB")("*[eE]")),
    )
    number = sa.case(
        (kind.in_(("integer", "real")), value),
        (sa.and_(kind == "text", looks_so), sa.cast(value, sa.Double())),
        else_=sa.null(),
    )
    return text, number


def _in_postgres(
    raw: sa.ColumnElement[Any], name: str
) -> tuple[sa.ColumnElement[Any], sa.ColumnElement[Any]]:
    key = sa.cast(sa.literal(name), sa.Text())
    text = sa.type_coerce(raw.op("->>")(key), sa.Text())
    number = sa.case(
        (text.bool_op("~")(_NUMERIC), sa.cast(text, sa.Double())),
        else_=sa.null(),
    )
    return text.collate("C"), number


def _compared(operator: str, value: sa.ColumnElement[Any], number: float) -> Bool:
    """A metric beside a number; NaN equals only itself here, and is above and below nothing."""
    is_nan = _METRICS.c.is_nan
    if isnan(number):
        return {"=": is_nan, "in": is_nan, "!=": sa.not_(is_nan)}.get(operator, sa.false())
    if operator == "!=":
        return sa.or_(value != number, is_nan)
    return _operated("=" if operator == "in" else operator, value, number)


def _not_finite(operator: str, text: sa.ColumnElement[Any], value: float) -> Bool:
    """A parameter beside NaN or an infinity, which JSON has not: they are kept as texts."""
    words = ["nan"] if isnan(value) else ["inf", "infinity", "+inf", "+infinity"]
    if value < 0:
        words = ["-inf", "-infinity"]
    is_one = sa.func.lower(text).in_(words)
    return is_one if operator == "=" else sa.and_(text.is_not(None), sa.not_(is_one))


def _operated(operator: str, left: sa.ColumnElement[Any], right: Any) -> Bool:
    operations: dict[str, Callable[[], Bool]] = {
        "=": lambda: left == right,
        "!=": lambda: left != right,
        "<": lambda: left < right,
        "<=": lambda: left <= right,
        ">": lambda: left > right,
        ">=": lambda: left >= right,
    }
    return operations[operator]()


_GLOBS = {"%": "*", "_": "?", "*": "[*]", "?": "[?]", "[": "[[]"}


def _glob(pattern: str) -> str:
    r"""A pattern of LIKE as one of GLOB.

    Examples:
        >>> _glob("a%[b]_"), _glob(r"50\%\*")
        ('a*[[]b]?', '50%[*]')
    """
    signs = []
    for part in re.findall(r"\\.|.", pattern, re.DOTALL):
        is_escaped = len(part) == 2
        sign = part[-1]
        signs.append(sign if is_escaped and sign in "%_" else _GLOBS.get(sign, sign))
    return "".join(signs)


def names_ending(connection: sa.Connection, name: str, *, newest: int = 100) -> Sequence[str]:
    """Parameters of the newest runs that are a step's: "delay.max_iter" for "max_iter"."""
    recent = sa.select(_RUNS.c.parameters).order_by(_RUNS.c.number.desc()).limit(newest).subquery()
    is_sqlite = connection.dialect.name == "sqlite"
    raw = sa.type_coerce(recent.c.parameters, sa.Text() if is_sqlite else sa.JSON())
    if is_sqlite:
        keys = sa.func.json_each(raw).table_valued("key")
    else:
        keys = sa.func.json_object_keys(raw).table_valued("key").render_derived()
    escaped = name.replace("\\", "\\\\").replace("%", "\\%").replace("_", "\\_")
    statement = sa.select(keys.c.key).distinct().select_from(recent.join(keys, sa.true()))
    found = connection.execute(statement.where(keys.c.key.like(f"%.{escaped}", escape="\\")))
    return sorted(str(key) for key in found.scalars() if str(key).endswith(f".{name}"))
