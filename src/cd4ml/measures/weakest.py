"""The weakest subsets of the rows, searched among all values of columns and pairs of columns."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from itertools import combinations
from math import sqrt
from statistics import NormalDist
from typing import TYPE_CHECKING, NamedTuple

import numpy as np
from numpy.typing import ArrayLike, NDArray

from cd4ml.measures.divergence import benjamini_hochberg
from cd4ml.measures.estimate import Estimate, UndefinedMeasure

if TYPE_CHECKING:
    from cd4ml.measures.catalog import Measure

_LOOKED_AT = 100  # cells that are measured exactly, of those that look worst
_MOST_ALIKE = 0.5  # rows that two subsets share, of those in either: above, one tells it all
_LOWEST_Z, _HIGHEST_Z = 1e-6, 7.5  # p of 0.5, and one below 1e-13, which is as good as 0


class Coded(NamedTuple):
    """A column as small numbers: what each value is called, and which one a row has."""

    names: list[str]  # "carrier=UA", "distance<500"
    codes: NDArray[np.int64]  # shape (rows,)


class Weak(NamedTuple):
    """A subset on which a measure is worse than on all rows, and how unlikely that is by chance."""

    name: str  # "carrier=HA & hour>=18"
    estimate: Estimate
    p_value: float
    rows: NDArray[np.int64]


class Found(NamedTuple):
    """The weakest subsets, worst first, and among how many they were found."""

    weakest: list[Weak]
    n_searched: int
    level: float  # the measure of all rows


class _Cell(NamedTuple):
    gap: float  # how much worse than all rows, times the root of its rows: about a z-score
    names: tuple[str, ...]
    columns: tuple[str, ...]
    code: int
    n_second: int


def find_weakest(
    measure: Measure,
    y_true: ArrayLike,
    score: ArrayLike,
    columns: Mapping[str, Coded],
    *,
    min_rows: int = 100,
    false_discoveries: float = 0.05,
    most: int = 5,
) -> Found:
    """Subsets on which a measure is surely worse than on all rows, the worst first.

    Every value of a column and every combination of the values of two columns is measured at
    once; those that look worst are measured with their interval. Because thousands are looked
    at, some look bad by chance: what is returned is what remains when at most a share
    `false_discoveries` of it may be chance (Benjamini-Hochberg over all that were looked at).
    Worst is whose interval says that it is at least so bad.

    Args:
        measure: What is measured.
        y_true: What came true, shape (rows,).
        score: What was answered, shape (rows,).
        columns: Columns by name, each with as many codes as there are rows.
        min_rows: Smaller subsets are not looked at.
        false_discoveries: Share of the findings that may be chance.
        most: So many are returned; of two that share half of their rows only the worse one.

    Raises:
        UndefinedMeasure: If all rows together do not define the measure.
        ValueError: If targets and scores do not fit.

    Source:
        Y. Chung et al., "Automated data slicing for model validation", IEEE Trans. Knowledge and
        Data Engineering 32(12), 2020 (slices, effect size, control of false discoveries);
        S. Sagadeeva, M. Boehm, "SliceLine", SIGMOD 2021 (all conjunctions at once).

    Examples:
        >>> from cd4ml.measures.catalog import MEASURES
        >>> rows = np.arange(1000)
        >>> sides = Coded(["side=left", "side=right"], rows % 2)
        >>> score = np.where(rows % 2, 5.0, 0.1) + rows % 7 / 100
        >>> found = find_weakest(MEASURES["mae"], np.zeros(1000), score, {"side": sides})
        >>> [weak.name for weak in found.weakest], found.n_searched
        (['side=right'], 2)
    """
    order = np.argsort(np.asarray(score), kind="stable")  # once: ranks within cells need it
    truth, answers = np.asarray(y_true)[order], np.asarray(score)[order]
    columns = {name: Coded(one.names, one.codes[order]) for name, one in columns.items()}
    sign = 1 if measure.direction == "higher" else -1
    level = measure.function(truth, answers).value
    cells = [
        cell
        for chosen in (*((name,) for name in columns), *combinations(columns, 2))
        for cell in _cells(measure, truth, answers, columns, chosen, level, sign, min_rows)
    ]
    candidates = sorted(cells, key=lambda cell: -cell.gap)[:_LOOKED_AT]
    # of so many tests no larger p-value can be believed
    at_most = false_discoveries * len(candidates) / max(1, len(cells))
    measured = [
        weak
        for cell in candidates
        if (weak := _measured(measure, truth, answers, columns, cell, level, at_most)) is not None
    ]
    believed = _believed(measured, len(cells), false_discoveries)
    believed.sort(key=lambda w: sign * (w.estimate.high if sign > 0 else w.estimate.low))
    weakest = [weak._replace(rows=np.sort(order[weak.rows])) for weak in _unlike(believed, most)]
    return Found(weakest, len(cells), level)


def p_worse(
    measure: Measure, y_true: ArrayLike, score: ArrayLike, limit: float, *, at_most: float = 1.0
) -> float:
    """How likely rows of a quality at the limit look as bad as these by chance.

    Args:
        measure: What is measured. If it is no share, its intervals are inverted.
        y_true: What came true, shape (rows,).
        score: What was answered, shape (rows,).
        limit: Where the better side begins.
        at_most: Larger p-values do not matter, and are given as 1 at less cost.

    Returns:
        One-sided p-value; 1 where the value is on the better side.

    Raises:
        UndefinedMeasure: If these rows do not define the measure.
        ValueError: If targets and scores do not fit.

    Source:
        For a share the exact binomial test, since thousands of slices reach far into the tail;
        else the duality of tests and intervals (E. L. Lehmann, J. P. Romano, "Testing
        statistical hypotheses", 3rd ed., 2005, 3.5) with Student's t: of a mean, the t-test.

    Examples:
        >>> from cd4ml.measures.catalog import MEASURES
        >>> p_worse(MEASURES["accuracy"], [1] * 100, [0.9] * 40 + [0.1] * 60, 0.5)
        0.0284
    """
    from scipy.special import stdtr

    sign = 1 if measure.direction == "higher" else -1

    def beyond(z: float) -> float:
        """How far the interval of so many standard errors reaches beyond the limit."""
        confidence = min(2 * NormalDist().cdf(z) - 1, 1 - 1e-15)
        found = measure.function(y_true, score, confidence=confidence)
        return sign * ((found.high if sign > 0 else found.low) - limit)

    estimate = measure.function(y_true, score)
    if sign * (estimate.value - limit) >= 0:
        return 1.0
    if measure.share is not None:
        share, bound = measure.share(estimate.value), measure.share(min(1.0, max(0.0, limit)))
        return _p_of_share(round(share * estimate.n), estimate.n, bound, sign)
    least = NormalDist().inv_cdf(1 - at_most) if at_most < 1 else _LOWEST_Z
    if at_most < 1 and beyond(least) >= 0:
        return 1.0
    if beyond(_LOWEST_Z) >= 0:
        return 0.5
    z = _HIGHEST_Z if beyond(_HIGHEST_Z) < 0 else _root(beyond, _LOWEST_Z, _HIGHEST_Z)
    # Student's t: the standard error is of these rows too, which far in the tail is not the same
    return float(stdtr(max(1, estimate.n - 1), -z))


def _p_of_share(n_counted: int, n: int, share: float, sign: int) -> float:
    """How likely so few (sign 1) or so many (sign -1) of n rows count if each does so by chance."""
    from scipy.special import bdtr, bdtrc

    if sign > 0:
        return float(bdtr(n_counted, n, share))
    return 1.0 if n_counted == 0 else float(bdtrc(n_counted - 1, n, share))


def _root(function: Callable[[float], float], low: float, high: float) -> float:
    """Where a function that grows from below 0 crosses it (regula falsi, Illinois variant)."""
    below, above = function(low), function(high)
    middle, was_above = low, None
    for _ in range(60):
        middle = high - above * (high - low) / (above - below)
        value = function(middle)
        if abs(value) < 1e-13 or high - low < 1e-11:
            break
        if value > 0:
            high, above, below = middle, value, below / 2 if was_above is True else below
        else:
            low, below, above = middle, value, above / 2 if was_above is False else above
        was_above = value > 0
    return middle


def _cells(
    measure: Measure,
    truth: NDArray[np.float64],
    answers: NDArray[np.float64],
    columns: Mapping[str, Coded],
    chosen: tuple[str, ...],
    level: float,
    sign: int,
    min_rows: int,
) -> list[_Cell]:
    """The cells of one or two columns that are large enough."""
    codes, n_second = _codes(columns, chosen)
    n_cells = len(columns[chosen[0]].names) * n_second
    sizes = np.bincount(codes, minlength=n_cells)
    large = np.flatnonzero((sizes >= min_rows) & (sizes < truth.size))
    if large.size == 0:
        return []
    dense = np.full(n_cells, large.size, dtype=np.int64)  # rows of small cells share one more
    dense[large] = np.arange(large.size)
    values = measure.cells(truth, answers, dense[codes], large.size + 1)[:-1]
    return [
        _Cell(
            gap=sign * (level - value) * sqrt(sizes[code]),
            names=_names(columns, chosen, int(code), n_second),
            columns=chosen,
            code=int(code),
            n_second=n_second,
        )
        for code, value in zip(large, values.tolist(), strict=True)
        if np.isfinite(value)
    ]


def _codes(columns: Mapping[str, Coded], chosen: tuple[str, ...]) -> tuple[NDArray[np.int64], int]:
    first, *others = (columns[name] for name in chosen)
    if not others:
        return first.codes, 1
    n_second = len(others[0].names)
    return first.codes * n_second + others[0].codes, n_second


def _names(
    columns: Mapping[str, Coded], chosen: tuple[str, ...], code: int, n_second: int
) -> tuple[str, ...]:
    places = (code,) if len(chosen) == 1 else divmod(code, n_second)
    return tuple(columns[name].names[at] for name, at in zip(chosen, places, strict=True))


def _measured(
    measure: Measure,
    truth: NDArray[np.float64],
    answers: NDArray[np.float64],
    columns: Mapping[str, Coded],
    cell: _Cell,
    level: float,
    at_most: float,
) -> Weak | None:
    codes, _ = _codes(columns, cell.columns)
    rows = np.flatnonzero(codes == cell.code)
    try:
        estimate = measure.function(truth[rows], answers[rows])
        p_value = p_worse(measure, truth[rows], answers[rows], level, at_most=at_most)
    except UndefinedMeasure:
        return None
    return Weak(" & ".join(cell.names), estimate, p_value, rows)


def _believed(measured: list[Weak], n_searched: int, rate: float) -> list[Weak]:
    """What is no chance among all that was looked at: those not measured count as good."""
    if not measured:
        return []
    p_values = [weak.p_value for weak in measured]
    n_others = max(0, n_searched - len(measured))
    is_found = benjamini_hochberg([*p_values, *([1.0] * n_others)], rate)[: len(measured)]
    return [weak for weak, found in zip(measured, is_found, strict=True) if found]


def _unlike(weakest: list[Weak], most: int) -> list[Weak]:
    kept: list[Weak] = []
    for weak in weakest:
        if len(kept) < most and all(_alike(weak, other) < _MOST_ALIKE for other in kept):
            kept.append(weak)
    return kept


def _alike(one: Weak, other: Weak) -> float:
    shared = np.intersect1d(one.rows, other.rows, assume_unique=True).size
    return shared / (one.rows.size + other.rows.size - shared)
