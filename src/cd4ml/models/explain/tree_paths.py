"""The answers of trees taken apart exactly: Shapley values by the paths to all leaves at once.

To a leaf lead conditions on some columns. A column that is known keeps its conditions or breaks
them; one that is not known keeps them as often as the training rows did that came by. So a leaf's
part of an answer is a product over its columns, and what a column adds is an integral over it that
few points give exactly. All leaves of all trees are one table, so a row costs a few calls of NumPy.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from functools import cache
from typing import Any, NamedTuple

import msgspec
import numpy as np
from numpy.typing import NDArray

Floats = NDArray[np.float64]


class Split(NamedTuple):
    """What a node asks: is the value at most a threshold, or (categories) one of these codes?"""

    column: int
    threshold: float
    codes: frozenset[int] | None
    is_missing_left: bool
    left: int
    right: int


class Tree(NamedTuple):
    """A tree by its nodes, the first one is the root; a leaf has no split."""

    splits: Sequence[Split | None]
    values: Sequence[float]
    covers: Sequence[float]  # training rows that came by


class Paths(msgspec.Struct, frozen=True):
    """All leaves of an ensemble, padded to the longest path; arrays are of shape (leaves, depth).

    A place is one column of a leaf: its value has to be above `low` and at most `high`, or one of
    the codes of the row `codes` of `tables` (-1: it is a number).
    """

    depth: int
    base: float
    values: bytes  # float64, (leaves)
    columns: bytes  # int32; the column past the last one where a path is shorter
    low: bytes  # float64
    high: bytes  # float64
    takes_missing: bytes  # bool
    shares: bytes  # float64: of the training rows that kept the conditions
    codes: bytes  # int32
    tables: tuple[tuple[int, ...], ...] = ()


class _Place(NamedTuple):
    low: float
    high: float
    codes: frozenset[int] | None
    takes_missing: bool
    share: float


_PLACES = ("columns", "low", "high", "takes_missing", "shares", "codes")
_ANYTHING = _Place(-np.inf, np.inf, None, True, 1.0)


def paths_of(trees: Sequence[Tree], *, base: float, n_columns: int) -> Paths:
    """The paths of trees whose leaves add up, with `base`, to the raw answer.

    Args:
        trees: With the values of leaves as they are added.
        base: What is added before all trees.
        n_columns: Of the table that they read.
    """
    leaves = [leaf for tree in trees for leaf in _leaves(tree)]
    depth = max((len(places) for places, _ in leaves), default=0) or 1
    tables: dict[frozenset[int], int] = {}
    rows = [_padded(places, depth, n_columns, tables) for places, _ in leaves]
    columns = list(zip(*(place for row in rows for place in row), strict=True)) or [()] * 6
    kinds = (np.int32, np.float64, np.float64, np.bool_, np.float64, np.int32)
    packed = [np.array(each, kind).tobytes() for each, kind in zip(columns, kinds, strict=True)]
    values = np.array([value for _, value in leaves], np.float64)
    usual = values * np.array([np.prod([p.share for p in ps.values()]) for ps, _ in leaves])
    places = dict(zip(_PLACES, packed, strict=True))
    return Paths(
        depth=depth,
        base=base + float(usual.sum()),
        values=values.tobytes(),
        tables=tuple(tuple(sorted(codes)) for codes in tables),
        **places,
    )


def adder(paths: Paths, n_columns: int) -> Callable[[Floats], Floats]:
    """A function from rows, shape (rows, columns), to what each column adds, of the same shape.

    Together with `paths.base` a row adds up to the raw answer, up to rounding.

    Source:
        G. Owen, "Multilinear extensions of games", Management Science 18(5), 1972: a Shapley value
        is the integral of the extension's derivative along the diagonal. The extension of a leaf
        is a polynomial, for which Gauss-Legendre quadrature with half as many points as columns
        is exact. What is not known follows the training rows, as in path-dependent TreeSHAP:
        S. Lundberg et al., "From local explanations to global understanding with explainable AI
        for trees", Nature Machine Intelligence 2, 2020, algorithm 1.
    """
    shape = (-1, paths.depth)
    columns = np.frombuffer(paths.columns, np.int32).reshape(shape)
    shares = np.frombuffer(paths.shares, np.float64).reshape(shape)
    values = np.frombuffer(paths.values, np.float64)
    holds = _holding(paths, columns)
    points, weights = _quadrature(paths.depth)

    def add(rows: Floats) -> Floats:
        found = [
            _added(row, columns, shares, values, holds, points, weights, n_columns) for row in rows
        ]
        return np.array(found).reshape(len(rows), n_columns)

    return add


def _added(
    row: Floats,
    columns: NDArray[np.int32],
    shares: Floats,
    values: Floats,
    holds: Callable[[Floats], Floats],
    points: Floats,
    weights: Floats,
    n_columns: int,
) -> Floats:
    kept = holds(row)
    total = np.zeros_like(shares)
    for point, weight in zip(points, weights, strict=True):
        factors = kept * point + shares * (1 - point)  # above 0: every path was gone by somebody
        total += weight * factors.prod(axis=1, keepdims=True) / factors
    amounts = values[:, None] * (kept - shares) * total
    found = np.bincount(columns.ravel(), weights=amounts.ravel(), minlength=n_columns + 1)
    of_columns: Floats = found[:n_columns].astype(np.float64)
    return of_columns


@cache
def _quadrature(depth: int) -> tuple[Floats, Floats]:
    """Points in (0, 1) and their weights, exact for polynomials up to the degree depth - 1."""
    points, weights = np.polynomial.legendre.leggauss(-(-depth // 2))
    return (points + 1) / 2, weights / 2


def _holding(paths: Paths, columns: NDArray[np.int32]) -> Callable[[Floats], Floats]:
    """A function from a row to whether it keeps the conditions of each place, as 1.0 and 0.0."""
    shape = columns.shape
    low = np.frombuffer(paths.low, np.float64).reshape(shape)
    high = np.frombuffer(paths.high, np.float64).reshape(shape)
    takes_missing = np.frombuffer(paths.takes_missing, np.bool_).reshape(shape)
    codes = np.frombuffer(paths.codes, np.int32).reshape(shape)
    is_code = codes >= 0
    n_codes = 1 + max((code for table in paths.tables for code in table), default=0)
    table = np.zeros((len(paths.tables), n_codes), np.bool_)
    for i, listed in enumerate(paths.tables):
        table[i, list(listed)] = True

    def holds(row: Floats) -> Floats:
        asked = np.append(row, 0.0)[columns]
        is_kept = (asked > low) & (asked <= high)
        is_missing = np.isnan(asked)
        if len(table):
            is_known = is_code & ~is_missing & (asked >= 0) & (asked < n_codes)
            place = np.where(is_known, asked, 0).astype(np.intp)
            is_kept = np.where(is_code, is_known & table[codes, place], is_kept)
        return np.where(is_missing, takes_missing, is_kept).astype(np.float64)

    return holds


def _leaves(tree: Tree) -> list[tuple[dict[int, _Place], float]]:
    """The places of the path to each leaf, by column, and its value."""
    found: list[tuple[dict[int, _Place], float]] = []
    waiting: list[tuple[int, dict[int, _Place]]] = [(0, {})]
    while waiting:
        node, places = waiting.pop()
        split = tree.splits[node]
        if split is None:
            found.append((places, float(tree.values[node])))
            continue
        for child, is_left in ((split.left, True), (split.right, False)):
            share = float(tree.covers[child]) / float(tree.covers[node])
            if share > 0:  # nobody went there: nothing is known of it
                before = places.get(split.column, _ANYTHING)
                waiting.append(
                    (
                        child,
                        places | {split.column: _narrower(before, split, share, is_left=is_left)},
                    )
                )
    return found


def _narrower(before: _Place, split: Split, share: float, *, is_left: bool) -> _Place:
    low, high, codes = before.low, before.high, before.codes
    if split.codes is not None:
        side = split.codes if is_left else _ALL_CODES - split.codes
        codes = side if codes is None else codes & side
    elif is_left:
        high = min(high, split.threshold)
    else:
        low = max(low, split.threshold)
    takes_missing = before.takes_missing and split.is_missing_left == is_left
    return _Place(low, high, codes, takes_missing, before.share * share)


_ALL_CODES = frozenset(range(256))


def _padded(
    places: dict[int, _Place], depth: int, n_columns: int, tables: dict[frozenset[int], int]
) -> list[tuple[Any, ...]]:
    known = [
        (
            column,
            each.low,
            each.high,
            each.takes_missing,
            each.share,
            -1 if each.codes is None else tables.setdefault(each.codes, len(tables)),
        )
        for column, each in places.items()
    ]
    nothing = (n_columns, -np.inf, np.inf, True, 1.0, -1)
    return known + [nothing] * (depth - len(known))
