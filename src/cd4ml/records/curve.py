"""A metric of several runs over their training, to be drawn beside each other."""

from __future__ import annotations

import msgspec


class RunCurve(msgspec.Struct, frozen=True, kw_only=True):
    """One run's metric, thinned out to what a screen can show.

    Where points were left out, the lowest and the highest of each stretch are there. `seconds`
    count from the run's first point of this metric.
    """

    run: str  # "run/3"
    steps: tuple[int, ...]
    seconds: tuple[float, ...]
    values: tuple[float | None, ...]  # None where it is not finite
    n_points: int


class Curves(msgspec.Struct, frozen=True, kw_only=True):
    """A metric of those runs that have logged it; `smoothing` is the weight of what came before."""

    metric: str
    runs: tuple[RunCurve, ...]
    smoothing: float = 0.0
