"""What every served model has to keep, put to the test."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from typing import Any, NamedTuple

import numpy as np

from cd4ml.models.behaviour import edges
from cd4ml.models.behaviour.asking import (
    AnswerFailed,
    Ask,
    Row,
    RowsRefused,
    answers_of,
    is_same,
)
from cd4ml.models.contract import CompiledContract
from cd4ml.models.violations import expected_of, limits_of, shown
from cd4ml.records.behaviour import Promise
from cd4ml.records.contract import Contract

_SINGLE = 50  # rows that are asked one by one
_BATCH = 500

Broken = list[str]  # one text a try: in what way it was broken, "" where it was kept


class Check(NamedTuple):
    """A promise in words, and what puts it to the test."""

    name: str
    tries: Callable[[Ask, Contract, Sequence[Row]], Broken]

    def __call__(self, ask: Ask, contract: Contract, rows: Sequence[Row]) -> Promise:
        """Put it to the test; it is broken too if the model fails on the way to it.

        Args:
            ask: How the model is asked.
            contract: Of its requests.
            rows: Recorded ones, which keep the contract; at least one.
        """
        try:
            return tally(self.name, self.tries(ask, contract, rows))
        except (AnswerFailed, RowsRefused) as error:
            return tally(self.name, [str(error)])


def tally(name: str, broken: Broken) -> Promise:
    """How often a promise was tried and broken, with the first way in which it was."""
    examples = [text for text in broken if text]
    return Promise(
        name=name,
        n_tried=len(broken),
        n_broken=len(examples),
        example=examples[0] if examples else "",
    )


def _alone_as_in_a_batch(ask: Ask, _: Contract, rows: Sequence[Row]) -> Broken:
    few = rows[:_SINGLE]
    together = answers_of(ask, few)
    return compared(few, together, [answers_of(ask, [row])[0] for row in few])


def _in_any_order(ask: Ask, _: Contract, rows: Sequence[Row]) -> Broken:
    few = rows[:_BATCH]
    order = np.random.default_rng(0).permutation(len(few)).tolist()
    shuffled = answers_of(ask, [few[i] for i in order])
    back = [answer for _, answer in sorted(zip(order, shuffled, strict=True))]
    return compared(few, answers_of(ask, few), back)


def _the_same_again(ask: Ask, _: Contract, rows: Sequence[Row]) -> Broken:
    few = rows[:_BATCH]
    first = answers_of(ask, few)
    answers_of(ask, rows[-_SINGLE:])  # others in between
    return compared(few, first, answers_of(ask, few))


def _answered(ask: Ask, contract: Contract, rows: Sequence[Row]) -> Broken:
    """Each row gets a finite answer, within what the contract says answers are."""
    batches = [rows[start : start + _BATCH] for start in range(0, len(rows), _BATCH)]
    return [text for batch in batches for text in _batch_answered(ask, contract, batch)]


def _as_said(made: Callable[[Contract, Sequence[Row]], Iterable[Row]]) -> Any:
    """Of the rows that are made, those that keep the contract are answered, and all others refused."""

    def tries(ask: Ask, contract: Contract, rows: Sequence[Row]) -> Broken:
        compiled = CompiledContract(contract)
        kept: list[Row] = []
        broken: Broken = []
        for row in made(contract, rows):
            if compiled.check(row):
                broken.append(_refused(ask, row))
            else:
                kept.append(row)
        return broken + _answered(ask, contract, kept)

    return tries


PROMISES: tuple[Check, ...] = (
    Check("every recorded row is answered", _answered),
    Check("a single row is answered as in a batch", _alone_as_in_a_batch),
    Check("the order of rows does not matter", _in_any_order),
    Check("the same input gets the same answer", _the_same_again),
    Check("an unknown category is answered or refused", _as_said(edges.unknown_categories)),
    Check("null is answered or refused", _as_said(edges.nulls)),
    Check("an extreme value is answered or refused", _as_said(edges.extremes)),
    Check("what is no row is refused", _as_said(edges.malformed)),
)


def compared(rows: Sequence[Row], one: Sequence[float], other: Sequence[float]) -> Broken:
    """Whether two lists of answers to the same rows are the same, up to rounding."""
    return [
        "" if is_same(a, b) else f"{a:.6g} and {b:.6g} for {shown(row)}"
        for row, a, b in zip(rows, one, other, strict=True)
    ]


def _batch_answered(ask: Ask, contract: Contract, rows: Sequence[Row]) -> list[str]:
    try:
        answers = answers_of(ask, rows)
    except (AnswerFailed, RowsRefused) as error:
        if len(rows) == 1:
            return [f"{error}, for {shown(rows[0])}"]
        return [text for row in rows for text in _batch_answered(ask, contract, [row])]
    return [_within(contract, row, answer) for row, answer in zip(rows, answers, strict=True)]


def _within(contract: Contract, row: Row, answer: float) -> str:
    """What an answer outside the contract's range was, or nothing."""
    if contract.output is None:
        return ""
    low, high = limits_of(contract.output)
    if low <= answer <= high or is_same(answer, low) or is_same(answer, high):
        return ""
    return f"{answer:.6g}, which is not {expected_of(contract.output)}, for {shown(row)}"


def _refused(ask: Ask, row: Row) -> str:
    """Why a row was not refused, or nothing."""
    try:
        answers = list(ask([row]))
    except RowsRefused:
        return ""
    except AnswerFailed as error:
        return f"{error}, instead of a refusal of {shown(row)}"
    return f"answered {answers[0]:.6g} instead of refusing {shown(row)}"
