"""What a model's answers do to groups of people: their rates, and how far these lie apart."""

from __future__ import annotations

from math import inf, nan
from typing import NamedTuple

import numpy as np
from numpy.typing import ArrayLike, NDArray

from cd4ml.measures.cells import Cells, Counts, group_name
from cd4ml.measures.estimate import Estimate, UndefinedMeasure, wilson
from cd4ml.measures.named_rates import RATES


class GroupRate(NamedTuple):
    """A rate of one group; `estimate` is None where the group has no row that it is a share of."""

    group: str  # "black=yes & single=no"
    n_rows: int  # of the group
    counted: int  # rows that count, of the `n` of the estimate
    estimate: Estimate | None


class Gap(NamedTuple):
    """How far apart rates lie; nan where none is defined."""

    difference: float
    ratio: float  # of the smaller to the larger, at most 1


def rates(cells: Cells, rate: str, *, confidence: float = 0.95) -> list[GroupRate]:
    """A rate of each cell, with an interval that holds for small groups.

    - `selection_rate`: share of the rows that are answered favourably
    - `recall`: share of those that turn out favourably
    - `false_positive_rate`: share of those that turn out unfavourably
    - `precision`: share of the favourable answers that turn out so
    - `accuracy`: share of the rows answered as they turn out
    - `calibration`: what was observed minus what was expected: the share that turns out
      favourably minus the mean probability of it
    - `base_rate`: share of the rows that turn out favourably, whatever is answered

    Args:
        cells: Counts of rows.
        rate: One of these.
        confidence: Coverage of the interval of each group.

    Returns:
        One entry a cell.

    Raises:
        UndefinedMeasure: If calibration is asked of scores that are no probabilities.
        ValueError: If there is no such rate.

    Source:
        M. Hardt, E. Price, N. Srebro, "Equality of opportunity in supervised learning", NIPS
        2016 (recall, false positive rate); intervals as in `wilson`. That of calibration is
        Wilson's for the observed share: given the probabilities, the number of favourable
        outcomes varies at most as much as if all rows had the same one (W. Hoeffding, "On the
        distribution of the number of successes in independent trials", Annals of Mathematical
        Statistics 27(3), 1956).

    Examples:
        >>> from cd4ml.measures.cells import count_cells
        >>> cells = count_cells([1, 1, 0], [0.9, 0.2, 0.7], {"sex": ["f", "f", "m"]})
        >>> rates(cells, "recall")[0]
        GroupRate(group='sex=f', n_rows=2, counted=1, estimate=Estimate(value=0.5, low=0.0945, high=0.9055, n=2))
        >>> rates(cells, "recall")[1]
        GroupRate(group='sex=m', n_rows=1, counted=0, estimate=None)
    """
    counted, among = _counted(cells, rate)
    shift = np.zeros(len(cells.values))
    if rate == "calibration":
        shift = cells.said / cells.n
        if np.isnan(shift).any():
            msg = "calibration needs probabilities, got scores below 0 or above 1"
            raise UndefinedMeasure(msg)
    return [
        GroupRate(
            group=group_name(cells.columns, values),
            n_rows=int(cells.n[i]),
            counted=int(counted[i]),
            estimate=_estimate(int(counted[i]), int(among[i]), float(shift[i]), confidence),
        )
        for i, values in enumerate(cells.values)
    ]


def gap(values: ArrayLike, overall: float | None = None) -> Gap:
    """How far the values of groups lie apart, or from that of all rows.

    Args:
        values: One a group; nan where it is not defined, shape (groups,).
        overall: The value of all rows; without it the largest is compared with the smallest.

    Returns:
        The largest difference and the smallest ratio.

    Raises:
        UndefinedMeasure: If no group has a value.

    Source:
        As `MetricFrame.difference` and `MetricFrame.ratio` of Fairlearn 0.15; a ratio of at
        least 4/5 is asked by the Uniform Guidelines on Employee Selection Procedures, 29 CFR
        1607.4 D, 1978.

    Examples:
        >>> gap([0.6, 0.9, 0.8])
        Gap(difference=0.3, ratio=0.667)
        >>> gap([0.6, 0.9, 0.8], overall=0.75)
        Gap(difference=0.15, ratio=0.8)
    """
    found = np.asarray(values, dtype=np.float64)
    found = found[~np.isnan(found)]
    if found.size == 0:
        raise UndefinedMeasure("the rate is defined in no group, so there is nothing to compare")
    if overall is None:
        low, high = float(found.min()), float(found.max())
        return Gap(high - low, _ratio(low, high))
    beside = [_ratio(*sorted((float(value), overall))) for value in found]
    return Gap(
        float(np.abs(found - overall).max()), min(beside, key=lambda r: r if r == r else inf)
    )


def equalised_odds(cells: Cells) -> Gap:
    """The worse gap of recall and false positive rate: who answers alike to those who are alike.

    Args:
        cells: Counts of the groups to be compared.

    Returns:
        The larger difference and the smaller ratio of both rates.

    Raises:
        UndefinedMeasure: If a rate is defined in no group.

    Source:
        Hardt, Price, Srebro 2016, definition 2.1, as a gap.

    Examples:
        >>> from cd4ml.measures.cells import count_cells
        >>> groups = {"sex": ["f", "f", "m", "m"]}
        >>> cells = count_cells([1, 0, 1, 0], [0.9, 0.2, 0.9, 0.7], groups)
        >>> equalised_odds(cells)
        Gap(difference=1.0, ratio=0.0)
    """
    gaps = [gap(_values(cells, rate)) for rate in ("recall", "false_positive_rate")]
    ratios = [each.ratio for each in gaps if each.ratio == each.ratio]
    return Gap(max(each.difference for each in gaps), min(ratios, default=nan))


def _values(cells: Cells, rate: str) -> NDArray[np.float64]:
    found = rates(cells, rate)
    return np.array([nan if each.estimate is None else each.estimate.value for each in found])


def _ratio(low: float, high: float) -> float:
    return low / high if high else nan


def _counted(cells: Cells, rate: str) -> tuple[Counts, Counts]:
    """The rows of each cell that count, and those that they are a share of."""
    _, _, n, favourable, answered, hits, _ = cells
    unfavourable = n - favourable
    wrong = answered - hits
    table = {
        "selection_rate": (answered, n),
        "recall": (hits, favourable),
        "false_positive_rate": (wrong, unfavourable),
        "precision": (hits, answered),
        "accuracy": (hits + unfavourable - wrong, n),
        "calibration": (favourable, n),
        "base_rate": (favourable, n),
    }
    if rate not in table:
        raise ValueError(f"there is no rate {rate!r}; known: {', '.join(sorted(RATES))}")
    return table[rate]


def _estimate(counted: int, among: int, shift: float, confidence: float) -> Estimate | None:
    if among == 0:
        return None
    value, low, high, n = wilson(counted, among, confidence=confidence)
    return Estimate(value - shift, low - shift, high - shift, n)
