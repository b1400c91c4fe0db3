"""What each column adds to a raw answer: by coefficients, or along the paths of trees.

It imports NumPy and what the paths need: a packaged model (`serving.packaging`) takes this very
file along.
"""

from __future__ import annotations

from collections.abc import Callable

import msgspec
import numpy as np

from cd4ml.models.explain.tree_paths import Floats, Paths, adder

Add = Callable[[Floats], tuple[Floats, float]]


class Linear(msgspec.Struct, frozen=True, tag="linear"):
    """Coefficients, and the usual value of each column."""

    coefficients: tuple[float, ...]
    usual: tuple[float, ...]
    intercept: float


class Trees(msgspec.Struct, frozen=True, tag="trees"):
    """Paths over columns: `order` says which column each of theirs is, `known` its categories."""

    paths: Paths
    order: tuple[int, ...]
    known: tuple[tuple[float, ...], ...] = ()  # of the first ones in order


def adding(of: Linear | Trees) -> Add:
    """A function from columns, shape (rows, columns), to what each of them adds, and the base."""
    return _adding_linear(of) if isinstance(of, Linear) else _adding_trees(of)


def _adding_linear(of: Linear) -> Add:
    coefficients, usual = np.array(of.coefficients), np.array(of.usual)
    base = float(usual @ coefficients + of.intercept)
    return lambda columns: ((columns - usual) * coefficients, base)


def _adding_trees(of: Trees) -> Add:
    order = np.array(of.order, np.intp)
    back = np.argsort(order)
    add = adder(of.paths, len(order))
    tables = [np.array(each) for each in of.known]

    def added(columns: Floats) -> tuple[Floats, float]:
        read = columns[:, order]
        for i, known in enumerate(tables):
            is_there = ~np.isnan(read[:, i])
            read[is_there, i] = np.searchsorted(known, read[is_there, i])
        return add(read)[:, back], of.paths.base

    return added
