"""Rows that come as columns of a table: from Arrow, CSV and tensors to values of JSON."""

from __future__ import annotations

import math
from collections.abc import Collection, Iterable, Mapping, Sequence
from typing import Any

from cd4ml.models.violations import as_integer
from cd4ml.records.contract import Field

_OTHERS = 100  # columns that no field is called like


def rows_of_columns(
    fields: Sequence[Field], columns: Mapping[str, Sequence[Any]]
) -> list[dict[str, Any]]:
    """The rows of some columns, as JSON would have them.

    A table has no null in a column of numbers, so NaN is one; and whole numbers with a null
    among them become floats, so that a whole float is an integer where the contract wants one.

    Examples:
        >>> rows_of_columns((Field("hour", "integer"),), {"hour": [17.0, float("nan"), 2.5]})
        [{'hour': 17}, {'hour': None}, {'hour': 2.5}]
    """
    kinds = {field.name: field.type for field in fields}
    plain = {
        name: [_plain(value, kinds.get(name)) for value in columns[name]]
        for name in told(kinds, columns)
    }
    names = list(plain)
    return [dict(zip(names, row, strict=True)) for row in zip(*plain.values(), strict=True)]


def rows_of_texts(
    fields: Sequence[Field], names: Sequence[str], texts: Sequence[Sequence[str]]
) -> list[dict[str, Any]]:
    """The rows of a table of texts, each read as the contract's type; an empty one is null.

    A text that cannot be read so stays a text, and is a violation.

    Examples:
        >>> rows_of_texts((Field("hour", "integer"),), ["hour"], [["17"], [""], ["noon"]])
        [{'hour': 17}, {'hour': None}, {'hour': 'noon'}]
    """
    kinds = {field.name: field.type for field in fields}
    places = {name: i for i, name in enumerate(names)}
    read = [(name, places[name], kinds.get(name)) for name in told(kinds, names)]
    return [{name: _read(row[i], kind) for name, i, kind in read} for row in texts]


def told(known: Collection[str], names: Iterable[str]) -> list[str]:
    """Names of columns: all that are known, and of others as many as violations are listed."""
    others = 0
    found = []
    for name in names:
        others += name not in known
        if name in known or others <= _OTHERS:
            found.append(name)
    return found


def _plain(value: Any, kind: str | None) -> Any:
    if isinstance(value, float):
        if math.isnan(value):
            return None
        if kind == "integer":
            return as_integer(value)
    return value


def _read(text: str, kind: str | None) -> Any:
    if text == "":
        return None
    if kind == "boolean":
        return {"true": True, "false": False}.get(text.lower(), text)
    if kind not in ("integer", "number"):
        return text
    try:
        number = float(text)
        return _plain(
            int(text) if kind == "integer" and text.lstrip("-").isdigit() else number, kind
        )
    except ValueError:
        return text
