"""Whether a trial that is underway is worth its end: decided from what others reported."""

from __future__ import annotations

from collections.abc import Sequence
from math import ceil
from statistics import median

N_BEFORE = 5  # trials that have to finish before the median says anything
REDUCTION = 3  # of the trials at a rung, one in so many goes on


def below_median(best: float, finished: Sequence[float], *, n_finished: int) -> bool:
    """Whether a trial's best value so far is worse than the median of others at this step.

    Args:
        best: The highest value that the trial has reported.
        finished: What trials that have finished had reported at this step; higher is better.
        n_finished: How many trials have finished, whether they reported this step or not.

    Source:
        D. Golovin et al., "Google Vizier: a service for black-box optimization", KDD 2017,
        section 3.2.2 (without the running average).

    Examples:
        >>> below_median(0.6, [0.5, 0.7, 0.8, 0.9, 0.7], n_finished=5)
        True
        >>> below_median(0.6, [0.9], n_finished=1)
        False
    """
    if n_finished < N_BEFORE or not finished:
        return False
    return best < median(finished)


def below_rung(value: float, others: Sequence[float], *, n_reports: int) -> bool:
    """Whether a trial is not among the best third where it is decided who goes on.

    That is after its 1st, 3rd, 9th, ... report; asynchronously, so among those who have come
    this far until now.

    Args:
        value: What the trial reports; higher is better.
        others: What other trials reported at this step.
        n_reports: How often this trial has reported, this one included.

    Source:
        L. Li et al., "A system for massively parallel hyperparameter tuning", MLSys 2020
        (asynchronous successive halving; here trials are stopped instead of paused).

    Examples:
        >>> below_rung(0.6, [0.7, 0.8, 0.5], n_reports=3)
        True
        >>> below_rung(0.6, [0.7, 0.8, 0.5], n_reports=2)
        False
    """
    while n_reports % REDUCTION == 0:
        n_reports //= REDUCTION
    if n_reports != 1:
        return False
    rank = sum(other > value for other in others)
    return rank >= ceil((len(others) + 1) / REDUCTION)
