"""The parts of which a raw answer is the sum, and how an answer comes from its raw value."""

from __future__ import annotations

from collections.abc import Callable
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from cd4ml.records.explanation import Method, Unit

Floats = NDArray[np.float64]

# trees of LightGBM and XGBoost add up in single precision
TOLERANCE = 1e-5


class Parts(NamedTuple):
    """Raw answers taken apart: each is `base` and the sum of its row of `amounts`."""

    names: tuple[str, ...]  # of the columns of `amounts`
    amounts: Floats  # (rows, names)
    base: float
    unit: Unit
    method: Method

    @property
    def raw(self) -> Floats:
        """The raw answers, shape (rows,)."""
        total: Floats = self.base + self.amounts.sum(axis=1)
        return total


def unit_of(raw: Floats, answers: Floats) -> Unit | None:
    """How answers come from raw ones, told by comparing them; None if they do not.

    Args:
        raw: Sums of parts, shape (rows,).
        answers: What the model answered to the same rows.

    Examples:
        >>> unit_of(np.array([0.0, 2.0]), np.array([0.5, 0.880797]))
        'log-odds'
    """
    return next(
        (unit for unit, link in LINKS.items() if gap(link(raw), answers) <= TOLERANCE), None
    )


def gap(one: Floats, other: Floats) -> float:
    """The largest difference, relative where values are larger than 1; infinite without numbers."""
    scale = np.maximum(1.0, np.abs(other))
    difference = float(np.max(np.abs(one - other) / scale, initial=0.0))
    return difference if np.isfinite(difference) else float("inf")


def _logistic(raw: Floats) -> Floats:
    from scipy.special import expit

    answered: Floats = expit(raw)
    return answered


def _same(raw: Floats) -> Floats:
    return raw


def _exponential(raw: Floats) -> Floats:
    with np.errstate(over="ignore"):
        answered: Floats = np.exp(raw)
    return answered


LINKS: dict[Unit, Callable[[Floats], Floats]] = {
    "answer": _same,
    "log-odds": _logistic,
    "logarithm": _exponential,
}
