"""Rows that come as columns of a table: from Arrow, CSV and tensors to values of JSON."""

from __future__ import annotations

import dataclasses
import math
import re
from collections.abc import Collection, Iterable, Mapping, Sequence
from typing import Any, NamedTuple

from cd4ml.models.texts import value_of
from cd4ml.models.violations import Violation, as_integer, printable
from cd4ml.records.contract import Field
from cd4ml.serving.request import LISTED, RequestRefused, refused

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

    Numbers are written as JSON writes them. A text that cannot be read so stays a text, and is a
    violation.

    Examples:
        >>> rows_of_texts((Field("hour", "integer"),), ["hour"], [["17"], [""], ["noon"]])
        [{'hour': 17}, {'hour': None}, {'hour': 'noon'}]
    """
    kinds = {field.name: field.type for field in fields}
    places = {name: i for i, name in enumerate(names)}
    read = [(name, places[name], kinds.get(name)) for name in told(kinds, names)]
    return [{name: value_of(row[i], kind) for name, i, kind in read} for row in texts]


def told(known: Collection[str], names: Iterable[str]) -> list[str]:
    """Names of columns: all that are known, and of others as many as violations are listed."""
    others = 0
    found = []
    for name in names:
        others += name not in known
        if name in known or others <= _OTHERS:
            found.append(name)
    return found


class Places(NamedTuple):
    """Where in a request the columns of its rows are.

    Args:
        rows: The path under which the rows were checked.
        missing: The path of what lacks a column.
        columns: By name, the path of a column.
        values: By name, what stands before and after a row's number in the path of a value.
        noun: What a column is called.
    """

    rows: str
    missing: str
    columns: Mapping[str, str]
    values: Mapping[str, tuple[str, str]]
    noun: str = "a column"

    def of(self, violation: Violation) -> Violation:
        """A violation of a row, with the path that it has in the request."""
        row = re.match(rf"{re.escape(self.rows)}\[(\d+)\]", violation.path)
        if row is None:
            return violation
        name = violation.field
        if name not in self.columns:
            return dataclasses.replace(violation, path=self.missing)
        if violation.expected == "no such field":
            return dataclasses.replace(violation, path=self.columns[name], got=self.noun)
        before, after = self.values[name]
        return dataclasses.replace(violation, path=f"{before}{row[1]}{after}")


def numbered(names: Iterable[str], refusal: RequestRefused) -> dict[str, int]:
    """The number of each column that a refusal is about, by the name that it gives to it."""
    told = {violation.field for violation in refusal.violations}
    few = ((i, name) for i, name in enumerate(names) if name in told or printable(name) in told)
    return {printable(name): i for i, name in few}


def by_column(contract: str, refusal: RequestRefused, places: Places) -> RequestRefused:
    """A refusal of rows as one of columns: a missing one is said once, a value by its place."""
    if not refusal.violations:
        return refusal
    moved = list(dict.fromkeys(map(places.of, refusal.violations)))
    if len(refusal.violations) < LISTED:  # they are all there, and can be counted
        return refused(contract, moved)
    return RequestRefused(
        refusal.status, refusal.message, hint=refusal.hint, violations=tuple(moved)
    )


def _plain(value: Any, kind: str | None) -> Any:
    if isinstance(value, float):
        if math.isnan(value):
            return None
        if kind == "integer":
            return as_integer(value)
    return value
