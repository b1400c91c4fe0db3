"""The quality rules of the Open Data Contract Standard, as parts of a contract."""

from __future__ import annotations

import re
from dataclasses import dataclass
from math import ceil, floor
from typing import TYPE_CHECKING, Any

from cd4ml.records.contract import Condition, FieldType

if TYPE_CHECKING:
    from open_data_contract_standard.model import DataQuality, SchemaObject, SchemaProperty

ENGINE = "cd4ml"  # of custom rules that only cd4ml can check
_ROWS = re.compile(r"SELECT COUNT\(\*\) FROM \$\{object\} WHERE NOT \((.*)\)", re.DOTALL)
_TABLE = re.compile(r"SELECT (.*) FROM \$\{object\}", re.DOTALL)
_LIMITS = (
    "mustBe", "mustNotBe", "mustBeGreaterThan", "mustBeGreaterOrEqualTo", "mustBeLessThan",
    "mustBeLessOrEqualTo", "mustBeBetween", "mustNotBeBetween",
)  # fmt: skip


@dataclass(frozen=True)
class Asked:
    """What the quality rules of a column, or of a table, ask."""

    is_required: bool = False
    is_unique: bool = False
    categories: tuple[str, ...] = ()
    pattern: str = ""
    unique: tuple[tuple[str, ...], ...] = ()
    minimum_rows: int = 0
    maximum_rows: int | None = None
    conditions: tuple[Condition, ...] = ()
    unchecked: tuple[str, ...] = ()


def field_quality(said: SchemaProperty, name: str, kind: FieldType) -> Asked:
    """What is asked of a column besides its type."""
    found: dict[str, Any] = {}
    conditions = [Condition(name=text, sql=sql) for text, sql in _options(said, name, kind)]
    unchecked = _unchecked_options(said, name, kind)
    values = tuple(value.value for value in said.enum or [])
    for rule in said.quality or []:
        metric, arguments = rule.metric or rule.rule, rule.arguments or {}
        if not _is_zero(rule) or metric is None:
            conditions += _sql(rule)
            unchecked += [] if _sql(rule) else _told(rule, name)
        elif metric == "nullValues":
            found["is_required"] = True
        elif metric == "duplicateValues":
            found["is_unique"] = True
        elif metric == "invalidValues" and arguments.get("validValues"):
            values = tuple(arguments["validValues"])
        elif metric == "invalidValues" and arguments.get("pattern") and kind == "string":
            found["pattern"] = f"(?s:.*)(?:{arguments['pattern']})(?s:.*)"
        elif metric == "missingValues" and set(arguments.get("missingValues") or [None]) == {None}:
            found["is_required"] = True
        else:
            unchecked += _told(rule, name)
    if values and kind == "string":
        found["categories"] = tuple(str(value) for value in values)
    elif values:
        listed = ", ".join(str(value) for value in values)
        conditions.append(
            Condition(name=f"{name} in {listed}", sql=f"{quoted(name)} IN ({listed})")
        )
    return Asked(conditions=tuple(conditions), unchecked=tuple(unchecked), **found)


def table_quality(schema: SchemaObject) -> Asked:
    """What is asked of a table as a whole."""
    conditions: list[Condition] = []
    unique: list[tuple[str, ...]] = []
    unchecked: list[str] = []
    least, most = 0, None
    for rule in schema.quality or []:
        metric, properties = rule.metric or rule.rule, (rule.arguments or {}).get("properties")
        rows = _rows(rule) if metric == "rowCount" else None
        if rows is not None:
            least, most = max(least, rows[0]), rows[1] if most is None else most
        elif metric == "duplicateValues" and properties and _is_zero(rule):
            unique.append(tuple(str(name) for name in properties))
        elif found := _sql(rule):
            conditions += found
        else:
            unchecked += _told(rule, "")
    return Asked(
        unique=tuple(unique),
        minimum_rows=least,
        maximum_rows=most,
        conditions=tuple(conditions),
        unchecked=tuple(unchecked),
    )


def quoted(name: str) -> str:
    """A column's name in SQL.

    Examples:
        >>> quoted('the "best" time')
        '"the ""best"" time"'
    """
    return '"' + name.replace('"', '""') + '"'


def _options(said: SchemaProperty, name: str, kind: FieldType) -> list[tuple[str, str]]:
    """Limits of the type that a field of ours has no word for: as conditions."""
    options, column = said.logicalTypeOptions or {}, quoted(name)
    if kind in ("integer", "number"):
        words = (("exclusiveMinimum", "above", ">"), ("exclusiveMaximum", "below", "<"))
        found = [
            (f"{name} {word} {options[key]}", f"{column} {sign} {options[key]}")
            for key, word, sign in words
            if key in options
        ]
        if "multipleOf" in options:
            step = options["multipleOf"]
            found.append((f"{name} a multiple of {step}", f"{column} % {step} = 0"))
        return found
    if kind == "string":
        words = (("minLength", "at least", ">="), ("maxLength", "at most", "<="))
        return [
            (
                f"{name} {word} {options[key]} characters",
                f"CHAR_LENGTH({column}) {sign} {options[key]}",
            )
            for key, word, sign in words
            if key in options
        ]
    return []


def _unchecked_options(said: SchemaProperty, name: str, kind: FieldType) -> list[str]:
    options = said.logicalTypeOptions or {}
    limits = ("minimum", "maximum", "exclusiveMinimum", "exclusiveMaximum")
    asked = [key for key in limits if key in options] if kind == "datetime" else []
    asked += ["format"] if kind == "string" and "format" in options else []
    return [f"{name}: {key} {options[key]}" for key in asked]


def _is_zero(rule: DataQuality) -> bool:
    """Whether a rule counts what must not be there at all."""
    limits = {name: getattr(rule, name) for name in _LIMITS if getattr(rule, name) is not None}
    return limits in ({}, {"mustBe": 0}, {"mustBeLessThan": 1}, {"mustBeLessOrEqualTo": 0})


def _rows(rule: DataQuality) -> tuple[int, int | None] | None:
    """At least and at most so many rows; None if the rule says something else."""
    if isinstance(rule.mustBe, int):
        return rule.mustBe, rule.mustBe
    if rule.mustBeBetween:
        return ceil(rule.mustBeBetween[0]), floor(rule.mustBeBetween[1])
    if rule.mustBeGreaterThan is not None:
        return floor(rule.mustBeGreaterThan) + 1, None
    if rule.mustBeGreaterOrEqualTo is not None:
        return ceil(rule.mustBeGreaterOrEqualTo), None
    if rule.mustBeLessThan is not None:
        return 0, ceil(rule.mustBeLessThan) - 1
    if rule.mustBeLessOrEqualTo is not None:
        return 0, floor(rule.mustBeLessOrEqualTo)
    return None


def _sql(rule: DataQuality) -> list[Condition]:
    """The condition in a rule that cd4ml wrote, or that is written like those."""
    name, about = rule.name or rule.description or "", rule.description or ""
    if rule.type == "custom" and rule.engine == ENGINE and isinstance(rule.implementation, dict):
        text = str(rule.implementation.get("polars", ""))
        return [Condition(name=name, polars=text, description=about)] if text else []
    query = (rule.query or "").strip().removesuffix(";")
    rows, table = _ROWS.fullmatch(query), _TABLE.fullmatch(query)
    if rows and rule.mustBe == 0:
        return [Condition(name=name or rows[1], sql=rows[1], description=about)]
    if table and rule.mustBe is True and "COUNT(*) FROM" not in query:
        return [Condition(name=name or table[1], sql=table[1], description=about)]
    return []


def _told(rule: DataQuality, name: str) -> list[str]:
    if rule.type == "text":
        return []  # a sentence for people
    words = rule.name or rule.description or rule.metric or rule.rule or rule.query or rule.type
    limits = [f"{key} {getattr(rule, key)}" for key in _LIMITS if getattr(rule, key) is not None]
    said = " ".join([str(words), *limits])
    return [f"{name}: {said}" if name else said]
