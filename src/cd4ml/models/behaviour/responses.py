"""How answers move when one field takes other values: what invariance and monotonicity are about."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray

from cd4ml.models.behaviour.asking import Ask, Row, answers_of
from cd4ml.models.violations import shown
from cd4ml.records.behaviour import Response
from cd4ml.records.contract import Contract, Field

_ROWS = 25  # that are varied
_VALUES = 12  # that each of them takes
_BATCH = 500

Floats = NDArray[np.float64]


def response(ask: Ask, contract: Contract, name: str, rows: Sequence[Row]) -> Response:
    """How far answers move with one field.

    Up to 25 rows take up to 12 values of the field, spread over those that the rows have: only
    what really comes up is tried, with everything else as it is.

    Args:
        ask: How the model is asked.
        contract: Of its requests.
        name: A field of it.
        rows: That keep it.

    Raises:
        AnswerFailed: If a row is not answered.
        RowsRefused: If a value is refused.
    """
    field = next(field for field in contract.fields if field.name == name)
    values = _values(field, rows)
    bases = rows[:: max(1, len(rows) // _ROWS)][:_ROWS]
    is_ordered = field.type != "string"
    if len(values) < 2:
        return Response(field=name, is_ordered=is_ordered)
    moved = _Moved(name, values, _answers(ask, bases, name, values), bases)
    change, change_example = moved.between(*moved.changes())
    rise, rise_example = moved.between(*moved.rises()) if is_ordered else (0.0, "")
    fall, fall_example = moved.between(*moved.falls()) if is_ordered else (0.0, "")
    return Response(
        field=name,
        is_ordered=is_ordered,
        n_rows=len(bases),
        n_values=len(values),
        largest_change=abs(change),
        largest_rise=rise,
        largest_fall=abs(fall),
        change_example=change_example,
        rise_example=rise_example,
        fall_example=fall_example,
    )


class _Moved:
    """Answers to rows (first axis) with each value of a field in its order (second axis)."""

    def __init__(self, name: str, values: list[Any], answers: Floats, rows: Sequence[Row]) -> None:
        self.name, self.values, self.answers, self.rows = name, values, answers, rows

    def changes(self) -> tuple[int, int, int]:
        """Row, and places of two values, between which the answer differs most."""
        row = _first_largest(np.ptp(self.answers, axis=1))
        one, other = int(np.argmin(self.answers[row])), int(np.argmax(self.answers[row]))
        return row, min(one, other), max(one, other)

    def rises(self) -> tuple[int, int, int]:
        """Row and places of the largest rise from a value to a larger one."""
        return self._steepest(self.answers)

    def falls(self) -> tuple[int, int, int]:
        """Row and places of the largest fall from a value to a larger one."""
        return self._steepest(-self.answers)

    @staticmethod
    def _steepest(answers: Floats) -> tuple[int, int, int]:
        rise = answers - np.minimum.accumulate(answers, axis=1)
        row = _first_largest(rise.max(axis=1))
        end = int(np.argmax(rise[row]))
        return row, int(np.argmin(answers[row, : end + 1])), end

    def between(self, row: int, start: int, end: int) -> tuple[float, str]:
        """By how much the answer moves, and that in words."""
        before, after = float(self.answers[row, start]), float(self.answers[row, end])
        if before == after:
            return 0.0, ""
        words = (
            f"{self.name} {shown(self.values[start])} gives {before:.6g}, "
            f"{shown(self.values[end])} gives {after:.6g}, for {shown(self.rows[row])}"
        )
        return after - before, words


def _first_largest(amounts: Floats) -> int:
    """The first row with the largest amount, whatever the last digits of the others are."""
    return int(np.flatnonzero(amounts >= amounts.max() * (1 - 1e-9))[0])


def _values(field: Field, rows: Sequence[Row]) -> list[Any]:
    """Values of the field in their order: all, or some that are spread over them."""
    seen = {row[field.name] for row in rows if row.get(field.name) is not None}
    ordered = sorted(seen)
    if len(ordered) <= _VALUES:
        return ordered
    places = np.linspace(0, len(ordered) - 1, _VALUES).round().astype(int)
    return [ordered[place] for place in places]


def _answers(ask: Ask, rows: Sequence[Row], name: str, values: list[Any]) -> Floats:
    asked = [{**row, name: value} for row in rows for value in values]
    batches = [asked[start : start + _BATCH] for start in range(0, len(asked), _BATCH)]
    answers = [answer for batch in batches for answer in answers_of(ask, batch)]
    return np.array(answers).reshape(len(rows), len(values))
