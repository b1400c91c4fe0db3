"""What every served model has to keep, put to the test. A promise's name is its sentence."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence

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

Test = Callable[[Ask, Contract, Sequence[Row]], Promise]

_SINGLE = 50  # rows that are asked one by one
_BATCH = 500


def answers_every_recorded_row(ask: Ask, contract: Contract, rows: Sequence[Row]) -> Promise:
    """Each row gets a finite answer, within what the contract says answers are."""
    return _tally("every recorded row is answered", _answered(ask, contract, rows))


def answers_a_single_row_as_in_a_batch(
    ask: Ask, contract: Contract, rows: Sequence[Row]
) -> Promise:
    """A row by itself gets the answer that it gets among others."""
    few = rows[:_SINGLE]
    together = answers_of(ask, few)
    alone = [answers_of(ask, [row])[0] for row in few]
    return compared("a single row is answered as in a batch", few, together, alone)


def answers_in_any_order(ask: Ask, contract: Contract, rows: Sequence[Row]) -> Promise:
    """Rows get the same answers in whatever order they stand."""
    few = rows[:_BATCH]
    order = np.random.default_rng(0).permutation(len(few)).tolist()
    shuffled = answers_of(ask, [few[i] for i in order])
    back = [answer for _, answer in sorted(zip(order, shuffled, strict=True))]
    return compared("the order of rows does not matter", few, answers_of(ask, few), back)


def answers_the_same_again(ask: Ask, contract: Contract, rows: Sequence[Row]) -> Promise:
    """The same rows get the same answers, also after others were asked about."""
    few = rows[:_BATCH]
    first = answers_of(ask, few)
    answers_of(ask, rows[-_SINGLE:])
    return compared("the same input gets the same answer", few, first, answers_of(ask, few))


def treats_unknown_categories_as_said(ask: Ask, contract: Contract, rows: Sequence[Row]) -> Promise:
    """A text never seen is answered where the contract lets it through, else refused."""
    asked = edges.unknown_categories(contract, rows)
    return _as_said("an unknown category is answered or refused", ask, contract, asked)


def treats_nulls_as_said(ask: Ask, contract: Contract, rows: Sequence[Row]) -> Promise:
    """Null is answered where the contract lets it through, else refused."""
    return _as_said("null is answered or refused", ask, contract, edges.nulls(contract, rows))


def treats_extremes_as_said(ask: Ask, contract: Contract, rows: Sequence[Row]) -> Promise:
    """A value at a limit of the contract is answered, one beyond it refused."""
    asked = edges.extremes(contract, rows)
    return _as_said("an extreme value is answered or refused", ask, contract, asked)


def refuses_what_is_no_row(ask: Ask, contract: Contract, rows: Sequence[Row]) -> Promise:
    """A field of another type, one too few and one too many are refused."""
    return _as_said("what is no row is refused", ask, contract, edges.malformed(contract, rows))


PROMISES: tuple[Test, ...] = (
    answers_every_recorded_row,
    answers_a_single_row_as_in_a_batch,
    answers_in_any_order,
    answers_the_same_again,
    treats_unknown_categories_as_said,
    treats_nulls_as_said,
    treats_extremes_as_said,
    refuses_what_is_no_row,
)


def tried(test: Test, ask: Ask, contract: Contract, rows: Sequence[Row]) -> Promise:
    """A promise put to the test; broken too if the model fails on the way to it."""
    try:
        return test(ask, contract, rows)
    except (AnswerFailed, RowsRefused) as error:
        name = str(test.__name__).replace("_", " ")
        return Promise(name=name, n_tried=1, n_broken=1, example=str(error))


def compared(
    name: str, rows: Sequence[Row], one: Sequence[float], other: Sequence[float]
) -> Promise:
    """Whether two lists of answers to the same rows are the same, up to rounding."""
    pairs = zip(rows, one, other, strict=True)
    return _tally(
        name,
        ["" if is_same(a, b) else f"{a:.6g} and {b:.6g} for {shown(row)}" for row, a, b in pairs],
    )


def _as_said(name: str, ask: Ask, contract: Contract, rows: Iterable[Row]) -> Promise:
    """Rows that keep the contract are answered, and all others refused."""
    compiled = CompiledContract(contract)
    kept: list[Row] = []
    broken: list[str] = []
    for row in rows:
        if compiled.check(row):
            broken.append(_refused(ask, row))
        else:
            kept.append(row)
    return _tally(name, broken + _answered(ask, contract, kept))


def _answered(ask: Ask, contract: Contract, rows: Sequence[Row]) -> list[str]:
    """Why each row was not answered as it should be, "" where it was."""
    batches = [rows[start : start + _BATCH] for start in range(0, len(rows), _BATCH)]
    return [text for batch in batches for text in _batch_answered(ask, contract, batch)]


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


def _tally(name: str, broken: Sequence[str]) -> Promise:
    """Count: one text a try, "" for a promise kept."""
    examples = [text for text in broken if text]
    return Promise(
        name=name,
        n_tried=len(broken),
        n_broken=len(examples),
        example=examples[0] if examples else "",
    )
