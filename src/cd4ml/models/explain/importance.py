"""What the answers are worth without a field."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import ArrayLike

from cd4ml.measures.catalog import MEASURES
from cd4ml.measures.estimate import Estimate, finite_rows, mean
from cd4ml.models.explain.sampled import Score
from cd4ml.records.explanation import FieldImportance

if TYPE_CHECKING:
    import polars as pl

SQUARED_ERROR = (
    "squared error"  # defined for answers of every kind; of a probability, the Brier score
)


def permutation_importance(
    score: Score,
    frame: pl.DataFrame,
    y_true: ArrayLike,
    *,
    metric: str = SQUARED_ERROR,
    n_shuffles: int = 5,
    seed: int = 0,
) -> tuple[float, list[FieldImportance]]:
    """By how much the metric gets worse when a field's values are shuffled among the rows.

    Fields that say the same stand in for each other, so that each of them looks unimportant.
    A field that the model does without lies around 0, on either side.

    Args:
        score: The model's answers to rows.
        frame: Raw columns of requests, one row a case; rows that taught the model flatter it.
        y_true: What happened, shape (rows,).
        metric: "squared error", or one of the measures' names.
        n_shuffles: Of each field.
        seed: Of the shuffles.

    Returns:
        The metric with nothing shuffled, and the fields, the most important first.

    Raises:
        ValueError: If these rows do not define the metric.

    Source:
        A. Fisher, C. Rudin, F. Dominici, "All models are wrong, but many are useful", JMLR 20,
        2019; as differences of the metric, like scikit-learn's `permutation_importance`.
    """
    known = finite_rows(y_true)
    level = _level(metric, known, score(frame))
    chance = np.random.default_rng(seed)
    found = [
        _of_field(
            name,
            [
                _worse(metric, level, _level(metric, known, score(_shuffled(frame, name, chance))))
                for _ in range(n_shuffles)
            ],
        )
        for name in frame.columns
    ]
    return level, sorted(found, key=lambda each: -each.value)


def _of_field(name: str, worse: list[float]) -> FieldImportance:
    estimate = mean(worse) if len(worse) > 1 else Estimate(worse[0], worse[0], worse[0], 1)
    return FieldImportance(field=name, value=estimate.value, low=estimate.low, high=estimate.high)


def _level(metric: str, y_true: ArrayLike, answers: ArrayLike) -> float:
    if metric == SQUARED_ERROR:
        return float(np.mean((finite_rows(y_true) - finite_rows(answers)) ** 2))
    return MEASURES[metric].function(y_true, answers).value


def _worse(metric: str, level: float, shuffled: float) -> float:
    is_higher_better = metric != SQUARED_ERROR and MEASURES[metric].direction == "higher"
    return level - shuffled if is_higher_better else shuffled - level


def _shuffled(frame: pl.DataFrame, name: str, chance: np.random.Generator) -> pl.DataFrame:
    return frame.with_columns(frame[name][chance.permutation(frame.height).tolist()])
