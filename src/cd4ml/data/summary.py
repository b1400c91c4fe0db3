"""A profile as people look at it: quantiles, commonest values, bars."""

from __future__ import annotations

from itertools import pairwise
from math import isfinite
from typing import TYPE_CHECKING

from cd4ml.records.profile import QUANTILES, ColumnProfile
from cd4ml.records.summary import Bar, ColumnSummary, ShownQuantile

BARS = 20
if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray

_MOST_SHOWN = 10  # categories
_MOST_PERIODS = 31


def summary(made: ColumnProfile) -> ColumnSummary:
    """One column for people."""
    return ColumnSummary(
        name=made.name,
        type=made.type,
        kind=made.bins.kind,
        unit=made.bins.unit,
        n_rows=made.n_rows,
        n_null=made.n_null,
        n_nan=made.n_nan,
        n_infinite=made.n_infinite,
        n_distinct=made.n_distinct,
        n_distinct_at_most=made.n_distinct_at_most,
        minimum=made.minimum,
        maximum=made.maximum,
        mean=made.mean,
        deviation=deviation_of(made),
        quantiles=tuple(_quantiles(made)),
        top=made.top[:_MOST_SHOWN],
        n_others=_others(made),
        bars=bars(made),
    )


def deviation_of(made: ColumnProfile) -> float | None:
    """The standard deviation of a column of numbers; None if it has none."""
    from cd4ml.measures.spread import Spread, deviation

    if made.mean is None or made.squares is None:
        return None
    found = deviation(Spread(made.n_rows - made.n_missing, made.mean, made.squares))
    return found if isfinite(found) else None


def quantile_of(made: ColumnProfile, share: float) -> ShownQuantile | None:
    """A quantile of a column of numbers or sizes; None if it has no value.

    Exact where it is one of `QUANTILES` and all rows were counted at once.
    """
    from cd4ml.measures.histogram import quantile

    ends = made.minimum, made.maximum
    if made.bins.kind not in ("number", "length") or not all(
        isinstance(e, int | float) for e in ends
    ):
        return None
    if made.quantiles and share in QUANTILES:
        exact = made.quantiles[QUANTILES.index(share)]
        return ShownQuantile(share=share, value=exact, low=exact, high=exact)
    low, high = float(ends[0]), float(ends[1])  # type: ignore[arg-type]
    found = quantile(made.counts, made.bins.edges, share, minimum=low, maximum=high)
    return ShownQuantile(share=share, value=found.value, low=found.low, high=found.high)


def bars(made: ColumnProfile) -> tuple[Bar, ...]:
    """The bars of a column's histogram, without the missing values."""
    match made.bins.kind:
        case "number" | "length":
            return _even_bars(made)
        case "category":
            shown = [Bar(label=text, n_rows=n) for text, n in made.top[:_MOST_SHOWN]]
            others = _others(made)
            return (*shown, Bar(label="others", n_rows=others)) if others else tuple(shown)
        case "time":
            return _period_bars(made)
    return ()


def short_number(value: float) -> str:
    """A number with about four digits, for labels.

    Examples:
        >>> short_number(1234567.0), short_number(0.031416), short_number(12.0)
        ('1.235e+06', '0.03142', '12')
    """
    return f"{value:.4g}"


def _quantiles(made: ColumnProfile) -> list[ShownQuantile]:
    return [found for share in QUANTILES if (found := quantile_of(made, share)) is not None]


def _others(made: ColumnProfile) -> int:
    shown = sum(count for _, count in made.top[:_MOST_SHOWN])
    return made.n_rows - made.n_missing - shown if made.bins.kind == "category" else 0


def _even_bars(made: ColumnProfile) -> tuple[Bar, ...]:
    from cd4ml.measures.even_bins import even_bins

    if not isinstance(made.minimum, int | float) or not isinstance(made.maximum, int | float):
        return ()
    low, high = float(made.minimum), float(made.maximum)
    n_bars = BARS if low < high else 1
    if made.top and made.is_top_complete:
        rows = _exact_bars(made, low, high, n_bars)
    else:
        rows = even_bins(made.counts[:-1], made.bins.edges, minimum=low, maximum=high, bins=n_bars)
    places = [low * (1 - i / n_bars) + high * (i / n_bars) for i in range(n_bars + 1)]
    names = [f"{short_number(a)} to {short_number(b)}" for a, b in pairwise(places)]
    labels = names if low < high else [short_number(low)]
    return tuple(
        Bar(label=label, n_rows=float(n)) for label, n in zip(labels, rows.tolist(), strict=True)
    )


def _exact_bars(made: ColumnProfile, low: float, high: float, n_bars: int) -> NDArray[np.float64]:
    """Where all values are known, each is in its own bar."""
    import numpy as np

    values = np.array([float(text) for text, _ in made.top])
    counts = np.array([n for _, n in made.top], dtype=np.float64)
    if low == high:
        return np.array([counts.sum()])
    width = high / 2 - low / 2  # halves: the width itself may be no float
    places = (values / 2 - low / 2) / width * n_bars
    return np.bincount(
        np.minimum(places.astype(np.int64), n_bars - 1), weights=counts, minlength=n_bars
    ).astype(np.float64)


def _period_bars(made: ColumnProfile) -> tuple[Bar, ...]:
    from cd4ml.measures.periods import Periods, with_gaps

    shown = with_gaps(Periods(made.period, made.periods), _MOST_PERIODS)
    return tuple(Bar(label=name, n_rows=n) for name, n in shown.counts)
