"""Rows that keep a contract, made up."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from typing import Any

import numpy as np

from cd4ml.errors import InvalidInput
from cd4ml.models.violations import keeps, limits_of
from cd4ml.records.contract import Contract, Field

_NULLS = 0.1  # share of the rows, where null may be
_USUAL = 100.0  # how far numbers go where no limit is said
_WORDS = ("a", "b", "c")
_BEGIN = datetime(2020, 1, 1, tzinfo=UTC)


def rows_like(contract: Contract, n: int = 50, *, seed: int = 0) -> list[dict[str, Any]]:
    """Rows that keep a contract, as requests carry them; the same seed gives the same rows.

    Numbers lie evenly between their limits, categories come equally often, one value in ten is null
    where it may be. They show that a model keeps its promises, not what it is worth.

    Args:
        contract: Of requests.
        n: Rows.
        seed: Of the chance.

    Raises:
        InvalidInput: If a field asks for texts of a pattern, which cannot be made up.

    Examples:
        >>> from cd4ml import Contract, Field
        >>> offer = Contract(name="offer", fields=(Field("ram", "integer", minimum=2, maximum=32),))
        >>> rows_like(offer, 3)
        [{'ram': 28}, {'ram': 21}, {'ram': 17}]
    """
    chance = np.random.default_rng(seed)
    columns = {field.name: [_value(field, chance) for _ in range(n)] for field in contract.fields}
    return [{name: values[i] for name, values in columns.items()} for i in range(n)]


def _value(field: Field, chance: np.random.Generator) -> Any:
    if field.nullable and chance.random() < _NULLS:
        return None
    value = _made(field, chance)
    if not keeps(field, value):
        msg = f"no value of {field.name!r} can be made up: it is a string like {field.pattern}"
        raise InvalidInput(msg, hint="give rows of your own")
    return value


def _made(field: Field, chance: np.random.Generator) -> Any:
    if field.type == "boolean":
        return bool(chance.integers(2))
    if field.type == "string":
        return str(chance.choice(field.categories or _WORDS))
    if field.type == "datetime":
        moment = _BEGIN + timedelta(minutes=int(chance.integers(525_600)))
        return moment.strftime("%Y-%m-%dT%H:%M:%S.%fZ")
    low, high = _usual_limits(field)
    if field.type == "integer":
        return int(chance.integers(int(low), int(high) + 1))
    return float(chance.uniform(low, high))


def _usual_limits(field: Field) -> tuple[float, float]:
    """Its limits; an open side lies some hundred away."""
    low, high = limits_of(field)
    if field.minimum is None:
        low = (high if field.maximum is not None else 0.0) - _USUAL
    if field.maximum is None:
        high = (low if field.minimum is not None else 0.0) + _USUAL
    return low, high
