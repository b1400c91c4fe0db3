"""How a model is asked, wherever it runs: rows in, answers out, or a refusal."""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from typing import Any

Row = dict[str, Any]

ROUNDING = 1e-5  # of answers in single precision, relative where they are larger than 1


class RowsRefused(Exception):
    """The rows do not keep the contract, so nothing was answered; the message says what is wrong."""


class AnswerFailed(Exception):
    """Rows that were to be answered were not; the message says what came instead."""


# Answers one number a row, all or none. Raises RowsRefused or AnswerFailed.
Ask = Callable[[Sequence[Row]], Sequence[float]]


def answers_of(ask: Ask, rows: Sequence[Row]) -> list[float]:
    """One finite answer a row.

    Raises:
        AnswerFailed: If an answer is missing or no finite number.
        RowsRefused: If the rows are refused.
    """
    answers = list(ask(rows))
    if len(answers) != len(rows):
        raise AnswerFailed(f"{len(rows)} rows got {len(answers)} answers")
    for answer in answers:
        if not math.isfinite(answer):
            raise AnswerFailed(f"the answer is {answer}")
    return answers


def is_same(one: float, other: float) -> bool:
    """Whether two answers differ by no more than single precision rounds.

    Examples:
        >>> is_same(0.25, 0.2500001), is_same(0.25, 0.26)
        (True, False)
    """
    return abs(one - other) <= ROUNDING * max(1.0, abs(one), abs(other))
