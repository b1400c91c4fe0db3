"""Which parameters of a search mattered: shares of the variance of its metric."""

from __future__ import annotations

from typing import NamedTuple

import numpy as np
from numpy.typing import ArrayLike, NDArray

from cd4ml.measures.estimate import UndefinedMeasure, finite_rows

LEAST_TRIALS = 10  # below, a forest says more of its own chance than of the parameters

_TREES = 64
_POINTS = 512  # of all other parameters, over which one is averaged
_LEVELS = 16  # of one parameter


class Importance(NamedTuple):
    """How much of the metric's variance over the space each parameter explains alone.

    `shares` and `together` (what only combinations of them explain) are within 0..1 and sum
    to 1. `explained` says how well the forest foretells trials that it has not seen: 1 for
    exactly; at 0 or below it has learned nothing, and the shares mean nothing.
    """

    shares: NDArray[np.float64]  # (parameters,)
    together: float
    explained: float


def importance(places: ArrayLike, values: ArrayLike, *, seed: int = 0) -> Importance:
    """Functional analysis of variance of a metric over the parameters that were tried.

    A random forest learns the metric from the parameters; of the forest, not of the trials,
    it is told how much of the variance over the whole space is due to each parameter when
    all others are averaged over. What samplers tried more often does not count more.

    It tells nothing of values that were not within the space, and little of corners that
    a sampler left out. That a parameter matters does not say in which direction.

    Args:
        places: Where in its space each trial lies, within 0..1, shape (trials, parameters);
            numbers on the scale they were drawn on (the logarithm for a logarithmic range).
        values: The metric, shape (trials,).
        seed: Of the forest and of the points.

    Raises:
        UndefinedMeasure: If there are fewer than 10 trials, or the metric is always the same.
        ValueError: If the shapes do not fit, or a place is not within 0..1.

    Source:
        F. Hutter, H. Hoos, K. Leyton-Brown, "An efficient approach for assessing hyperparameter
        importance", ICML 2014; the averages are taken over Sobol points instead of exactly.

    Examples:
        >>> chance = np.random.default_rng(0)
        >>> tried = chance.uniform(size=(200, 2))
        >>> found = importance(tried, 3 * tried[:, 0] + tried[:, 1])
        >>> [round(float(share), 1) for share in found.shares]
        [0.9, 0.1]
    """
    tried, metric = _trials(places, values)
    forest = _forest(tried, metric, seed)
    points = _points(tried.shape[1], seed)
    total = float(forest.predict(points).var())
    if total == 0:
        raise UndefinedMeasure("no parameter changes the metric; try a wider space")
    alone = np.array([_alone(forest, points, place) for place in range(tried.shape[1])]) / total
    alone = alone / max(1.0, float(alone.sum()))  # above 1 only by the error of the points
    explained = float(forest.oob_score_)
    return Importance(alone, max(0.0, 1.0 - float(alone.sum())), explained)


def _trials(
    places: ArrayLike, values: ArrayLike
) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
    metric = finite_rows(values)
    tried = np.asarray(places, dtype=np.float64)
    if tried.ndim != 2 or tried.shape[0] != metric.size or tried.shape[1] == 0:
        msg = f"each trial needs its places and a value, got shapes {tried.shape}, {metric.shape}"
        raise ValueError(msg)
    if not ((tried >= 0) & (tried <= 1)).all():
        raise ValueError("a place is within 0..1; scale the parameters by their space")
    if metric.size < LEAST_TRIALS:
        msg = f"importance needs {LEAST_TRIALS} trials at least, got {metric.size}"
        raise UndefinedMeasure(msg)
    if metric.min() == metric.max():
        raise UndefinedMeasure("all trials have the same value; no parameter can be told apart")
    return tried, metric


def _forest(tried: NDArray[np.float64], metric: NDArray[np.float64], seed: int):  # type: ignore[no-untyped-def]
    import warnings

    from sklearn.ensemble import RandomForestRegressor

    forest = RandomForestRegressor(_TREES, random_state=seed, oob_score=True)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # a trial that every tree has seen, where there are few
        return forest.fit(tried, metric)


def _points(n_parameters: int, seed: int) -> NDArray[np.float64]:
    from scipy.stats import qmc

    return np.asarray(qmc.Sobol(n_parameters, rng=seed).random(_POINTS))


def _alone(forest, points: NDArray[np.float64], place: int) -> float:  # type: ignore[no-untyped-def]
    """Variance of the forest's average over everything but one parameter."""
    levels = (np.arange(_LEVELS) + 0.5) / _LEVELS
    asked = np.tile(points, (_LEVELS, 1))
    asked[:, place] = np.repeat(levels, _POINTS)
    return float(forest.predict(asked).reshape(_LEVELS, _POINTS).mean(axis=1).var())
