"""Confidence sequences: intervals that may be looked at after every row.

An ordinary 95 % interval that is looked at again and again ends up wrong in half of all
streams; these stay wrong in at most 5 %, whenever and for whatever reason one stops. Tests
against one null value, with the same promise, are in `cd4ml.measures.evidence`.
"""

from __future__ import annotations

from math import log
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import ArrayLike, NDArray

from cd4ml.measures.estimate import Estimate
from cd4ml.measures.moments import Moments, running_moments, shape_of


class Band(NamedTuple):
    """A confidence sequence: value and interval, all fields of the shape of the moments."""

    value: NDArray[np.float64]
    low: NDArray[np.float64]
    high: NDArray[np.float64]
    n: NDArray[np.int64]

    def last(self) -> Estimate:
        """The band as it stands after the newest row."""
        value, low, high, n = (np.ravel(field)[-1] for field in self)
        return Estimate(float(value), float(low), float(high), int(n))


def normal_mixture_rho(variance: float, *, alpha: float = 0.05) -> float:
    """The mixture parameter that makes a normal-mixture band narrowest at one moment.

    Args:
        variance: Variance of the sum at that moment (rows times variance of a row), above 0.
        alpha: Chance of ever being wrong, between 0 and 1.

    Returns:
        rho, in the unit of `variance`.

    Raises:
        ValueError: If `variance` or `alpha` is out of range.

    Source:
        S. R. Howard, A. Ramdas, J. McAuliffe, J. Sekhon, "Time-uniform, nonparametric,
        nonasymptotic confidence sequences", Annals of Statistics 49(2), 2021, section on the
        choice of the mixture parameter, in the closed approximation.

    Examples:
        >>> normal_mixture_rho(100)
        12.60
    """
    require_alpha(alpha)
    if not variance > 0:
        raise ValueError(f"a variance is above 0, got {variance}")
    return variance / (2 * log(1 / alpha) + log(1 + 2 * log(1 / alpha)))


def normal_mixture_boundary(
    variance: ArrayLike, *, rho: float, alpha: float = 0.05
) -> NDArray[np.float64]:
    """How far a centred sum may ever stray, two-sided, as a curve over its variance.

    Args:
        variance: Variance of the sum so far (sub-Gaussian: rows times sigma squared), 0 or more.
        rho: Mixture parameter, see `normal_mixture_rho`.
        alpha: Chance of ever leaving the curve, between 0 and 1.

    Returns:
        The bound on |sum|, shape of `variance`.

    Raises:
        ValueError: If `rho` or `alpha` is out of range.

    Source:
        H. Robbins, "Statistical methods related to the law of the iterated logarithm", Annals
        of Mathematical Statistics 41(5), 1970; Howard et al. 2021 (see `normal_mixture_rho`).

    Examples:
        >>> normal_mixture_boundary([100, 1000], rho=normal_mixture_rho(100)).round(2)
        array([ 30.35, 102.51])
    """
    require_alpha(alpha)
    if not rho > 0:
        raise ValueError(f"rho is above 0, got {rho}; normal_mixture_rho gives a good one")
    scale = np.asarray(variance, dtype=np.float64) + rho
    return np.asarray(np.sqrt(scale * np.log(scale / (alpha**2 * rho))))


def normal_mixture_radius(
    n: ArrayLike, *, variance: float, rho: float, alpha: float = 0.05
) -> NDArray[np.float64]:
    """Half-width of a confidence sequence for the mean of sub-Gaussian rows.

    Args:
        n: Rows so far, 1 or more.
        variance: Sub-Gaussian variance of a row; 1/4 holds for anything within 0..1.
        rho: Mixture parameter, see `normal_mixture_rho`.
        alpha: Chance of ever being wrong, between 0 and 1.

    Returns:
        The half-width, shape of `n`.

    Raises:
        ValueError: If `rho` or `alpha` is out of range.

    Source:
        As `normal_mixture_boundary`, divided by the rows.

    Examples:
        >>> normal_mixture_radius([100, 1000], variance=0.25, rho=1.0)
        array([0.155, 0.0538])
    """
    rows = np.asarray(n, dtype=np.float64)
    return np.asarray(normal_mixture_boundary(rows * variance, rho=rho, alpha=alpha) / rows)


def asymptotic_sequence(
    stream: Moments, *, alpha: float = 0.05, tuned_for: int = 1000, burn_in: float = 15.0
) -> Band:
    """Confidence sequence for the mean of any rows with moments, from their own variance.

    Infinite until the rows say enough: the variance of rare events cannot be trusted before
    some of them were seen. What is asked for is `burn_in` effective rows, n / kurtosis: the
    number of events for rare 0/1 rows, a third of the rows for normal ones. (A burn-in of 50
    rows instead lets the error of a 5 % event rise from 3 % to 13 %.)

    Args:
        stream: Moments of the rows, independent of each other.
        alpha: Chance of ever being wrong, between 0 and 1.
        tuned_for: Rows at which the band is about narrowest.
        burn_in: Effective rows before the band begins.

    Returns:
        The band around the mean.

    Raises:
        ValueError: If `alpha` or `tuned_for` is out of range.

    Source:
        I. Waudby-Smith, D. Arbour, R. Sinha, E. H. Kennedy, A. Ramdas, "Time-uniform central
        limit theory and asymptotic confidence sequences", Annals of Statistics 52(6), 2024.
        Their rho is 1 / sqrt(rho) here. The burn-in in effective rows is ours.

    Examples:
        >>> from cd4ml.measures.moments import moments
        >>> asymptotic_sequence(moments([0.0, 1.0] * 50)).last()
        Estimate(value=0.5, low=0.307, high=0.693, n=100)
        >>> asymptotic_sequence(moments([0.0] * 100)).last()
        Estimate(value=0.0, low=-inf, high=inf, n=100)
    """
    centre, variance, effective = shape_of(stream)
    rho = normal_mixture_rho(tuned_for, alpha=alpha)
    with np.errstate(divide="ignore", invalid="ignore"):
        half = np.sqrt(variance) * normal_mixture_radius(
            stream.n, variance=1.0, rho=rho, alpha=alpha
        )
    return _band(centre, np.where(effective >= burn_in, half, np.inf), stream.n)


def paired_difference_sequence(
    losses_a: ArrayLike,
    losses_b: ArrayLike,
    *,
    alpha: float = 0.05,
    tuned_for: int = 1000,
    burn_in: float = 15.0,
) -> Band:
    """Confidence sequence for mean loss of a minus that of b, both answering every row.

    This is the judge of a shadow: the new version is a, the champion b.

    Args:
        losses_a: Loss of one model in each row, shape (..., rows), in order of arrival.
        losses_b: Loss of the other model in the same rows.
        alpha: Chance of ever being wrong, between 0 and 1.
        tuned_for: Rows at which the band is about narrowest.
        burn_in: Effective rows before the band begins (see `asymptotic_sequence`).

    Returns:
        The band after each row; positive where a loses more.

    Raises:
        UndefinedMeasure: If there are no rows.
        ValueError: If the shapes differ or a setting is out of range.

    Source:
        `asymptotic_sequence` of the differences.

    Examples:
        >>> good, bad = [0.1, 0.2] * 500, [0.2, 0.4] * 500
        >>> paired_difference_sequence(bad, good).last()
        Estimate(value=0.15, low=0.145, high=0.155, n=1000)
    """
    a, b = np.asarray(losses_a, dtype=np.float64), np.asarray(losses_b, dtype=np.float64)
    if a.shape != b.shape:
        raise ValueError(f"a pair needs both losses in each row, got {a.shape} and {b.shape}")
    stream = running_moments(a - b)
    return asymptotic_sequence(stream, alpha=alpha, tuned_for=tuned_for, burn_in=burn_in)


def difference_sequence(
    a: Moments,
    b: Moments,
    *,
    alpha: float = 0.05,
    tuned_for: int = 1000,
    burn_in: float = 15.0,
) -> Band:
    """Confidence sequence for mean loss of arm a minus that of arm b, each row in one arm.

    This is the judge of a canary: the new version is arm a, the champion arm b. The new one is
    worse by more than a margin once `low > margin`, and is not once `high < margin`; between
    the two, wait. Rows must go to the arms by chance, at one share for the whole sequence: at
    another share begin another sequence, or an easy week counts as a good model.

    Args:
        a: Moments of the losses in one arm.
        b: Moments of the losses in the other arm, same shape.
        alpha: Chance of ever being wrong, between 0 and 1.
        tuned_for: Rows of both arms together at which the band is about narrowest.
        burn_in: Effective rows in each arm before the band begins (see `asymptotic_sequence`).

    Returns:
        The band; positive where a loses more. `n` counts the rows of both arms.

    Raises:
        ValueError: If `alpha` or `tuned_for` is out of range.

    Source:
        Waudby-Smith et al. 2024 (see `asymptotic_sequence`), their randomised experiments, with
        the difference in means as estimator: a row weighs 1 / share of its arm, so that n rows
        have variance n (var_a / n_a + var_b / n_b).

    Examples:
        >>> from cd4ml.measures.moments import moments
        >>> champion = moments([0.1, 0.2] * 950)
        >>> difference_sequence(moments([0.2, 0.4] * 50), champion).last()
        Estimate(value=0.15, low=0.119, high=0.181, n=2000)
        >>> difference_sequence(moments([0.1, 0.2] * 50), champion).last()
        Estimate(value=0.0, low=-0.0157, high=0.0157, n=2000)
    """
    mean_a, variance_a, effective_a = shape_of(a)
    mean_b, variance_b, effective_b = shape_of(b)
    n = np.asarray(a.n + b.n)
    rho = normal_mixture_rho(tuned_for, alpha=alpha)
    with np.errstate(divide="ignore", invalid="ignore"):
        row = np.sqrt(n * (variance_a / a.n + variance_b / b.n))
        half = row * normal_mixture_radius(n, variance=1.0, rho=rho, alpha=alpha)
    has_enough = np.minimum(effective_a, effective_b) >= burn_in
    return _band(mean_a - mean_b, np.where(has_enough, half, np.inf), n)


def require_alpha(alpha: float) -> None:
    """Refuse a chance of error that is not one.

    Args:
        alpha: Chance of ever being wrong.

    Raises:
        ValueError: If `alpha` is not strictly between 0 and 1.

    Source:
        None: a guard.

    Examples:
        >>> require_alpha(95)
        Traceback (most recent call last):
        ValueError: alpha is the chance of being wrong, between 0 and 1 (0.05), got 95
    """
    if not 0 < alpha < 1:
        msg = f"alpha is the chance of being wrong, between 0 and 1 (0.05), got {alpha}"
        raise ValueError(msg)


def _band(centre: NDArray[Any], half: NDArray[Any], n: NDArray[Any]) -> Band:
    return Band(centre, np.asarray(centre - half), np.asarray(centre + half), np.asarray(n))
