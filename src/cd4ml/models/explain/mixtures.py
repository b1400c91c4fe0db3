"""Mixtures of the row that is asked about with usual ones, and what a model's answers to them say.

It imports nothing but NumPy: a packaged model (`serving.packaging`) takes this very file along.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

Floats = NDArray[np.float64]
Rows = Sequence[Sequence[Any]]

MOST_USUAL = 32  # rows that an answer is compared with


class Ways(NamedTuple):
    """From usual rows to another one: row `i` of a way has taken over its first `i` fields."""

    orders: NDArray[np.intp]  # (ways, fields)
    starts: NDArray[np.intp]  # (ways * (fields + 1)): the usual row that each is made of
    is_new: NDArray[np.bool_]  # (ways * (fields + 1), fields)


def ways_from(n_usual: int, n_fields: int, seed: int) -> Ways:
    """From each usual row two ways: in an order of the fields drawn by lot, and in its reverse."""
    chance = np.random.default_rng(seed)
    one_way = [chance.permutation(n_fields) for _ in range(n_usual)]
    orders = np.array([order for way in one_way for order in (way, way[::-1])])
    taken_at = np.argsort(orders, axis=1)  # after how many others a field is taken over
    is_new = taken_at[:, None, :] < np.arange(n_fields + 1)[None, :, None]
    starts = np.repeat(np.arange(n_usual), 2 * (n_fields + 1))
    return Ways(orders, starts, is_new.reshape(-1, n_fields))


def moved_by(ways: Ways, answers: Floats) -> Floats:
    """By how much each field moved the answer, on the mean of all ways, shape (fields,).

    Args:
        ways: Of mixtures.
        answers: To the mixtures, in their order.
    """
    moves = np.diff(answers.reshape(len(ways.orders), -1), axis=1)
    added = np.zeros(ways.is_new.shape[1])
    np.add.at(added, ways.orders, moves)
    return added / len(ways.orders)


def mixed_parts(
    score: Callable[[Rows], Sequence[float]], rows: Rows, usual: Rows, *, seed: int = 0
) -> tuple[Floats, float]:
    """What each field adds to the answers to rows of plain values, shape (rows, fields); the base.

    As `sampled.sampled_parts` says it of frames: the parts add up to each answer exactly.

    Args:
        score: The model's answers.
        rows: At least one.
        usual: Rows as they usually are, at least one; 32 of them, evenly spread, are used.
        seed: Of the orders.

    Examples:
        >>> amounts, base = mixed_parts(
        ...     lambda rows: [2 * a + b for a, b in rows], [(3, 1)], [(0, 0), (1, 0)]
        ... )
        >>> amounts.tolist(), base
        ([[5.0, 1.0]], 1.0)
    """
    few = usual[:: -(-len(usual) // MOST_USUAL)]
    ways = ways_from(len(few), len(rows[0]), seed)
    pairs = list(zip(ways.starts.tolist(), ways.is_new.tolist(), strict=True))
    amounts = []
    for row in rows:
        mixed = [
            tuple(row[i] if is_new else few[start][i] for i, is_new in enumerate(flags))
            for start, flags in pairs
        ]
        amounts.append(moved_by(ways, np.asarray(score(mixed), np.float64)))
    return np.array(amounts), float(np.asarray(score(few), np.float64).mean())
