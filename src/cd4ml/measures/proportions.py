"""How far two independent shares, or other estimates, lie apart: in difference and in ratio.

The intervals hold for small groups too: no variance is taken at the share that was seen, where
0 of 12 and 12 of 12 would have none.
"""

from __future__ import annotations

from math import exp, hypot, inf, log, sqrt

from cd4ml.measures.estimate import Estimate, UndefinedMeasure, two_sided_z

_STEPS = 200  # halvings of an interval of log ratios; it is down to rounding much earlier
_WIDEST = 300.0  # log of the largest ratio that is tried: a float holds its square


def difference(one: Estimate, other: Estimate) -> Estimate:
    """How much larger one estimate is than another of other rows.

    Args:
        one: With its interval.
        other: Of rows that are not among those of `one`, with its interval of the same confidence.

    Returns:
        `one - other`; `n` counts the rows of both.

    Raises:
        ValueError: If a value lies outside its own interval.

    Source:
        R. G. Newcombe, "Interval estimation for the difference between independent proportions:
        comparison of eleven methods", Statistics in Medicine 17, 1998, method 10 (with Wilson's
        intervals); for other estimates G. Y. Zou, A. Donner, "Construction of confidence limits
        about effect measures: a general approach", Statistics in Medicine 27, 2008.

    Examples:
        >>> from cd4ml.measures.estimate import wilson
        >>> difference(wilson(56, 70), wilson(48, 80))
        Estimate(value=0.2, low=0.0524, high=0.3339, n=150)
    """
    for each in (one, other):
        if not each.low <= each.value <= each.high:
            msg = f"a value lies within its interval, got {each.value} ({each.low} to {each.high})"
            raise ValueError(msg)
    value = one.value - other.value
    below = hypot(one.value - one.low, other.high - other.value)
    above = hypot(one.high - one.value, other.value - other.low)
    return Estimate(value, value - below, value + above, one.n + other.n)


def ratio_of_shares(
    successes: int, n: int, other_successes: int, other_n: int, *, confidence: float = 0.95
) -> Estimate:
    """A share of some rows, as a multiple of the share of other rows.

    Args:
        successes: Rows that count, 0 to `n`.
        n: All rows.
        other_successes: Of the other rows those that count, 0 to `other_n`.
        other_n: All other rows.
        confidence: Coverage of the interval.

    Returns:
        The ratio, 0 or more. Where no other row counts it is infinite, its interval is not.

    Raises:
        UndefinedMeasure: If there are no rows on one of the sides, or none counts on either.
        ValueError: If a count or `confidence` is out of range.

    Source:
        P. A. R. Koopman, "Confidence intervals for the ratio of two binomial proportions",
        Biometrics 40(2), 1984: the ratios that the score test does not refuse. The restricted
        estimate is that of O. Miettinen, M. Nurminen, "Comparative analysis of two rates",
        Statistics in Medicine 4, 1985, without their factor n / (n - 1).

    Examples:
        >>> ratio_of_shares(36, 40, 16, 80)
        Estimate(value=4.5, low=2.939, high=7.152, n=120)
        >>> ratio_of_shares(0, 12, 30, 40)
        Estimate(value=0.0, low=0.0, high=0.326, n=52)
    """
    _require_counts(successes, n)
    _require_counts(other_successes, other_n)
    if successes == other_successes == 0:
        msg = f"a ratio of 0 of {n} rows to 0 of {other_n} rows is undefined; wait for more rows"
        raise UndefinedMeasure(msg)
    z = two_sided_z(confidence)
    counts = (successes, n, other_successes, other_n)
    value = (successes / n) / (other_successes / other_n) if other_successes else inf
    low = _edge(counts, z, value, towards=-_WIDEST) if successes else 0.0
    high = _edge(counts, z, value, towards=_WIDEST) if other_successes else inf
    return Estimate(value, min(low, value), max(high, value), n + other_n)


def _require_counts(successes: int, n: int) -> None:
    if n == 0:
        raise UndefinedMeasure("a share of no rows is undefined; wait for more rows")
    if not 0 <= successes <= n:
        raise ValueError(f"expected 0 to {n} successes among {n} rows, got {successes}")


def _edge(counts: tuple[int, int, int, int], z: float, value: float, *, towards: float) -> float:
    """The last ratio on the way from the value that the score test does not refuse."""
    kept, refused = _start(value), towards
    for _ in range(_STEPS):
        middle = (kept + refused) / 2
        if middle in (kept, refused):
            break
        is_refused = abs(_score(*counts, exp(middle))) > z
        kept, refused = (kept, middle) if is_refused else (middle, refused)
    return exp(kept)


def _start(value: float) -> float:
    if value == 0:
        return -_WIDEST
    return min(log(value), _WIDEST)


def _score(successes: int, n: int, other_successes: int, other_n: int, ratio: float) -> float:
    """How many standard errors the shares lie from this ratio, as they would be if it held."""
    surplus = successes / n - ratio * other_successes / other_n
    both = successes + other_successes
    b = n * ratio + successes + other_n + other_successes * ratio
    root = sqrt(max(0.0, b * b - 4 * (n + other_n) * ratio * both))
    other_share = min(1.0, 2 * both / (b + root))
    share = min(1.0, ratio * other_share)
    variance = share * (1 - share) / n + ratio**2 * other_share * (1 - other_share) / other_n
    if variance <= 0:
        return 0.0 if surplus == 0 else inf
    return surplus / sqrt(variance)
