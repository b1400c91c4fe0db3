"""Rows at and beyond the edges of a contract, made from rows that keep it."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import Any

from cd4ml.models.behaviour.asking import Row
from cd4ml.models.violations import is_closed, limits_of
from cd4ml.records.contract import Contract, Field

_BASES = 3  # rows that are varied
_FAR = 10**9  # what somebody may mistype where nothing is said
_UNKNOWN = ("cd4ml: never seen", "", "None")
_TIMES = ("1900-01-01T00:00:00.000000Z", "2100-01-01T00:00:00.000000Z")


def unknown_categories(contract: Contract, rows: Sequence[Row]) -> Iterator[Row]:
    """Rows with a text that was never there, for each field that holds texts."""
    for field in contract.fields:
        if field.type == "string" and not field.pattern:
            yield from _varied(rows, field.name, _UNKNOWN)


def nulls(contract: Contract, rows: Sequence[Row]) -> Iterator[Row]:
    """Rows with null in each field, and in all that may be null at once."""
    for field in contract.fields:
        yield from _varied(rows, field.name, (None,))
    may_be = {field.name: None for field in contract.fields if field.nullable}
    if len(may_be) > 1:
        yield from ({**row, **may_be} for row in rows[:_BASES])


def extremes(contract: Contract, rows: Sequence[Row]) -> Iterator[Row]:
    """Rows with each field at its limits and beyond, and with all of them at a limit at once.

    Where a contract says no limit it is a billion, on either side.
    """
    for field in contract.fields:
        yield from _varied(rows, field.name, _extreme_values(field))
    for side in (0, 1):
        at_limit = {f.name: limits[side] for f in contract.fields if (limits := _limits(f))}
        yield from ({**row, **at_limit} for row in rows[: _BASES if at_limit else 0])


def malformed(contract: Contract, rows: Sequence[Row]) -> Iterator[Row]:
    """What is no row of the contract: a field of another type, one too few, one too many."""
    first = rows[0]
    for field in contract.fields:
        yield {**first, field.name: _of_another_type(field)}
        yield {name: value for name, value in first.items() if name != field.name}
    yield {**first, "cd4ml: no such field": 1}


def _varied(rows: Sequence[Row], name: str, values: Sequence[Any]) -> Iterator[Row]:
    yield from ({**row, name: value} for value in values for row in rows[:_BASES])


def _extreme_values(field: Field) -> list[Any]:
    if field.type == "datetime":
        return [*_TIMES]
    limits = _limits(field)
    if limits is None:
        return []
    low, high = limits
    beyond = [low - 1] * (field.minimum is not None) + [high + 1] * (field.maximum is not None)
    return [low, high, *beyond]


def _limits(field: Field) -> tuple[float, float] | None:
    if field.type not in ("integer", "number"):
        return None
    low, high = limits_of(field)
    low = -_FAR if field.minimum is None else low
    high = _FAR if field.maximum is None else high
    return (float(low), float(high)) if field.type == "number" else (int(low), int(high))


def _of_another_type(field: Field) -> Any:
    if field.type in ("integer", "number"):
        return "many"
    return 7 if not is_closed(field) else ["a list"]
