"""Answers of any model, taken apart by asking it about mixtures of rows."""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING, NamedTuple

import numpy as np
from numpy.typing import NDArray

from cd4ml.models.explain.parts import Floats, Parts

if TYPE_CHECKING:
    import polars as pl

Score = Callable[["pl.DataFrame"], Floats]

_BACKGROUND = 32  # rows that an answer is compared with


def sampled_parts(
    score: Score, frame: pl.DataFrame, background: pl.DataFrame, *, seed: int = 0
) -> Parts:
    """What each field adds to an answer when a usual row becomes the row that was asked about.

    From each row of the background the fields are replaced one after the other, in an order drawn
    by lot and in its reverse; what the answer moves by when a field is replaced is the field's. The
    mean over all rows is an unbiased estimate of its Shapley value. The steps of each way add up to
    the whole difference, so the parts add up to the answer exactly, however few ways were gone.

    Args:
        score: The model's answers to rows.
        frame: The rows that were asked about, at least one.
        background: Usual rows; 32 of them are used.
        seed: Of the orders.

    Source:
        E. Štrumbelj, I. Kononenko, "Explaining prediction models and individual predictions with
        feature contributions", Knowledge and Information Systems 41, 2014, algorithm 1; both
        directions: R. Mitchell et al., "Sampling permutations for Shapley value estimation",
        JMLR 23, 2022, section 4.1.
    """
    usual = background.select(frame.columns).cast(dict(frame.schema))  # type: ignore[arg-type]
    few = usual.sample(min(_BACKGROUND, usual.height), seed=seed)
    ways = _ways(few, seed)
    return Parts(
        names=tuple(frame.columns),
        amounts=np.array([_amounts(score, row, ways) for row in frame.iter_slices(1)]),
        base=float(np.asarray(score(few), dtype=np.float64).mean()),
        unit="answer",
        method="sampled",
    )


class _Ways(NamedTuple):
    """From usual rows to another one: row `i` of a way has taken over its first `i` fields."""

    orders: NDArray[np.intp]  # (ways, fields)
    usual: pl.DataFrame  # (ways * (fields + 1)), each row as often as a way has rows
    is_new: NDArray[np.bool_]  # (ways * (fields + 1), fields)


def _ways(background: pl.DataFrame, seed: int) -> _Ways:
    n_fields = background.width
    chance = np.random.default_rng(seed)
    one_way = [chance.permutation(n_fields) for _ in range(background.height)]
    orders = np.array([order for way in one_way for order in (way, way[::-1])])
    taken_at = np.argsort(orders, axis=1)  # after how many others a field is taken over
    is_new = taken_at[:, None, :] < np.arange(n_fields + 1)[None, :, None]
    starts = np.repeat(np.arange(background.height), 2 * (n_fields + 1))
    return _Ways(orders, background[starts.tolist()], is_new.reshape(-1, n_fields))


def _amounts(score: Score, row: pl.DataFrame, ways: _Ways) -> Floats:
    import polars as pl

    mixed = [
        row[name].new_from_index(0, old.len()).zip_with(pl.Series(is_new), old)
        for name, old, is_new in zip(
            row.columns, ways.usual.iter_columns(), ways.is_new.T, strict=True
        )
    ]
    answers = np.asarray(score(pl.DataFrame(mixed)), dtype=np.float64)
    moves = np.diff(answers.reshape(len(ways.orders), -1), axis=1)
    added = np.zeros(row.width)
    np.add.at(added, ways.orders, moves)
    return added / len(ways.orders)
