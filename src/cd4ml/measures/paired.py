"""Whether two models differ on the same rows, and what the best of many is worth."""

from __future__ import annotations

from collections.abc import Callable
from typing import NamedTuple

import numpy as np
from numpy.typing import ArrayLike, NDArray

from cd4ml.measures.estimate import Estimate, UndefinedMeasure, finite_rows, two_sided_z

_RESAMPLED = 1000


class McNemar(NamedTuple):
    """Rows on which only one of two models is right, and how unlikely that is by chance."""

    only_a: int
    only_b: int
    p_value: float


class BestOf(NamedTuple):
    """The best of many on the rows that chose it, and what it may be expected to be elsewhere."""

    best: int  # which
    seen: float  # its mean on the rows that chose it
    corrected: Estimate  # of whoever is chosen so, on other rows


def mcnemar(correct_a: ArrayLike, correct_b: ArrayLike) -> McNemar:
    """McNemar's exact test of two models' right answers on the same rows.

    Only rows that one has right and the other wrong tell them apart; if the models were
    equally good each of these would be a toss of a coin.

    Args:
        correct_a: 1 where the first model is right, else 0, shape (rows,).
        correct_b: The same of the second model.

    Returns:
        The two counts and the two-sided p-value; 1 where they never differ.

    Raises:
        UndefinedMeasure: If there are no rows.
        ValueError: If the shapes differ or a value is neither 0 nor 1.

    Source:
        Q. McNemar, "Note on the sampling error of the difference between correlated
        proportions or percentages", Psychometrika 12(2), 1947; the exact binomial form.

    Examples:
        >>> mcnemar([1, 1, 1, 1, 1, 1, 0, 1], [0, 0, 0, 0, 0, 0, 0, 1])
        McNemar(only_a=6, only_b=0, p_value=0.03125)
    """
    from scipy.stats import binomtest

    a, b = _pair(correct_a, correct_b)
    if not np.isin(np.concatenate([a, b]), (0.0, 1.0)).all():
        raise ValueError("an answer is right (1) or wrong (0)")
    only_a, only_b = int(((a == 1) & (b == 0)).sum()), int(((a == 0) & (b == 1)).sum())
    n = only_a + only_b
    return McNemar(only_a, only_b, float(binomtest(only_a, n).pvalue) if n else 1.0)


def paired_bootstrap(
    y_true: ArrayLike,
    score_a: ArrayLike,
    score_b: ArrayLike,
    function: Callable[[NDArray[np.float64], NDArray[np.float64]], float],
    *,
    confidence: float = 0.95,
    seed: int = 0,
) -> Estimate:
    """Difference of any measure between two models, with rows drawn anew a thousand times.

    For measures without an interval of their own (RMSE, a share of the worst rows). Rows are
    taken as independent; those that share a fate (a day, a patient) make it too narrow.

    Args:
        y_true: What came true, shape (rows,).
        score_a: Answers of one model, shape (rows,).
        score_b: Answers of the other model to the same rows, shape (rows,).
        function: The measure of (y_true, score).
        confidence: Coverage of the interval.
        seed: The same one draws the same rows.

    Returns:
        a - b, with the interval between the quantiles of what was drawn.

    Raises:
        UndefinedMeasure: If there are no rows.
        ValueError: If the shapes differ, a value is not finite, or `confidence` is no share.

    Source:
        B. Efron, R. Tibshirani, "An introduction to the bootstrap", 1993, chapter 13.

    Examples:
        >>> def rmse(y, p):
        ...     return float(np.sqrt(np.mean((y - p) ** 2)))
        >>> paired_bootstrap([1.0, 2.0, 3.0], [1.0, 2.0, 3.0], [2.0, 3.0, 4.0], rmse)
        Estimate(value=-1.0, low=-1.0, high=-1.0, n=3)
    """
    two_sided_z(confidence)  # refuses what is no share
    truth, a = _pair(y_true, score_a)
    _, b = _pair(y_true, score_b)
    chance = np.random.default_rng(seed)
    drawn = np.empty(_RESAMPLED)
    for i in range(_RESAMPLED):
        rows = chance.integers(0, truth.size, truth.size)
        drawn[i] = function(truth[rows], a[rows]) - function(truth[rows], b[rows])
    value = function(truth, a) - function(truth, b)
    low, high = np.quantile(drawn, [(1 - confidence) / 2, (1 + confidence) / 2])
    return Estimate(value, min(float(low), value), max(float(high), value), truth.size)


def best_of_many(rows: ArrayLike, *, confidence: float = 0.95, seed: int = 0) -> BestOf:
    """What the best of many trials is worth on rows that did not choose it.

    The best of many on some rows is the best partly because these rows happen to suit it.
    So rows are drawn anew: on those that were drawn the best is chosen, on those that were
    left out it is measured.

    Args:
        rows: One value a trial and row, whose mean over the rows is the measure and of which
            higher is better, shape (trials, rows). For a loss, its negative.
        confidence: Coverage of the interval.
        seed: The same one draws the same rows.

    Returns:
        The best on all rows, and what may be expected of one that is chosen so.

    Raises:
        UndefinedMeasure: If there are fewer than 2 rows, or no trial.
        ValueError: If a value is not finite, or the shape is another.

    Source:
        I. Tsamardinos, E. Greasidou, G. Borboudakis, "Bootstrapping the out-of-sample
        predictions for efficient and accurate cross-validation", Machine Learning 107, 2018.

    Examples:
        >>> tosses = np.random.default_rng(0).integers(0, 2, (50, 100))
        >>> found = best_of_many(tosses)  # fifty coins: none is better than another
        >>> found.seen, round(found.corrected.value, 1)
        (0.62, 0.5)
    """
    two_sided_z(confidence)
    values = np.asarray(rows, dtype=np.float64)
    if values.ndim != 2:
        raise ValueError(f"expected one value a trial and row, got shape {values.shape}")
    n_trials, n = values.shape
    if n_trials == 0 or n < 2:
        raise UndefinedMeasure(f"expected a trial and two rows at least, got {n_trials} and {n}")
    if not np.isfinite(values).all():
        raise ValueError("expected finite numbers; leave trials without a value out knowingly")
    means = values.mean(axis=1)
    best = int(means.argmax())
    drawn = _left_out(values, np.random.default_rng(seed))
    low, high = np.quantile(drawn, [(1 - confidence) / 2, (1 + confidence) / 2])
    middle = float(drawn.mean())
    return BestOf(best, float(means[best]), Estimate(middle, float(low), float(high), n))


def _left_out(values: NDArray[np.float64], chance: np.random.Generator) -> NDArray[np.float64]:
    """The chosen trial's mean on the rows left out, for each time that rows were drawn."""
    n = values.shape[1]
    found: list[float] = []
    while len(found) < _RESAMPLED:
        weights = np.bincount(chance.integers(0, n, n), minlength=n)
        others = weights == 0
        if others.any():  # nearly always: a third of the rows is
            chosen = int((values @ weights).argmax())
            found.append(float(values[chosen, others].mean()))
    return np.array(found)


def _pair(a: ArrayLike, b: ArrayLike) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
    first, second = finite_rows(a), finite_rows(b)
    if first.shape != second.shape:
        msg = f"a pair needs both values in each row, got {first.size} and {second.size} rows"
        raise ValueError(msg)
    return first, second
