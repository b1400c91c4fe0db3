"""A Pandera schema in the words of a contract; what those cannot say is named, never dropped."""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping
from math import isfinite
from typing import Any

import msgspec

from cd4ml.data.odcs_quality import quoted
from cd4ml.data.pandera_schema import PanderaContract, named
from cd4ml.models.violations import whole
from cd4ml.records.contract import Condition, Contract, Field

_SIGNS = {
    "greater_than": (">", "min_value"),
    "greater_than_or_equal_to": (">=", "min_value"),
    "less_than": ("<", "max_value"),
    "less_than_or_equal_to": ("<=", "max_value"),
    "equal_to": ("=", "value"),
    "not_equal_to": ("<>", "value"),
}
_LISTS = {"isin": ("IN", "allowed_values"), "notin": ("NOT IN", "forbidden_values")}
_ENDS = {"str_startswith": "STARTS_WITH", "str_endswith": "ENDS_WITH"}
_NUMERIC = ("integer", "number")


def in_own_words(contract: PanderaContract) -> Contract:
    """The same rules as a contract that can be written into a file.

    A check is a limit, list or pattern of its field, or a condition. What is neither (a
    function, a column that may be missing) is in `unchecked`, by the name that Pandera
    gives it.
    """
    schema = contract.schema
    own = {field.name: _bare(field) for field in contract.fields}
    conditions: list[Condition] = []
    unchecked: list[str] = []
    for name, column in schema.columns.items():
        if name not in own:
            unchecked.append(_said_of(name, column))
        for check in column.checks:
            found = _Said(own[name], check) if name in own else None
            if found is None or not found.is_said:
                unchecked.append(f"{name}: {named(check)}")
                continue
            own[name] = found.field
            conditions += found.conditions
    unchecked += [named(check) for check in schema.checks]
    return Contract(
        name=contract.name,
        version=contract.version,
        fields=tuple(own.values()),
        description=contract.description,
        unique=(tuple(schema.unique),) if schema.unique else (),
        conditions=tuple({condition.name: condition for condition in conditions}.values()),
        open=contract.open or len(own) < len(schema.columns),
        unchecked=tuple(unchecked),
    )


def _bare(field: Field) -> Field:
    return msgspec.structs.replace(field, minimum=None, maximum=None, categories=())


def _said_of(name: str, column: Any) -> str:
    if column.regex:
        return f"columns like {name} are {column.dtype}"
    return f"{name} is {column.dtype}" + ("" if column.required else ", or is not there")


class _Said:
    """One check of a column: the field with it, or conditions beside the field."""

    def __init__(self, field: Field, check: Any) -> None:
        self.field = field
        self.conditions: list[Condition] = []
        said: Mapping[str, Any] = check.statistics or {}
        say = self._ways().get(str(check.name))
        is_strict = not check.raise_warning and check.ignore_na
        self.is_said = bool(say and is_strict and say(str(check.name), said))

    def _ways(self) -> dict[str, Callable[[str, Mapping[str, Any]], bool]]:
        return {
            **dict.fromkeys(_SIGNS, self._comparison),
            **dict.fromkeys(_LISTS, self._list),
            **dict.fromkeys(_ENDS, self._end),
            "in_range": self._range,
            "str_matches": self._pattern,
            "str_contains": self._pattern,
            "str_length": self._length,
        }

    def _comparison(self, name: str, said: Mapping[str, Any]) -> bool:
        sign, key = _SIGNS[name]
        return self._compared(sign, said[key])

    def _compared(self, sign: str, value: Any) -> bool:
        field, literal = self.field, _literal(self.field, value)
        if literal is None:
            return False
        if field.type in _NUMERIC and sign == ">=":
            known = field.minimum
            least = float(value) if known is None else max(known, float(value))
            self.field = msgspec.structs.replace(field, minimum=least)
            return True
        if field.type in _NUMERIC and sign == "<=":
            known = field.maximum
            most = float(value) if known is None else min(known, float(value))
            self.field = msgspec.structs.replace(field, maximum=most)
            return True
        self._add(f"{field.name} {sign} {value}", f"{quoted(field.name)} {sign} {literal}")
        return True

    def _range(self, _: str, said: Mapping[str, Any]) -> bool:
        low = ">=" if said.get("include_min", True) else ">"
        high = "<=" if said.get("include_max", True) else "<"
        return self._compared(low, said["min_value"]) and self._compared(high, said["max_value"])

    def _list(self, name: str, said: Mapping[str, Any]) -> bool:
        word, key = _LISTS[name]
        field, values = self.field, list(said[key])
        literals = [_literal(field, value) for value in values]
        if not values or None in literals:
            return False
        is_free = field.type == "string" and not (field.categories or field.pattern)
        if word == "IN" and is_free:
            self.field = msgspec.structs.replace(field, categories=tuple(values))
            return True
        listed = ", ".join(str(literal) for literal in literals)
        shown = ", ".join(str(value) for value in values)
        self._add(f"{field.name} {word.lower()} {shown}", f"{quoted(field.name)} {word} ({listed})")
        return True

    def _pattern(self, name: str, said: Mapping[str, Any]) -> bool:
        field = self.field
        found = getattr(said["pattern"], "pattern", said["pattern"])
        if field.type != "string" or not isinstance(found, str):
            return False
        pattern = _whole(f"^{found}" if name == "str_matches" else found)
        if field.categories or field.pattern or not _compiles(pattern):
            return False
        self.field = msgspec.structs.replace(field, pattern=pattern)
        return True

    def _end(self, name: str, said: Mapping[str, Any]) -> bool:
        literal, text = _literal(self.field, said["string"]), said["string"]
        if literal is None:
            return False
        word = "begins" if name == "str_startswith" else "ends"
        self._add(
            f"{self.field.name} {word} with {text}",
            f"{_ENDS[name]}({quoted(self.field.name)}, {literal})",
        )
        return True

    def _length(self, _: str, said: Mapping[str, Any]) -> bool:
        if self.field.type != "string":
            return False
        exact = said.get("exact_value")
        least, most = said.get("min_value"), said.get("max_value")
        wanted = [("=", exact)] if exact is not None else [(">=", least), ("<=", most)]
        for sign, length in wanted:
            if length is not None:
                name = self.field.name
                text = f"CHAR_LENGTH({quoted(name)}) {sign} {int(length)}"
                self._add(f"{name} {sign} {int(length)} characters", text)
        return True

    def _add(self, name: str, sql: str) -> None:
        self.conditions.append(Condition(name=name, sql=sql))


def _literal(field: Field, value: Any) -> str | None:
    """A value in SQL; None where it is not of the field's type, or SQL has no word for it."""
    is_number = isinstance(value, int | float) and not isinstance(value, bool)
    if field.type in _NUMERIC and is_number and isfinite(value):
        return repr(value)
    if field.type == "string" and isinstance(value, str):
        return "'" + value.replace("'", "''") + "'"
    return None


def _whole(pattern: str) -> str:
    """A pattern that is looked for anywhere, as one that the whole text matches."""
    if "|" in pattern or not pattern.startswith("^"):
        return f"(?s:.*)(?:{pattern})(?s:.*)"
    begun = pattern.lstrip("^")
    if begun.endswith("$") and not re.search(r"\\+\$$", begun):
        return begun[:-1]
    return f"{begun}(?s:.*)"


def _compiles(pattern: str) -> bool:
    import polars as pl

    try:
        re.compile(whole(pattern))
        pl.select(pl.lit("").str.contains(f"^(?:{pattern})$"))
    except (re.error, pl.exceptions.PolarsError):
        return False
    return True
