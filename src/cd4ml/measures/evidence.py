"""Evidence against a null that grows row by row and may be acted upon at any moment.

Every function gives the logarithm of an e-process: a bet against the null that wins a factor
of 1 / alpha with a chance of at most alpha, however often one looks. Reject the null as soon
as it reaches `log(1 / alpha)`. Intervals with the same promise: `cd4ml.measures.sequential`.
"""

from __future__ import annotations

from math import inf, log

import numpy as np
from numpy.typing import ArrayLike, NDArray

from cd4ml.measures.estimate import Estimate, UndefinedMeasure, finite_rows
from cd4ml.measures.sequential import require_alpha


def betabinomial_e(
    successes: ArrayLike, n: ArrayLike, *, p0: float, a: float = 1.0, b: float = 1.0
) -> NDArray[np.float64]:
    """Log evidence that a share is not `p0`, exact for independent yes/no rows.

    Args:
        successes: Rows that count so far, shape (...).
        n: All rows so far, broadcastable to `successes`.
        p0: The share under the null, strictly between 0 and 1.
        a: First parameter of the Beta mixture over the alternatives; for a rare share take
            a = 20 p0 and b = 20 (1 - p0).
        b: Its second parameter.

    Returns:
        Log of the e-value, shape (...).

    Raises:
        ValueError: If a count or parameter is out of range.

    Source:
        J. Ville 1939; H. Robbins, "Statistical methods related to the law of the iterated
        logarithm", Annals of Mathematical Statistics 41(5), 1970; as "beta-binomial" in Howard
        et al. (see `sequential.normal_mixture_rho`).

    Examples:
        >>> np.exp(betabinomial_e([60, 70], 100, p0=0.5)).round(2)
        array([  0.91, 427.31])
    """
    from scipy.special import betaln

    k, rows = np.asarray(successes, dtype=np.float64), np.asarray(n, dtype=np.float64)
    if not (0 < p0 < 1 and a > 0 and b > 0):
        raise ValueError(f"expected p0 within 0..1 and a, b above 0, got {p0=}, {a=}, {b=}")
    if ((k < 0) | (k > rows)).any():
        raise ValueError("expected between 0 and n successes; are the two counts swapped?")
    mixture = betaln(a + k, b + rows - k) - betaln(a, b)
    return np.asarray(mixture - k * np.log(p0) - (rows - k) * np.log1p(-p0))


def msprt(
    total: ArrayLike,
    n: ArrayLike,
    *,
    variance: ArrayLike,
    mixing_variance: float,
    null_mean: float = 0.0,
) -> NDArray[np.float64]:
    """Log likelihood ratio of the mixture sequential probability ratio test of a normal mean.

    For two arms of equal size, `total` is the sum of the differences of pairs and `variance`
    that of one pair: for shares pa (1 - pa) + pb (1 - pb).

    Args:
        total: Sum of the rows so far, shape (...).
        n: Rows so far, broadcastable to `total`.
        variance: Variance of a row, above 0, broadcastable to `total`.
        mixing_variance: Variance of the effects one expects, above 0.
        null_mean: The mean under the null.

    Returns:
        Log of the likelihood ratio, shape (...).

    Raises:
        ValueError: If a variance is not above 0.

    Source:
        R. Johari, P. Koomen, L. Pekelis, D. Walsh, "Always valid inference: continuous
        monitoring of A/B tests", Operations Research 70(3), 2022 (arXiv 1512.04922).

    Examples:
        >>> np.exp(msprt([30, 60], 1000, variance=0.25, mixing_variance=0.01)).round(2)
        array([  0.9 , 175.49])
    """
    rows, spread = np.asarray(n, dtype=np.float64), np.asarray(variance, dtype=np.float64)
    if not ((spread > 0).all() and mixing_variance > 0):
        raise ValueError("a variance is above 0; wait until the rows differ")
    surplus = np.asarray(total, dtype=np.float64) - rows * null_mean
    widened = spread + rows * mixing_variance
    fit = mixing_variance * surplus**2 / (2 * spread * widened)
    return np.asarray(0.5 * np.log(spread / widened) + fit)


def always_valid_p(log_evidence: ArrayLike) -> NDArray[np.float64]:
    """P-values that may be read after every row; they only ever fall.

    Args:
        log_evidence: Log of an e-process over time, shape (..., rows).

    Returns:
        The smallest 1 / evidence so far, at most 1, shape (..., rows).

    Raises:
        UndefinedMeasure: If there are no rows.

    Source:
        Johari et al. 2022 (see `msprt`), by Ville's inequality.

    Examples:
        >>> always_valid_p([0.0, np.log(4), np.log(2)])
        array([1.  , 0.25, 0.25])
    """
    evidence = np.asarray(log_evidence, dtype=np.float64)
    if evidence.size == 0:
        raise UndefinedMeasure("there are no rows to measure; wait for the first one")
    return np.asarray(np.exp(-np.maximum.accumulate(np.maximum(evidence, 0.0), axis=-1)))


def hedged_capital(values: ArrayLike, *, mean: float, alpha: float = 0.05) -> NDArray[np.float64]:
    """Log capital of a gambler who bets on both sides against a mean of bounded rows.

    Holds for any rows within 0..1 with that mean given the past, whatever their shape.

    Args:
        values: Numbers within 0..1, shape (..., rows), in order of arrival.
        mean: The mean under the null, within 0..1.
        alpha: Chance of error the bets are sized for, between 0 and 1.

    Returns:
        Log of the better of the two halves of the capital after each row, shape (..., rows).

    Raises:
        UndefinedMeasure: If there are no rows.
        ValueError: If a value or setting is out of range.

    Source:
        I. Waudby-Smith, A. Ramdas, "Estimating means of bounded random variables by betting",
        J. Royal Statistical Society B 86(1), 2024: hedged capital with predictable plug-in
        bets, truncated at 1/2, both sides weighted 1/2.

    Examples:
        >>> np.exp(hedged_capital([1, 0, 1, 1], mean=0.5))
        array([0.75   , 0.375  , 0.5625 , 0.84375])
    """
    rows, bets = _bets(values, alpha)
    if not 0 <= mean <= 1:
        raise ValueError(f"the mean of rows within 0..1 is within 0..1, got {mean}")
    return _capital(rows, bets, mean)


def betting_interval(values: ArrayLike, *, alpha: float = 0.05, grid: int = 1000) -> Estimate:
    """Anytime-valid interval for the mean of bounded rows: all means no bet has refuted so far.

    Args:
        values: Numbers within 0..1, shape (rows,), in order of arrival.
        alpha: Chance of ever being wrong, between 0 and 1.
        grid: Steps between 0 and 1 at which means are tried; ends are rounded outwards.

    Returns:
        Mean of the rows and the interval.

    Raises:
        UndefinedMeasure: If there are no rows, or every mean is refuted: the mean has moved.
        ValueError: If a value or setting is out of range.

    Source:
        As `hedged_capital`.

    Examples:
        >>> betting_interval([1, 0, 1, 1, 0, 1, 1, 1, 0, 1])
        Estimate(value=0.7, low=0.27, high=0.99, n=10)
    """
    rows, bets = _bets(finite_rows(values), alpha)
    tried = np.linspace(0, 1, grid + 1)
    best = np.array([_capital(rows, bets, float(mean)).max() for mean in tried])
    standing = tried[best < log(1 / alpha)]
    if standing.size == 0:
        msg = "no one mean fits all these rows, so it has moved; judge a shorter window"
        raise UndefinedMeasure(msg)
    low, high = max(0.0, standing[0] - 1 / grid), min(1.0, standing[-1] + 1 / grid)
    return Estimate(float(rows.mean()), float(low), float(high), rows.size)


def multinomial_bayes_factor(
    counts: ArrayLike, *, shares: ArrayLike, concentration: float = 100.0
) -> NDArray[np.float64]:
    """Log evidence that rows do not fall into groups in the intended shares.

    The check of a traffic split (sample ratio mismatch), and of two streams of errors: given
    that an error happened, it is the canary's with a chance of the canary's share of traffic.

    Args:
        counts: Rows in each group so far, shape (..., groups).
        shares: Intended share of each group, above 0, together 1, shape (groups,).
        concentration: How near to the intended shares the alternatives are thought to lie.

    Returns:
        Log of the Bayes factor, shape (...).

    Raises:
        ValueError: If the shapes differ or a count, share or the concentration is out of range.

    Source:
        M. Lindon, A. Malek, "Anytime-valid inference for multinomial count data", NeurIPS 2022
        (arXiv 2011.03567).

    Examples:
        >>> float(np.exp(multinomial_bayes_factor([20, 30, 50], shares=[0.1, 0.3, 0.6])))
        5.65857
    """
    from scipy.special import gammaln

    seen, theta = np.asarray(counts, dtype=np.float64), np.asarray(shares, dtype=np.float64)
    if theta.ndim != 1 or seen.shape[-1:] != theta.shape:
        msg = f"each group needs a count and a share, got shapes {seen.shape} and {theta.shape}"
        raise ValueError(msg)
    if not ((theta > 0).all() and np.isclose(theta.sum(), 1) and concentration > 0):
        raise ValueError(f"shares are above 0 and together 1, got {theta.tolist()}")
    if (seen < 0).any():
        raise ValueError("a count of rows is 0 or more")
    prior = concentration * theta
    groups = (gammaln(prior + seen) - gammaln(prior) - seen * np.log(theta)).sum(axis=-1)
    n = seen.sum(axis=-1)
    return np.asarray(gammaln(concentration) - gammaln(concentration + n) + groups)


def _bets(values: ArrayLike, alpha: float) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
    """Rows and the size of each bet before truncation, from what was known before its row."""
    require_alpha(alpha)
    rows = np.asarray(values, dtype=np.float64)
    if rows.size == 0:
        raise UndefinedMeasure("there are no rows to measure; wait for the first one")
    if not ((rows >= 0) & (rows <= 1)).all():
        raise ValueError("betting needs rows within 0..1; scale them by their known bounds")
    t = np.arange(1, rows.shape[-1] + 1)
    means = (0.5 + np.cumsum(rows, axis=-1)) / (t + 1)
    variances = (0.25 + np.cumsum((rows - means) ** 2, axis=-1)) / (t + 1)
    known = np.concatenate([np.full_like(rows[..., :1], 0.25), variances[..., :-1]], axis=-1)
    return rows, np.sqrt(2 * np.log(2 / alpha) / (known * t * np.log1p(t)))


def _capital(
    rows: NDArray[np.float64], bets: NDArray[np.float64], mean: float
) -> NDArray[np.float64]:
    """Log of the larger half of the hedged capital; truncation keeps both halves above 0."""
    upwards = np.minimum(bets, 0.5 / mean if mean > 0 else inf)
    downwards = np.minimum(bets, 0.5 / (1 - mean) if mean < 1 else inf)
    up = np.cumsum(np.log1p(upwards * (rows - mean)), axis=-1)
    down = np.cumsum(np.log1p(-downwards * (rows - mean)), axis=-1)
    return np.asarray(np.maximum(up, down) + log(0.5))
