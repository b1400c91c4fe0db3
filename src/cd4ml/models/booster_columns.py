"""What the columns of a booster are made of, as data: numbers, and codes of categories."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

from cd4ml.errors import InvalidInput
from cd4ml.models import boosters
from cd4ml.models.boosters import Facts
from cd4ml.models.encoding import Codes, Encoding, Entry, Number, encoder
from cd4ml.records.contract import Contract

_NUMERIC = ("integer", "number", "boolean")


def encoding_of_booster(facts: Facts, contract: Contract) -> Encoding:
    """How rows of the contract become a booster's columns.

    Raises:
        InvalidInput: If a column is no field, or one of texts that are no categories to it.
    """
    types = {field.name: field.type for field in contract.fields}
    names = boosters.names_in(facts, contract.names)
    wrong = [n for n in names if n not in facts.categories and types.get(n) not in _NUMERIC]
    wrong += [n for n in names if n in facts.categories and types.get(n) != "string"]
    if wrong:
        raise InvalidInput(f"the {facts.library} model cannot take {wrong[0]!r} from a request")
    return Encoding(
        n_columns=len(names),
        entries=tuple(_entry(facts, column, name) for column, name in enumerate(names)),
        is_single=facts.library == "xgboost",
    )


def scoring(estimator: Any, contract: Contract) -> Callable[[Sequence[Sequence[Any]]], Any] | None:
    """What answers rows of values without a frame between, where a booster answers; else None."""
    booster = boosters.booster_in(estimator)
    if booster is None:
        return None
    facts = boosters.facts_of(booster)
    try:
        encode = encoder(encoding_of_booster(facts, contract), contract.names)
    except InvalidInput:  # a frame says better what is wrong
        return None
    return lambda values: boosters.answers_to(booster, facts, encode(values))


def _entry(facts: Facts, column: int, name: str) -> Entry:
    known = facts.categories.get(name)
    if known is None:
        return Number(field=name, column=column)
    codes = tuple(map(float, range(len(known))))
    return Codes(field=name, column=column, values=known, codes=codes, missing=None, unknown=None)
